import { type Bitmap, isQdbError, type QdbEdit, QdbError, quote } from "@qdb/format";
import { ofOtherFiles } from "../shell/errors.ts";
import type { SourceFile } from "./source-file.ts";

/** The bitmap that actions change, in a file that is being edited. Nothing is written before the commit. */
export interface OpenBitmap {
  readonly edit: QdbEdit;
  /** The file of the source bitmaps; undefined if they are in the same file. */
  readonly sources: SourceFile | undefined;
  /** Length in bytes of the disk of a qcow2 image; undefined for a QDB file. */
  readonly diskSize: bigint | undefined;
  /**
   * Compares the disk of a qcow2 image with the image of a backup, both read in full, and returns what differs; undefined for a QDB file, which has no
   * disk.
   */
  readonly differenceFrom: ((base: string, granularity: number) => Promise<Bitmap>) | undefined;
  /** The current name of the bitmap; --rename changes it. */
  name: string;
}

/** An action on the bits of a bitmap and those of a source. */
export type Combination = "merge" | "intersect" | "subtract" | "xor";

/** Combines the bits of the bitmap with those of a source. @throws {QdbError} SIZE_MISMATCH if the source covers a disk of another size; NOT_FOUND; as reading the source; the error of an action that was queued before */
export async function combine(
  { edit, sources, name }: OpenBitmap,
  sourceName: string,
  how: Combination,
): Promise<void> {
  if (sources === undefined) {
    edit.bitmap(name)[how](sourceName);
    return;
  }
  const bits = await ofOtherFiles(() => sources.read(sourceName));
  edit.bitmap(name)[how](bits);
  try {
    await edit.apply();
  } catch (error) {
    // The library has the bits of the source only, not its name.
    if (!isQdbError(error, "SIZE_MISMATCH")) throw error;
    const message = `${error.message}; the source is ${quote(sourceName)}`;
    throw new QdbError(error.code, message, error.where, { cause: error });
  }
}
