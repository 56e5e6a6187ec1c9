import { type EditSource, type Edits, isQdbError, type Plan, type QdbEditor, QdbError, quote } from "@qdb/format";
import { about } from "../files/open-qdb.ts";
import type { Call } from "../shell/command.ts";
import type { SourceFile } from "./source-file.ts";

/** The bitmap that actions change, in a file that is open for changes. Nothing is written before the commit. */
export interface OpenBitmap {
  readonly call: Call;
  readonly editor: QdbEditor;
  /** The file's path, for messages. */
  readonly path: string;
  /** The file of the source bitmaps; undefined if they are in the same file. */
  readonly sources: SourceFile | undefined;
  /** The current name of the bitmap; --rename changes it. */
  name: string;
}

/** Makes a change that does not need the bits of a bitmap. @throws {QdbError} as the change */
export async function edit({ editor, path }: OpenBitmap, change: (edits: Edits) => void): Promise<void> {
  await about(path, () => change(editor.edits));
}

/** Makes a change that may read bits from the file. @throws {QdbError} as the change */
export async function change(
  { editor, path, name }: OpenBitmap,
  change: (edits: Edits, name: string) => Plan<void>,
): Promise<void> {
  await about(path, () => editor.read(change(editor.edits, name)));
}

/** An action on the bits of a bitmap and those of a source. */
export type Combination = "merge" | "intersect" | "subtract" | "xor";

/** Combines the bits of the bitmap with those of a source. @throws {QdbError} SIZE_MISMATCH if the source covers a disk of another size; USAGE, as the action; WRONG_DISK, IO of the disk of the source; the code of the first problem of either bitmap */
export async function combine(target: OpenBitmap, sourceName: string, how: Combination): Promise<void> {
  const source = await openSource(target, sourceName);
  try {
    await change(target, (edits, name) => edits[how](name, source));
  } catch (error) {
    // The library has the bits of the source only, not its name.
    if (!isQdbError(error, "SIZE_MISMATCH")) throw error;
    throw new QdbError(error.code, `${error.message}; the source is ${quote(sourceName)}`, error.where, {
      cause: error,
    });
  }
}

/** Returns the bits of a source. Those of another file are read now: its state can change before the commit. */
async function openSource({ editor, path, sources }: OpenBitmap, name: string): Promise<EditSource> {
  if (sources !== undefined) return sources.read(name);
  return about(path, () => editor.source(name));
}
