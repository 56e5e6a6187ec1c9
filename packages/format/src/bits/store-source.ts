// Stores all bits of a source in a new file, in windows: each is read, checked for uniform clusters, put out, and forgotten.
import { bytesOfWords, uniformKind } from "../bitmap/bit-bytes.ts";
import type { Page } from "../bitmap/page.ts";
import type { BitRange } from "../bitmap/shape.ts";
import type { FileChunk } from "../ports/file-image.ts";
import { type Plan, put } from "../ports/plan.ts";
import type { BitSource } from "./bit-source.ts";
import { ChunkList } from "./chunk-list.ts";
import type { BitVisitor } from "./cluster-windows.ts";
import { putPage } from "./fill-clusters.ts";
import { Scratch } from "./scratch.ts";
import type { Allocate, StoredBits, TableBuilder, TableCodec } from "./store-bits.ts";
import { pageOf, showPage } from "./visit-source.ts";

/** Maximum number of bytes of clusters in a window. */
const WINDOW_BYTES = 1024 * 1024;

/** What a bitmap of a new file is stored with. */
export interface StoreSourceOptions<B extends TableBuilder> {
  /** Bytes per cluster. */
  readonly clusterSize: number;
  readonly codec: TableCodec<B>;
  /** Allocates the space of the table first, then that of the data clusters in the order of their bits. */
  readonly allocate: Allocate;
  /** Receives all bits, in ascending order. It keeps no words. */
  readonly visitor?: BitVisitor | undefined;
  /** Called after each window with the number of bits that were stored so far. */
  readonly onStored?: ((bits: number) => void) | undefined;
}

/**
 * Stores the bits of a source, each of which is read once. Puts out the data clusters, whose bytes are valid until the plan goes on. The
 * result has the table, which is not put out: it is known last.
 * @throws {QdbError} as reading the source
 */
export function* storeSource<B extends TableBuilder>(
  source: BitSource,
  options: StoreSourceOptions<B>,
): Plan<Pick<StoredBits, "count" | "tableOffset" | "table">, FileChunk> {
  const { clusterSize, codec, allocate, visitor, onStored } = options;
  const clusterBits = clusterSize * 8;
  const count = Math.ceil(source.bitCount / clusterBits);
  if (count === 0) return { count, tableOffset: 0, table: new Uint8Array(0) };
  const builder = codec.builder(count);
  const tableOffset = allocate(builder.bytes.length);
  const scratch = new Scratch();
  const step = Math.max(1, WINDOW_BYTES / clusterSize);
  for (let first = 0, end = 0; first < count; first = end) {
    end = Math.min(count, first + step);
    const range = { first: first * clusterBits, end: Math.min(end * clusterBits, source.bitCount) };
    const page = yield* pageOf(source, range, scratch.part(0));
    if (visitor !== undefined) showPage(page, range, visitor);
    if (page === "zeros" || (page === "ones" && codec.allOnes)) {
      for (let cluster = first; cluster < end; cluster++)
        page === "zeros" ? builder.setZeros(cluster) : builder.setOnes(cluster);
    } else {
      const bytes = bytesOfPage(page, range, (end - first) * clusterSize, scratch);
      const chunks = new ChunkList();
      for (let cluster = first; cluster < end; cluster++) {
        const part = bytes.subarray((cluster - first) * clusterSize, (cluster - first + 1) * clusterSize);
        const kind = uniformKind(part, Math.min(clusterBits, source.bitCount - cluster * clusterBits));
        if (kind === "zeros") builder.setZeros(cluster);
        else if (kind === "ones" && codec.allOnes) builder.setOnes(cluster);
        else {
          const offset = allocate(clusterSize);
          builder.setData(cluster, offset, codec.checksum(part));
          chunks.add(offset, part);
        }
      }
      for (const chunk of chunks.list) yield* put(chunk);
    }
    onStored?.(range.end);
  }
  return { count, tableOffset, table: builder.bytes };
}

/** Returns the bytes of whole clusters with the bits of a page: a view of them if they fill the clusters. */
function bytesOfPage(page: Page, { first, end }: BitRange, length: number, scratch: Scratch): Uint8Array {
  if (typeof page === "object" && end - first === length * 8) return bytesOfWords(page, length);
  const bytes = scratch.bytes(length);
  putPage(page, end - first, bytes);
  return bytes;
}
