import { Bitmap, type DiskStamp } from "@qdb/format";
import { type LongCallOptions, Pace } from "../system/pace.ts";
import { WatchedImage } from "./images.ts";

/** What {@link diffImages} takes. */
export interface DiffOptions extends LongCallOptions {
  /** Bytes a bit: a power of two, 512..2^31. */
  readonly granularity: number;
  /** A stamp of `current` that goes with the bitmap; it must be that of the file that is opened. */
  readonly stamp?: DiskStamp;
}

/** Bytes compared at a time: two such buffers stay in the processor's cache, and each read costs little beside its copying. */
const WINDOW = 256 * 1024;

/**
 * The dirty bitmap of what differs between two raw images (files or block devices), for a disk of `current`'s size.
 * What only one of them has is dirty: where `current` is longer, from the granule on that holds the old end; where
 * `base` is longer, the granule that `current` ends inside of. Progress counts bytes of the part that both have.
 * @throws {QdbError} SOURCE_CHANGED when size or mtime of either changed meanwhile, or `current` after its stamp; USAGE, LIMIT for an impossible granularity; ABORTED; and what opening and reading throw
 */
export async function diffImages(base: string, current: string, options: DiffOptions): Promise<Bitmap> {
  const old = new WatchedImage(base);
  try {
    const now = new WatchedImage(current);
    try {
      if (options.stamp !== undefined) now.requireStamp(options.stamp);
      const bitmap = Bitmap.clean({ size: now.size, granularity: options.granularity });
      markOneSided(bitmap, old.size);
      await compare(old, now, bitmap, new Pace(options));
      old.checkUnchanged();
      now.checkUnchanged();
      return bitmap;
    } finally {
      now.handle.close();
    }
  } finally {
    old.handle.close();
  }
}

function markOneSided(bitmap: Bitmap, oldSize: bigint): void {
  const granularity = BigInt(bitmap.granularity);
  if (bitmap.size > oldSize) bitmap.markBits({ first: Number(oldSize / granularity), end: bitmap.bitCount });
  if (bitmap.size < oldSize && bitmap.size % granularity !== 0n) {
    bitmap.markBits({ first: bitmap.bitCount - 1, end: bitmap.bitCount });
  }
}

async function compare(old: WatchedImage, now: WatchedImage, bitmap: Bitmap, pace: Pace): Promise<void> {
  const total = Math.min(Number(old.size), Number(now.size));
  const { granularity } = bitmap;
  const a = Buffer.allocUnsafeSlow(WINDOW);
  const b = Buffer.allocUnsafeSlow(WINDOW);
  pace.checkSignal();
  for (let at = 0; at < total; ) {
    const length = Math.min(WINDOW, total - at);
    old.readInto(a, length, at);
    now.readInto(b, length, at);
    const differs = a.compare(b, 0, length, 0, length) !== 0;
    if (differs) markDifferent(bitmap, at, a, b, length);
    at += length;
    // The rest of a granule that is dirty already need not be looked at.
    if (differs && granularity > WINDOW) at = Math.min(total, Math.ceil(at / granularity) * granularity);
    const pause = pace.step(at, total);
    if (pause !== undefined) await pause;
  }
  pace.finish(total);
}

/** Marks the granules of a window in which the buffers differ. The window lies in one granule, or starts with one. */
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
