import { Bitmap, type DiskStamp } from "@qdb/format";
import type { LongCallOptions } from "@qdb/format/container";
import { closing, LongCall } from "@qdb/format/internal";
import { compareImages } from "./compare-images.ts";
import { WatchedImage } from "./watched-image.ts";

/** Options of {@link diffImages}. */
export interface DiffOptions extends LongCallOptions {
  /** Granularity in bytes: a power of two, 512..2^31. */
  readonly granularity: number;
  /** A stamp of `current` that was taken before the call. The file that is opened must match this stamp. */
  readonly stamp?: DiskStamp | undefined;
}

/**
 * Compares two raw images (files or block devices) and returns a bitmap of the differences, for a disk of the size of `current`. If
 * `current` is longer than `base`, everything from the granule that holds the end of `base` is dirty. If `base` is longer, the last granule
 * is dirty if `current` ends inside it. Progress counts bytes of the part that both images have. Images of 256 MiB and more are compared by
 * several threads, where there is more than one processor and the module of the threads, `disk/compare-worker.js` of this package, is found.
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
      await compareImages(old, now, bitmap, new LongCall(options));
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
