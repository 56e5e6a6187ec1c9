import type { FileContents } from "./commit/file-contents.ts";
import { QdbError } from "./errors.ts";
import { isClusterBits } from "./limits.ts";
import { type BitmapInit, contentsOfNew, type NewBitmapHost, newBitmap } from "./queue/bitmap-init.ts";

/** Cluster size of a new file in bytes, if none is given: 4 KiB. */
export const DEFAULT_CLUSTER_SIZE = 4096;

/** A new file. */
export interface FileInit {
  /** The bitmaps, in the order of the table (default: none). */
  readonly bitmaps?: Iterable<BitmapInit> | undefined;
  /** Unit of space in the file in bytes, a power of two, 512..2 MiB (default 4096). It never changes later. */
  readonly clusterSize?: number | undefined;
}

/**
 * Returns the contents of a new file in full form, with random ids.
 * @throws {QdbError} USAGE for a cluster size, name, size, granularity or record that the format does not allow; LIMIT above 2^32 bits;
 * SIZE_MISMATCH for a bitmap with bits of another size than given
 */
export function newFile(init: FileInit, host: NewBitmapHost): FileContents {
  const { bitmaps = [], clusterSize = DEFAULT_CLUSTER_SIZE } = init;
  const clusterBits = Math.log2(clusterSize);
  if (!isClusterBits(clusterBits))
    throw new QdbError("USAGE", `clusterSize ${String(clusterSize)} is no power of two from 512 to 2097152`, {
      field: "clusterSize",
    });
  return {
    form: "full",
    clusterBits,
    fileId: host.randomId(),
    writerId: host.randomId(),
    allOnes: true,
    extensions: [],
    bitmaps: Array.from(bitmaps, (bitmap) => contentsOfNew(newBitmap(bitmap, host))),
  };
}
