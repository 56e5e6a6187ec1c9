import { statSync } from "node:fs";
import { FLAG, type QdbEditor, QdbError, quote } from "@qdb/format";
import { hasMagic } from "@qdb/format/internal";
import type { Call } from "../shell/command.ts";
import { warnOfDamage } from "./commit-warnings.ts";
import { firstBytes } from "./first-bytes.ts";
import { contentsOf, type NewBitmap, storedForm } from "./new-bitmaps.ts";
import { emptyContents, writeNewFile } from "./new-file.ts";
import { about, openEditor, requireFile } from "./open-qdb.ts";

/** What to do with a new bitmap whose name is taken. */
export type NameRule = "refuse" | "merge" | "replace";

/** The file that new bitmaps are stored in: a new one, or an existing one that is locked while it is open. */
export class TargetFile {
  readonly #path: string;
  readonly #call: Call;
  readonly #editor: QdbEditor | undefined;

  private constructor(path: string, call: Call, editor: QdbEditor | undefined) {
    this.#path = path;
    this.#call = call;
    this.#editor = editor;
  }

  /**
   * Opens the file if it exists. Call this before any long work, so that none is done for a file that cannot be opened.
   * @throws {QdbError} as `openQdbEditor`
   */
  static async open(path: string, call: Call): Promise<TargetFile> {
    requireFile(path);
    const editor = isThere(path) ? await about(path, () => openEditor(path)) : undefined;
    return new TargetFile(path, call, editor);
  }

  /** Checks that a name is free. @throws {QdbError} ALREADY_EXISTS if it is taken */
  requireFree(name: string, advice: string): void {
    if (this.#editor?.edits.has(name) !== true) return;
    throw new QdbError("ALREADY_EXISTS", `${quote(this.#path)} holds a bitmap ${quote(name)} already; ${advice}`);
  }

  /**
   * Stores all bitmaps in one commit, and returns them as they are stored, that is, after merging.
   * @throws {QdbError} ALREADY_EXISTS, SIZE_MISMATCH, INCONSISTENT; as making a file or committing to one
   */
  async store(bitmaps: readonly NewBitmap[], rule: NameRule): Promise<readonly NewBitmap[]> {
    const editor = this.#editor;
    if (editor === undefined) {
      await writeNewFile(this.#path, { ...emptyContents(), bitmaps: bitmaps.map(contentsOf) }, this.#call);
      return bitmaps;
    }
    const stored: NewBitmap[] = [];
    for (const bitmap of bitmaps) stored.push(await this.#put(editor, bitmap, rule));
    if (this.#call.signal.aborted) throw new QdbError("ABORTED", "the command was interrupted; nothing was changed");
    warnOfDamage(this.#path, await about(this.#path, () => editor.commit()));
    return stored;
  }

  /** Closes the file and releases its lock. */
  async close(): Promise<void> {
    await this.#editor?.close();
  }

  async #put(editor: QdbEditor, bitmap: NewBitmap, rule: NameRule): Promise<NewBitmap> {
    const { name } = bitmap;
    if (rule === "refuse") this.requireFree(name, "choose another name, or say --merge or --replace");
    return about(this.#path, async () => {
      if (!editor.edits.has(name)) editor.edits.add(storedForm(bitmap));
      else if (rule === "replace") editor.edits.replace(storedForm(bitmap));
      else return merged(editor, bitmap);
      return bitmap;
    });
  }
}

/** Merges a bitmap into the one of the same name, which keeps its granularity, flags and records. */
async function merged(editor: QdbEditor, bitmap: NewBitmap): Promise<NewBitmap> {
  const { name, bits, isInUse } = bitmap;
  const { size } = editor.shape(name);
  if (isInUse) {
    const message = `the bits of ${quote(name)} in the source cannot be used, so they cannot be merged; --inconsistent=mark-all makes all of it dirty`;
    throw new QdbError("INCONSISTENT", message);
  }
  if (size !== bits.size) {
    const message = `the new bits of ${quote(name)} cover a disk of ${bits.size} bytes, those that are there one of ${size}`;
    throw new QdbError("SIZE_MISMATCH", `${message}; qdb bitmap --resize fits them`);
  }
  let result = bits;
  await editor.change(name, (target) => {
    target.merge(bits);
    result = target;
    return target;
  });
  const isEnabled = (editor.edits.flags(name) & FLAG.enabled) !== 0;
  return { ...bitmap, bits: result, isEnabled };
}

/** Whether there is a QDB file to open. A block device counts only if it holds a QDB file; otherwise a file is created on it. */
function isThere(path: string): boolean {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats !== undefined && (!stats.isBlockDevice() || hasMagic(firstBytes(path, 4)));
}
