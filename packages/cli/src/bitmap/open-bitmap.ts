import { type Bitmap, type Edits, type QdbEditor, QdbError, quote } from "@qdb/format";
import { about } from "../files/open-qdb.ts";
import type { Call } from "../shell/command.ts";
import type { Combination } from "./set-operations.ts";
import type { SourceFile } from "./source-file.ts";

/** The bitmap that actions change, in a file that is open for changes. Nothing is written before the commit. */
export interface OpenBitmap {
  readonly call: Call;
  readonly editor: QdbEditor;
  /** The file's path, for messages. */
  readonly path: string;
  /** The file of the source bitmaps, when it is another one. */
  readonly sources: SourceFile | undefined;
  /** The current name of the bitmap; --rename changes it. */
  name: string;
}

/** Makes a change that does not need the bits of a bitmap. @throws {QdbError} as the change */
export async function edit({ editor, path }: OpenBitmap, change: (edits: Edits) => void): Promise<void> {
  await about(path, () => change(editor.edits));
}

/** Changes the bits of the bitmap; `removes` says whether dirty bits may become clean. @throws {QdbError} as {@link QdbEditor.change} */
export async function change(
  { editor, path, name }: OpenBitmap,
  make: (bits: Bitmap) => Bitmap,
  removes: boolean,
): Promise<void> {
  await about(path, () => editor.change(name, make, removes));
}

/** Combines the bits of the bitmap with those of a source. @throws {QdbError} SIZE_MISMATCH; WRONG_DISK; the problem of either bitmap */
export async function combine(
  target: OpenBitmap,
  sourceName: string,
  by: Combination,
  removes: boolean,
): Promise<void> {
  const source = await readSource(target, sourceName);
  const make = (bits: Bitmap): Bitmap => {
    if (bits.size !== source.size) {
      throw new QdbError(
        "SIZE_MISMATCH",
        `the source ${quote(sourceName)} covers a disk of ${source.size} bytes, the bitmap ${quote(target.name)} one of ${bits.size}; --resize one of them first`,
      );
    }
    by(bits, source);
    return bits;
  };
  await change(target, make, removes);
}

async function readSource({ editor, path, sources }: OpenBitmap, name: string): Promise<Bitmap> {
  if (sources !== undefined) return sources.read(name);
  return about(path, () => editor.bits(name));
}
