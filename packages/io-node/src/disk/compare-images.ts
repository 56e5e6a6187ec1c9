import type { Bitmap } from "@qdb/format";
import type { LongCall } from "@qdb/format/internal";
import { CompareHelpers } from "./compare-helpers.ts";
import { PartComparer, partCount, partLength } from "./compare-parts.ts";
import { type SharedImage, type StartThread, startThread, takePart } from "./compare-thread.ts";
import type { WatchedImage } from "./watched-image.ts";

/** Length in bytes from which other threads help. They compare nothing in the first 20 ms, the time of some 100 MiB. */
const MIN_SHARED = 256 * 1024 * 1024;

/**
 * Marks the granules in which two images differ, up to the end of the shorter one. Long images are compared by several threads, which
 * `start` starts. They read through the descriptors of `old` and `now`, which must be open until this returns.
 * @throws {QdbError} SOURCE_CHANGED, IO as reading the images; IO if a thread ends before its work is done; ABORTED
 */
export async function compareImages(
  old: WatchedImage,
  now: WatchedImage,
  bitmap: Bitmap,
  call: LongCall,
  start: StartThread = startThread,
): Promise<void> {
  const total = Math.min(Number(old.size), Number(now.size));
  const { granularity } = bitmap;
  const pair = { old: old.handle, now: now.handle, total, granularity };
  const parts = partCount(pair);
  const shared = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  const taken = new Int32Array(shared);
  let left = parts;
  let compared = 0;
  const finish = (part: number): void => {
    left--;
    compared += Math.min(partLength(pair), total - part * partLength(pair));
  };
  const mark = (granule: number): void => bitmap.markBits({ first: granule, end: granule + 1 });
  call.checkSignal();
  const order = { old: share(old), now: share(now), total, granularity, taken: shared };
  const helpers =
    total < MIN_SHARED
      ? undefined
      : new CompareHelpers(order, start, (part, differing) => {
          for (const granule of differing) mark(granule);
          finish(part);
        });
  try {
    const comparer = new PartComparer(pair);
    for (let part = takePart(taken); part < parts; part = takePart(taken)) {
      const begin = part * partLength(pair);
      for (const at of comparer.compare(part, mark)) {
        const pause = call.step(compared + at - begin, total);
        if (pause !== undefined) await pause;
      }
      finish(part);
      helpers?.check();
    }
    while (left > 0 && helpers !== undefined) {
      await helpers.wait();
      const pause = call.step(compared, total);
      if (pause !== undefined) await pause;
    }
    if (left !== 0) throw new Error(`${left} of ${parts} parts of the images were not compared`);
  } finally {
    await helpers?.stop();
  }
  call.finish(total);
}

function share({ handle, key }: WatchedImage): SharedImage {
  return { path: handle.path, descriptor: handle.descriptor, key };
}
