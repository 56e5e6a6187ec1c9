import { type CommitReport, type EditorOptions, QdbEditor } from "./editor.ts";
import type { QdbIndex } from "./open/qdb-index.ts";
import { closing, closingOnError } from "./ports/closing.ts";
import { type RunOptions, run } from "./ports/drivers.ts";
import { checkSignal } from "./ports/long-call.ts";
import type { AnyStore } from "./ports/store.ts";
import type { NewBitmapHost } from "./queue/bitmap-init.ts";
import { collectEdit, type QdbEdit } from "./queue/qdb-edit.ts";

/** What a caller can ask of an edit. */
export interface EditCallOptions extends RunOptions {
  /** Called once the changes are on the disk, with what the commit had to do besides. If it throws, the edit fails, but its changes are stored. */
  readonly onCommit?: ((report: CommitReport) => void) | undefined;
  /**
   * Called before `change` if the mirror was used as the header of the file, because the primary is damaged. What is stored then makes the
   * state of the mirror that of the file.
   */
  readonly onMirror?: ((index: QdbIndex) => void) | undefined;
}

/** Options of {@link editStore}. */
export interface EditStoreOptions
  extends Omit<EditorOptions, "repair" | "readsLater">,
    NewBitmapHost,
    EditCallOptions {}

/**
 * Edits the QDB file of a store: calls `change`, does the actions that it queues in order, commits all of them at once, and closes the
 * store. Resolves with what `change` returns when the changes are on the disk. The host has the lock of the file (spec §5, step 1), which
 * closing the store releases. A signal that is aborted during the commit has no effect any more.
 * @throws {unknown} what `change` throws, or the error of the first action that fails: then nothing is changed; ABORTED; as
 * `QdbEditor.open` and `QdbEditor.commit`; what closing the store throws, and the message says that the change is stored then
 */
export async function editStore<T>(
  store: AnyStore,
  change: (edit: QdbEdit) => T | PromiseLike<T>,
  options: EditStoreOptions,
): Promise<T> {
  const { signal, onCommit, onMirror } = options;
  const editor = await closingOnError({ close: () => store.close?.() }, () => {
    checkSignal(signal);
    // If an action fails, nothing is committed in any case.
    return QdbEditor.open(store, { ...options, readsLater: true });
  });
  return closing(editor, async () => {
    const { index } = editor.state;
    if (index.headerSource === "mirror") onMirror?.(index);
    const target = {
      edits: editor.edits,
      read: <R>(plan: Parameters<typeof run<R>>[0]) => run(plan, store, options),
      bits: (name: string) => editor.bits(name),
      source: (name: string) => editor.source(name),
    };
    const result = await collectEdit(target, index.table.entries, change, options);
    const report = await editor.commit();
    onCommit?.(report);
    return result;
  });
}
