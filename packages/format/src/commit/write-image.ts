import { type BitmapShape, bitsOfShape } from "../bitmap/shape.ts";
import { ClusterBits } from "../bits/cluster-bits.ts";
import { storeBits } from "../bits/store-bits.ts";
import { geometryOf } from "../open/geometry.ts";
import { type Digests, crc32 as ownCrc32 } from "../ports/digest.ts";
import type { FileChunk, FileImage } from "../ports/file-image.ts";
import { l1EntriesFor } from "../records/bitmap-entry.ts";
import { encodeHeaderArea, newHeader } from "./encode-header.ts";
import { encodeTable } from "./encode-table.ts";
import type { FileContents } from "./file-contents.ts";
import { dataFields, ImageLayout } from "./image-layout.ts";

/**
 * Encodes a whole file in its canonical form: equal contents give equal bytes (spec §4, Canonical file).
 * @throws {QdbError} BAD_FIELD, DUPLICATE_NAME, DUPLICATE_TYPE, LIMIT or UNSUPPORTED_FEATURE for contents that break a rule; NOT_SUPPORTED
 * for all-ones clusters in draft form
 */
export function writeImage(contents: FileContents, digests: Digests = {}): FileImage {
  const layout = new ImageLayout(contents, digests.crc32 ?? ownCrc32);
  const { clusterSize } = layout.geometry;
  const allocate = (length: number): number => layout.allocate(length);
  const keep = (): never => {
    throw new Error("a new file keeps no cluster");
  };
  const stored = contents.bitmaps.map(({ bits }) =>
    storeBits(ClusterBits.of(bits, { clusterSize }), layout.codec, allocate, keep),
  );
  const structures = layout.encode(stored);
  return {
    length: layout.length,
    *chunks(): Generator<FileChunk, void> {
      yield* structures;
      for (const bits of stored) yield* bits.chunks();
    },
  };
}

/** Applies the rules that {@link writeImage} applies, without encoding any bits. @throws {QdbError} as {@link writeImage} */
export function validateContents(contents: FileContents<BitmapShape>): void {
  const header = newHeader(contents);
  const geometry = geometryOf(header, contents.form, Number.MAX_SAFE_INTEGER);
  const fields = contents.bitmaps.map(({ bits }) => {
    const l1Size = l1EntriesFor(bitsOfShape(bits), geometry.clusterSize);
    return dataFields(bits, { count: l1Size, tableOffset: l1Size === 0 ? 0 : geometry.floor }, 0);
  });
  encodeTable(contents.bitmaps, fields, geometry);
  encodeHeaderArea(header, contents.form, contents.extensions);
}

/** Returns all bytes of a file image. @throws {RangeError} if a chunk lies outside of the image */
export function imageBytes(image: FileImage): Uint8Array {
  const result = new Uint8Array(image.length);
  for (const { offset, bytes } of image.chunks()) result.set(bytes, offset);
  return result;
}
