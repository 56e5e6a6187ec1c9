import { Bitmap, QdbError } from "@qdb/format";
import type { LongCallOptions } from "@qdb/format/container";
import { equalBytes, LongCall } from "@qdb/format/internal";

/** A disk that is read in windows: an image's guest data, or a raw image. */
export interface ReadableDisk {
  /** Length in bytes. */
  readonly size: bigint;
  /** Returns exactly the bytes of a range inside the disk. */
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** Bytes that are compared at a time, at least. */
const WINDOW = 2 ** 20;

/**
 * Reads two disks in full and returns a bitmap of what differs. What only one of them has is dirty. The bitmap is of the disk `now`.
 * @throws {QdbError} LIMIT for a disk of 2^53 bytes or more, or more than 2^32 bits; ABORTED; what reading throws
 */
export async function compareDisks(
  base: ReadableDisk,
  now: ReadableDisk,
  granularity: number,
  options: LongCallOptions = {},
): Promise<Bitmap> {
  if (now.size > BigInt(Number.MAX_SAFE_INTEGER))
    throw new QdbError("LIMIT", `a disk of ${now.size} bytes is too large to be compared`);
  const call = new LongCall(options);
  const bits = Bitmap.clean({ size: now.size, granularity });
  const size = Number(now.size);
  const common = base.size < now.size ? Number(base.size) : size;
  const window = Math.max(WINDOW, granularity);
  for (let offset = 0; offset < common; offset += window) {
    const length = Math.min(window, common - offset);
    const before = await base.read(offset, length);
    const after = await now.read(offset, length);
    if (!equalBytes(before, after)) {
      for (let at = 0; at < length; at += granularity) {
        const end = Math.min(at + granularity, length);
        if (!equalBytes(before.subarray(at, end), after.subarray(at, end)))
          bits.mark({ offset: offset + at, length: end - at });
      }
    }
    await call.step(offset + length, size);
  }
  if (common < size) bits.mark({ offset: common, length: size - common });
  call.finish(size);
  return bits;
}
