// Reading all bits of one bitmap into memory. Functions, not methods of the bitmap: a program that only lists extents does not carry `Bitmap`.
import type { Bitmap } from "./bitmap/bitmap.ts";
import { bitmapPlan } from "./bits/read-bits.ts";
import type { Limits } from "./limits.ts";
import { refuseMirror } from "./open/header-source.ts";
import { runTask, runTaskSync, type Task } from "./ports/task.ts";
import { type CallOptions, readSame } from "./read-stored.ts";
import type { StoredBitmap } from "./stored-bitmap.ts";
import type { StoredBitmapSync } from "./stored-bitmap-sync.ts";

/** Options of {@link readBitmap}. There is no `within`, since bits outside that range would look clean. */
export type ReadBitmapOptions = Omit<CallOptions, "within">;

/**
 * Reads all bits of a bitmap into memory.
 * @throws {QdbError} LIMIT if the bits take more than `maxBitmapBytes`; BAD_CHECKSUM if the header was read from the mirror and
 * `acceptMirror` is not set; see also `StoredBitmap`
 * @example
 * const bits = await readBitmap(file.bitmap("daily"));
 */
export async function readBitmap(bitmap: StoredBitmap, options: ReadBitmapOptions = {}): Promise<Bitmap> {
  return runTask(bitsOf(bitmap, options));
}

/** Reads all bits of a bitmap into memory, and blocks the thread. @throws {QdbError} as {@link readBitmap} */
export function readBitmapSync(bitmap: StoredBitmapSync, options: ReadBitmapOptions = {}): Bitmap {
  return runTaskSync(bitsOf(bitmap, options));
}

function bitsOf({ reader, entry }: StoredBitmap | StoredBitmapSync, options: ReadBitmapOptions): Task<Bitmap> {
  const { maxBitmapBytes } = reader.options;
  const bounds: Limits = maxBitmapBytes === undefined ? {} : { maxBitmapBytes };
  return readSame(
    reader,
    entry,
    function* (index, same) {
      refuseMirror(index, reader.options, same.label);
      return yield* bitmapPlan(yield* reader.readMap(index, same), { ...options, ...bounds });
    },
    options,
  );
}
