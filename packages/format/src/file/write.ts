import type { Bitmap } from "../bitmap/bitmap.ts";
import { QdbError, throwFirst } from "../errors.ts";
import { alignUp } from "../layout/numbers.ts";
import {
  HEADER_AREA_SIZE,
  MAX_BITMAPS,
  MAX_CLUSTER_BITS,
  MAX_EXTENSIONS,
  MAX_TABLE_SIZE,
  MIN_CLUSTER_BITS,
} from "../limits.ts";
import { type Digests, crc32 as ownCrc32 } from "../ports/digest.ts";
import type { FileChunk, FileImage } from "../ports/image.ts";
import { BITMAP_ENTRY, BitmapEntry } from "../records/bitmap-entry.ts";
import { encodeFeatureNames, FEATURE_NAME_TABLE } from "../records/extensions.ts";
import { ALL_ONES_CLUSTERS, FEATURES } from "../records/features.ts";
import {
  DRAFT_HEADER,
  DRAFT_HEADER_LENGTH,
  type Form,
  FULL_HEADER_LENGTH,
  HEADER,
  type Header,
  MAGIC,
  mirrorOffset,
  sealHeaderArea,
  VERSION,
} from "../records/header.ts";
import { type Tlv, tlvSize, writeTlv } from "../records/tlv.ts";
import { extensionSpace, walkExtensions } from "./header-rules.ts";
import { type FileLayout, layoutOf } from "./layout.ts";
import { type StoredBits, storeBits } from "./store-bits.ts";
import { entryLength, validateEntries } from "./table.ts";

/** A bitmap to be written. */
export interface BitmapContents {
  /** UTF-8 bytes of the name; the rules of spec §3 are looked at when the file is made. */
  readonly nameBytes: Uint8Array;
  readonly flags: number;
  /** Extra-data records, in the order in which they are to stand. */
  readonly extraData: readonly Tlv[];
  /** Size, granularity and bits. */
  readonly bits: Bitmap;
}

/** Everything that a whole file says: what `writeImage` puts into bytes. */
export interface FileContents {
  readonly form: Form;
  readonly clusterBits: number;
  /** 16 bytes; a draft has none. */
  readonly fileId: Uint8Array;
  /** 16 bytes; a draft has none. */
  readonly writerId: Uint8Array;
  /** Whether the file uses all-ones clusters (incompatible bit 0); never in draft form. */
  readonly allOnes: boolean;
  /** Header extensions but the feature name table, which is derived. */
  readonly extensions: readonly Tlv[];
  readonly bitmaps: readonly BitmapContents[];
}

/**
 * Lays a whole file out, canonically: the same contents give the same bytes (spec §4, Canonical file).
 * @throws {QdbError} the code of the rule that the contents break: BAD_FIELD, DUPLICATE_NAME, DUPLICATE_TYPE, LIMIT, UNSUPPORTED_FEATURE
 */
export function writeImage(contents: FileContents, digests: Digests = {}): FileImage {
  const crc32 = digests.crc32 ?? ownCrc32;
  const header = newHeader(contents);
  const layout = layoutOf(header, contents.form, Number.MAX_SAFE_INTEGER);
  let end = layout.floor;
  const allocate = (length: number): number => {
    const offset = end;
    end = alignUp(end + length, layout.clusterSize);
    return offset;
  };
  const tableSize = contents.bitmaps.reduce(
    (sum, bitmap) => sum + entryLength(tlvSize(bitmap.extraData), bitmap.nameBytes.length),
    0,
  );
  if (tableSize > MAX_TABLE_SIZE)
    throw new QdbError(
      "LIMIT",
      `the bitmap table would take ${tableSize} bytes, at most ${MAX_TABLE_SIZE} are allowed`,
    );
  const tableOffset = contents.bitmaps.length === 0 ? 0 : allocate(tableSize);
  const stored = contents.bitmaps.map((bitmap) => storeBits(bitmap.bits, layout, allocate, crc32));
  const table = encodeTable(contents, stored, tableSize, layout, crc32);
  header.bitmapsOffset = BigInt(tableOffset);
  header.bitmapsSize = contents.form === "full" ? tableSize : 0;
  header.tableChecksum = contents.form === "full" && tableSize > 0 ? crc32(table) : 0;
  const area = encodeHeaderArea(header, contents.form, contents.extensions);
  if (contents.form === "full") sealHeaderArea(area, crc32);
  return {
    length: end,
    *chunks(): Generator<FileChunk, void> {
      yield { offset: 0, bytes: area };
      if (contents.form === "full") yield { offset: mirrorOffset(layout.clusterSize), bytes: area };
      if (tableSize > 0) yield { offset: tableOffset, bytes: table };
      for (const bits of stored) yield* bits.chunks();
    },
  };
}

/** The bytes of a whole file in memory. @throws {QdbError} as {@link writeImage} */
export function imageBytes(image: FileImage): Uint8Array {
  const result = new Uint8Array(image.length);
  for (const { offset, bytes } of image.chunks()) result.set(bytes, offset);
  return result;
}

function newHeader(contents: FileContents): Header {
  const { clusterBits, bitmaps, form, allOnes } = contents;
  if (!(Number.isInteger(clusterBits) && clusterBits >= MIN_CLUSTER_BITS && clusterBits <= MAX_CLUSTER_BITS)) {
    throw new QdbError(
      "BAD_FIELD",
      `cluster_bits is ${clusterBits}, allowed are ${MIN_CLUSTER_BITS} to ${MAX_CLUSTER_BITS}`,
      { structure: "header", field: "cluster_bits" },
    );
  }
  if (bitmaps.length > MAX_BITMAPS) {
    throw new QdbError("LIMIT", `${bitmaps.length} bitmaps are more than ${MAX_BITMAPS}`, {
      structure: "header",
      field: "nb_bitmaps",
    });
  }
  if (form === "draft" && allOnes) {
    throw new QdbError("NOT_SUPPORTED", "a draft file has no all-ones clusters; write it in full form", {
      structure: "header",
      field: "incompatible_features",
    });
  }
  const full = form === "full";
  return {
    magic: MAGIC,
    version: VERSION,
    clusterBits,
    nbBitmaps: bitmaps.length,
    bitmapsOffset: 0n,
    headerLength: full ? FULL_HEADER_LENGTH : DRAFT_HEADER_LENGTH,
    bitmapsSize: 0,
    incompatibleFeatures: allOnes ? ALL_ONES_CLUSTERS : 0n,
    compatibleFeatures: 0n,
    autoclearFeatures: 0n,
    generation: full ? 1n : 0n,
    tableChecksum: 0,
    headerChecksum: 0,
    writerId: contents.writerId,
    fileId: contents.fileId,
  };
}

/** The 4096 bytes of a header area (a draft's: the first cluster's, at most 4096), checksum not yet set. */
function encodeHeaderArea(header: Header, form: Form, given: readonly Tlv[]): Uint8Array {
  const size = form === "full" ? HEADER_AREA_SIZE : Math.min(2 ** header.clusterBits, HEADER_AREA_SIZE);
  const bytes = new Uint8Array(size);
  if (form === "full") HEADER.encode(header, bytes);
  else DRAFT_HEADER.encode(header, bytes);
  const names = FEATURES.filter(
    ({ kind, bit }) => kind === "incompatible" && ((header.incompatibleFeatures >> BigInt(bit)) & 1n) === 1n,
  );
  const features = { type: FEATURE_NAME_TABLE, data: encodeFeatureNames(names) };
  const extensions = names.length === 0 ? given : [features, ...given];
  const area = { form, header, bytes, offset: 0 };
  const [start, end] = extensionSpace(area);
  if (extensions.length > MAX_EXTENSIONS || start + tlvSize(extensions) > end) {
    throw new QdbError(
      "LIMIT",
      `${extensions.length} header extensions of ${tlvSize(extensions)} bytes do not fit: ${end - start} bytes and ${MAX_EXTENSIONS} extensions are what there is; larger clusters give more room`,
      { structure: "header extension" },
    );
  }
  writeTlv(extensions, bytes, start);
  walkExtensions(area, throwFirst);
  return bytes;
}

/** The bytes of the bitmap table; what the format does not allow is found by the rules that readers use. */
function encodeTable(
  contents: FileContents,
  stored: readonly StoredBits[],
  size: number,
  layout: FileLayout,
  crc32: NonNullable<Digests["crc32"]>,
): Uint8Array {
  const table = new Uint8Array(size);
  const entries: BitmapEntry[] = [];
  let at = 0;
  for (const [index, bitmap] of contents.bitmaps.entries()) {
    const bits = stored[index];
    if (bits === undefined) continue;
    at = encodeEntry(bitmap, bits, contents.form, table, at, crc32);
    const length = entryLength(tlvSize(bitmap.extraData), bitmap.nameBytes.length);
    entries.push(new BitmapEntry(index, table, at - length, 0));
  }
  for (const { problem } of validateEntries(entries, layout)) {
    // in_use is a fact that a file may state, not a mistake of who writes it.
    if (problem.code !== "INCONSISTENT") throwFirst(problem);
  }
  return table;
}

/** Writes one entry at `at` and gives the offset behind it. */
function encodeEntry(
  bitmap: BitmapContents,
  bits: StoredBits,
  form: Form,
  table: Uint8Array,
  at: number,
  crc32: NonNullable<Digests["crc32"]>,
): number {
  const extraDataSize = tlvSize(bitmap.extraData);
  BITMAP_ENTRY.encode(
    {
      l1TableOffset: BigInt(bits.areaOffset),
      l1Size: bits.l1Size,
      granularity: bitmap.bits.granularity,
      size: bitmap.bits.size,
      flags: bitmap.flags,
      nameSize: Math.min(bitmap.nameBytes.length, 0xffff),
      l1Checksum: form === "full" && bits.l1Size > 0 ? crc32(bits.area) : 0,
      reserved: 0,
      extraDataSize,
    },
    table,
    at,
  );
  const name = writeTlv(bitmap.extraData, table, at + BITMAP_ENTRY.size);
  table.set(bitmap.nameBytes, name);
  return at + entryLength(extraDataSize, bitmap.nameBytes.length);
}
