import { Bitmap, type DiskStamp } from "@qdb/format";
import type { LongCallOptions } from "@qdb/format/container";
import { closing, LongCall } from "@qdb/format/internal";
import { WatchedImage } from "./watched-image.ts";

/** Options of {@link diffImages}. */
export interface DiffOptions extends LongCallOptions {
  /** Granularity in bytes: a power of two, 512..2^31. */
  readonly granularity: number;
  /** A stamp of `current` that was taken before the call. The file that is opened must match this stamp. */
  readonly stamp?: DiskStamp | undefined;
}

/**
 * Number of bytes that are compared at a time. Two buffers of this size fit in the cache of a processor, and a read of this size takes much
 * longer than the overhead of its call.
 */
const WINDOW = 256 * 1024;

/**
 * Compares two raw images (files or block devices) and returns a bitmap of the differences, for a disk of the size of `current`. If
 * `current` is longer than `base`, everything from the granule that holds the end of `base` is dirty. If `base` is longer, the last granule
 * is dirty if `current` ends inside it. Progress counts bytes of the part that both images have.
 * @throws {QdbError} SOURCE_CHANGED if the length or the mtime of an image changed during the comparison, or if `current` does not match
 * `stamp`; USAGE if the granularity is invalid; LIMIT if the bitmap would have too many bits; ABORTED if the signal is aborted; what opening
 * and reading the images throw
 */
export async function diffImages(base: string, current: string, options: DiffOptions): Promise<Bitmap> {
  const old = new WatchedImage(base);
  return closing(old.handle, async () => {
    const now = new WatchedImage(current);
    return closing(now.handle, async () => {
      if (options.stamp !== undefined) now.requireStamp(options.stamp);
      const bitmap = Bitmap.clean({ size: now.size, granularity: options.granularity });
      markOneSided(bitmap, old.size);
      await compare(old, now, bitmap, new LongCall(options));
      old.checkUnchanged();
      now.checkUnchanged();
      return bitmap;
    });
  });
}

function markOneSided(bitmap: Bitmap, oldSize: bigint): void {
  const granularity = BigInt(bitmap.granularity);
  if (bitmap.size > oldSize) bitmap.markBits({ first: Number(oldSize / granularity), end: bitmap.bitCount });
  if (bitmap.size < oldSize && bitmap.size % granularity !== 0n) {
    bitmap.markBits({ first: bitmap.bitCount - 1, end: bitmap.bitCount });
  }
}

async function compare(old: WatchedImage, now: WatchedImage, bitmap: Bitmap, call: LongCall): Promise<void> {
  const total = Math.min(Number(old.size), Number(now.size));
  const { granularity } = bitmap;
  const a = Buffer.allocUnsafeSlow(WINDOW);
  const b = Buffer.allocUnsafeSlow(WINDOW);
  call.checkSignal();
  for (let at = 0; at < total; ) {
    const length = Math.min(WINDOW, total - at);
    old.readInto(a, length, at);
    now.readInto(b, length, at);
    const differs = a.compare(b, 0, length, 0, length) !== 0;
    if (differs) markDifferent(bitmap, at, a, b, length);
    at += length;
    // The rest of a granule that is dirty already need not be compared.
    if (differs && granularity > WINDOW) at = Math.min(total, Math.ceil(at / granularity) * granularity);
    const pause = call.step(at, total);
    if (pause !== undefined) await pause;
  }
  call.finish(total);
}

/** Marks the granules in which two buffers differ. The buffers hold a part of one granule, or begin at the start of a granule. */
function markDifferent(bitmap: Bitmap, at: number, a: Buffer, b: Buffer, length: number): void {
  const { granularity } = bitmap;
  const first = Math.floor(at / granularity);
  if (granularity >= WINDOW) {
    bitmap.markBits({ first, end: first + 1 });
    return;
  }
  for (let start = 0, bit = first; start < length; start += granularity, bit++) {
    const end = Math.min(start + granularity, length);
    if (a.compare(b, start, end, start, end) !== 0) bitmap.markBits({ first: bit, end: bit + 1 });
  }
}
