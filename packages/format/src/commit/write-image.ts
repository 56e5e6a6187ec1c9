import type { Bitmap } from "../bitmap/bitmap.ts";
import { ClusterBits } from "../bits/cluster-bits.ts";
import { type StoredBits, storeBits } from "../bits/store-bits.ts";
import { alignUp } from "../layout/numbers.ts";
import { geometryOf } from "../open/geometry.ts";
import { type Digests, crc32 as ownCrc32 } from "../ports/digest.ts";
import type { FileChunk, FileImage } from "../ports/file-image.ts";
import { l1EntriesFor } from "../records/bitmap-entry.ts";
import { mirrorOffset, sealHeaderArea } from "../records/header.ts";
import { l1Codec } from "../records/l1.ts";
import type { DataFields } from "./bitmap-writes.ts";
import { encodeHeaderArea, newHeader } from "./encode-header.ts";
import { encodeTable, tableSizeOf } from "./encode-table.ts";
import type { FileContents } from "./file-contents.ts";

/**
 * Encodes a whole file in its canonical form: equal contents give equal bytes (spec §4, Canonical file).
 * @throws {QdbError} BAD_FIELD, DUPLICATE_NAME, DUPLICATE_TYPE, LIMIT or UNSUPPORTED_FEATURE for contents that break a rule; NOT_SUPPORTED
 * for all-ones clusters in draft form
 */
export function writeImage(contents: FileContents, digests: Digests = {}): FileImage {
  const crc32 = digests.crc32 ?? ownCrc32;
  const { bitmaps, extensions } = contents;
  const isFull = contents.form === "full";
  const header = newHeader(contents);
  const geometry = geometryOf(header, contents.form, Number.MAX_SAFE_INTEGER);
  let end = geometry.floor;
  const allocate = (length: number): number => {
    const offset = end;
    end = alignUp(end + length, geometry.clusterSize);
    return offset;
  };
  const tableOffset = bitmaps.length === 0 ? 0 : allocate(tableSizeOf(bitmaps));
  const codec = l1Codec(contents.form, contents.allOnes, crc32);
  const keep = (): never => {
    throw new Error("a new file keeps no cluster");
  };
  const stored = bitmaps.map(({ bits }) => {
    const clusters = ClusterBits.of(bits, { clusterSize: geometry.clusterSize });
    return { bits, data: storeBits(clusters, codec, allocate, keep) };
  });
  const fields = stored.map(({ bits, data }) =>
    dataFields(bits, data, isFull && data.count > 0 ? crc32(data.table) : 0),
  );
  const table = encodeTable(bitmaps, fields, geometry);
  header.bitmapsOffset = BigInt(tableOffset);
  header.bitmapsSize = isFull ? table.length : 0;
  header.tableChecksum = isFull && table.length > 0 ? crc32(table) : 0;
  const headerArea = encodeHeaderArea(header, contents.form, extensions);
  if (isFull) sealHeaderArea(headerArea, crc32);
  return {
    length: end,
    *chunks(): Generator<FileChunk, void> {
      yield { offset: 0, bytes: headerArea };
      if (isFull) yield { offset: mirrorOffset(geometry.clusterSize), bytes: headerArea };
      if (table.length > 0) yield { offset: tableOffset, bytes: table };
      for (const { data } of stored) yield* data.chunks();
    },
  };
}

/** Applies the rules that {@link writeImage} applies, without encoding any bits. @throws {QdbError} as {@link writeImage} */
export function validateContents(contents: FileContents): void {
  const header = newHeader(contents);
  const geometry = geometryOf(header, contents.form, Number.MAX_SAFE_INTEGER);
  const fields = contents.bitmaps.map(({ bits }) => {
    const l1Size = l1EntriesFor(bits.bitCount, geometry.clusterSize);
    return dataFields(bits, { count: l1Size, tableOffset: l1Size === 0 ? 0 : geometry.floor }, 0);
  });
  encodeTable(contents.bitmaps, fields, geometry);
  encodeHeaderArea(header, contents.form, contents.extensions);
}

function dataFields(
  { granularity, size }: Bitmap,
  { tableOffset, count }: Pick<StoredBits, "tableOffset" | "count">,
  l1Checksum: number,
): DataFields {
  return { l1TableOffset: BigInt(tableOffset), l1Size: count, granularity, size, l1Checksum };
}

/** Returns all bytes of a file image. @throws {RangeError} if a chunk lies outside of the image */
export function imageBytes(image: FileImage): Uint8Array {
  const result = new Uint8Array(image.length);
  for (const { offset, bytes } of image.chunks()) result.set(bytes, offset);
  return result;
}
