import { Bitmap } from "../bitmap/bitmap.ts";
import type { BitSource } from "../bits/bit-source.ts";
import { ClusterBits } from "../bits/cluster-bits.ts";
import type { BitVisitor } from "../bits/cluster-windows.ts";
import { storeSource } from "../bits/store-source.ts";
import { type Digests, crc32 as ownCrc32 } from "../ports/digest.ts";
import type { FileChunk } from "../ports/file-image.ts";
import type { Progress } from "../ports/long-call.ts";
import { type Plan, put } from "../ports/plan.ts";
import type { FileContents } from "./file-contents.ts";
import { ImageLayout, type StoredTable } from "./image-layout.ts";

/** What {@link imagePlan} needs beside the contents. */
export interface ImagePlanOptions {
  readonly digests?: Digests | undefined;
  /** Returns what receives the bits of the bitmap of index `at` as they are stored. */
  readonly visitorOf?: ((at: number) => BitVisitor) | undefined;
  /** Called with numbers of bits. */
  readonly onProgress?: Progress | undefined;
}

/**
 * Writes a whole file in its canonical form, as {@link writeImage} does, of bits that are read as they are stored: in windows, each of
 * them once. Puts out the chunks of the file: of each bitmap the data, then its L1 area; at last the table, the mirror and the header. The
 * bytes of a chunk are valid until the plan goes on; those that no chunk has are zero. Returns the length of the file in bytes.
 * @throws {QdbError} as {@link writeImage}, some of it only when the bits are stored; what reading a source throws
 */
export function* imagePlan(
  contents: FileContents<Bitmap | BitSource>,
  { digests = {}, visitorOf, onProgress }: ImagePlanOptions = {},
): Plan<number, FileChunk> {
  const { bitmaps } = contents;
  const layout = new ImageLayout(contents, digests.crc32 ?? ownCrc32);
  const { clusterSize } = layout.geometry;
  const total = bitmaps.reduce((sum, { bits }) => sum + bits.bitCount, 0);
  const stored: StoredTable[] = [];
  let done = 0;
  for (const [at, { bits }] of bitmaps.entries()) {
    const table = yield* storeSource(sourceOf(bits), {
      clusterSize,
      codec: layout.codec,
      allocate: (length) => layout.allocate(length),
      visitor: visitorOf?.(at),
      onStored: (bits) => onProgress?.(done + bits, total),
    });
    if (table.count > 0) yield* put({ offset: table.tableOffset, bytes: table.table });
    stored.push(table);
    done += bits.bitCount;
  }
  for (const chunk of layout.encode(stored).reverse()) yield* put(chunk);
  return layout.length;
}

/** Bytes of a bitmap in memory that are read at a time. */
const MEMORY_CLUSTER = 64 * 1024;

function sourceOf(bits: Bitmap | BitSource): BitSource {
  return bits instanceof Bitmap ? ClusterBits.of(bits, { clusterSize: MEMORY_CLUSTER }) : bits;
}
