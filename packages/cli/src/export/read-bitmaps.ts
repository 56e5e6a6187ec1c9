import { type Bitmap, QdbError, quote, readBitmap } from "@qdb/format";
import { closing } from "@qdb/format/internal";
import { shellSize } from "@qdb/qcow2";
import { about, diskOptions, mirrorOptions, openFile } from "../files/open-qdb.ts";
import type { Call } from "../shell/command.ts";

/** A bitmap that is to be in an image. */
export interface ExportedBitmap {
  readonly name: string;
  readonly enabled: boolean;
  /** The bits, of the length of the disk of an image. */
  readonly bits: Bitmap;
}

/**
 * Reads bitmaps of a QDB file for an image, those of -B or else all of them. The length of their disk is rounded up to a multiple of 512, as
 * an image has it.
 * @throws {QdbError} NOT_FOUND; SIZE_MISMATCH if they are of disks of several lengths; the code of the first problem of a bitmap; WRONG_DISK;
 * as opening and reading the file
 */
export async function readBitmapsForImage(
  path: string,
  call: Call,
): Promise<{ readonly size: bigint; readonly bitmaps: readonly ExportedBitmap[] }> {
  const file = await openFile(path, call, { ...mirrorOptions(call), ...diskOptions(call) });
  return closing(file, () =>
    about(path, async () => {
      const names = call.values("bitmap");
      const chosen = names.length > 0 ? names.map((name) => file.bitmap(name)) : [...file.bitmaps];
      const [first] = chosen;
      if (first === undefined) throw new QdbError("NOT_FOUND", "the file has no bitmap");
      const other = chosen.find(({ size }) => size !== first.size);
      if (other !== undefined) {
        const message = `${quote(first.label)} is of a disk of ${first.size} bytes, ${quote(other.label)} of one of ${other.size}; one image has one disk: name bitmaps with -B`;
        throw new QdbError("SIZE_MISMATCH", message, { bitmap: other.label });
      }
      const size = shellSize(first.size);
      const read: ExportedBitmap[] = [];
      for (const bitmap of chosen) {
        const bits = await readBitmap(bitmap, { signal: call.signal });
        read.push({
          name: bitmap.label,
          enabled: bitmap.enabled,
          bits: bits.resize(size, { newArea: "clean" }),
        });
      }
      return { size, bitmaps: read };
    }),
  );
}
