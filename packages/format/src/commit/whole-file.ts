import type { Bitmap } from "../bitmap/bitmap.ts";
import { type StoredBits, storeBits } from "../bits/store-bits.ts";
import { QdbError, throwFirst } from "../errors.ts";
import { alignUp } from "../layout/numbers.ts";
import { specName } from "../layout/struct.ts";
import {
  HEADER_AREA_SIZE,
  isClusterBits,
  MAX_BITMAPS,
  MAX_CLUSTER_BITS,
  MAX_EXTENSIONS,
  MAX_TABLE_SIZE,
  MIN_CLUSTER_BITS,
} from "../limits.ts";
import { entryLength } from "../open/bitmap-table.ts";
import { validateEntries } from "../open/entry-rules.ts";
import { type FileGeometry, geometryOf } from "../open/geometry.ts";
import { extensionSpace, walkExtensions } from "../open/header-rules.ts";
import { type Digests, crc32 as ownCrc32 } from "../ports/digest.ts";
import type { FileChunk, FileImage } from "../ports/file-image.ts";
import { BITMAP_ENTRY, BitmapEntry, l1EntriesFor } from "../records/bitmap-entry.ts";
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
import type { EntryContents } from "./bitmap-change.ts";

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
  /** Header extensions; a feature name table among them is left out, since the writer derives its own. */
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
  const geometry = geometryOf(header, contents.form, Number.MAX_SAFE_INTEGER);
  let end = geometry.floor;
  const allocate = (length: number): number => {
    const offset = end;
    end = alignUp(end + length, geometry.clusterSize);
    return offset;
  };
  const tableSize = tableSizeOf(contents);
  const tableOffset = contents.bitmaps.length === 0 ? 0 : allocate(tableSize);
  const stored = contents.bitmaps.map((bitmap) => storeBits(bitmap.bits, geometry, allocate, crc32));
  const table = encodeTable(contents, stored, tableSize, geometry, crc32);
  header.bitmapsOffset = BigInt(tableOffset);
  header.bitmapsSize = contents.form === "full" ? tableSize : 0;
  header.tableChecksum = contents.form === "full" && tableSize > 0 ? crc32(table) : 0;
  const area = encodeHeaderArea(header, contents.form, contents.extensions);
  if (contents.form === "full") sealHeaderArea(area, crc32);
  return {
    length: end,
    *chunks(): Generator<FileChunk, void> {
      yield { offset: 0, bytes: area };
      if (contents.form === "full") yield { offset: mirrorOffset(geometry.clusterSize), bytes: area };
      if (tableSize > 0) yield { offset: tableOffset, bytes: table };
      for (const bits of stored) yield* bits.chunks();
    },
  };
}

/** Looks at contents as {@link writeImage} does, but lays no bits out. @throws {QdbError} as {@link writeImage} */
export function validateContents(contents: FileContents): void {
  const header = newHeader(contents);
  const geometry = geometryOf(header, contents.form, Number.MAX_SAFE_INTEGER);
  const placed = contents.bitmaps.map(({ bits }): StoredBits => {
    const l1Size = l1EntriesFor(bits.bitCount, geometry.clusterSize);
    return { l1Size, areaOffset: l1Size === 0 ? 0 : geometry.floor, area: new Uint8Array(0), *chunks() {} };
  });
  encodeTable(contents, placed, tableSizeOf(contents), geometry, () => 0);
  encodeHeaderArea(header, contents.form, contents.extensions);
}

function tableSizeOf({ bitmaps }: FileContents): number {
  const size = bitmaps.reduce(
    (sum, { extraData, nameBytes }) => sum + entryLength(tlvSize(extraData), nameBytes.length),
    0,
  );
  if (size <= MAX_TABLE_SIZE) return size;
  throw new QdbError("LIMIT", `the bitmap table would take ${size} bytes, at most ${MAX_TABLE_SIZE} are allowed`);
}

/** The bytes of a whole file in memory. @throws {QdbError} as {@link writeImage} */
export function imageBytes(image: FileImage): Uint8Array {
  const result = new Uint8Array(image.length);
  for (const { offset, bytes } of image.chunks()) result.set(bytes, offset);
  return result;
}

function newHeader(contents: FileContents): Header {
  const { clusterBits, bitmaps, form, allOnes } = contents;
  if (!isClusterBits(clusterBits)) {
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
  if (full) for (const field of ["fileId", "writerId"] as const) requireId(contents[field], field);
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

function requireId(id: Uint8Array, field: "fileId" | "writerId"): void {
  if (id.length === 16) return;
  const name = specName(field);
  throw new QdbError("BAD_FIELD", `${name} has ${id.length} bytes, it needs 16`, { structure: "header", field: name });
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
  const others = given.filter(({ type }) => type !== FEATURE_NAME_TABLE);
  const extensions = names.length === 0 ? others : [features, ...others];
  if (others.some(({ type }) => type === 0)) {
    // Readers would take it for the end mark, and it and all behind it would be gone.
    throw new QdbError("BAD_FIELD", "a header extension of type 0 cannot be stored", {
      structure: "header extension",
      field: "type",
    });
  }
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
  geometry: FileGeometry,
  crc32: NonNullable<Digests["crc32"]>,
): Uint8Array {
  const table = new Uint8Array(size);
  const entries: BitmapEntry[] = [];
  let at = 0;
  for (const [index, bitmap] of contents.bitmaps.entries()) {
    const bits = stored[index];
    if (bits === undefined) continue;
    const entry = encodeEntry(bitmap, {
      l1TableOffset: BigInt(bits.areaOffset),
      l1Size: bits.l1Size,
      granularity: bitmap.bits.granularity,
      size: bitmap.bits.size,
      l1Checksum: contents.form === "full" && bits.l1Size > 0 ? crc32(bits.area) : 0,
    });
    table.set(entry, at);
    entries.push(new BitmapEntry(index, table, at, 0));
    at += entry.length;
  }
  for (const { problem } of validateEntries(entries, geometry)) {
    // in_use is a fact that a file may state, not a mistake of who writes it.
    if (problem.code !== "INCONSISTENT") throwFirst(problem);
  }
  return table;
}

/** The bytes of a table entry: what it says, and where its bits are. */
export function encodeEntry(
  { nameBytes, flags, extraData }: EntryContents,
  place: Pick<BitmapEntry["fields"], "l1TableOffset" | "l1Size" | "granularity" | "size" | "l1Checksum">,
): Uint8Array {
  const extraDataSize = tlvSize(extraData);
  const bytes = new Uint8Array(entryLength(extraDataSize, nameBytes.length));
  // A name too long for its field breaks a rule all the same: the validator says so.
  const nameSize = Math.min(nameBytes.length, 0xffff);
  const { l1TableOffset, l1Size, granularity, size, l1Checksum } = place;
  BITMAP_ENTRY.encode(
    { l1TableOffset, l1Size, granularity, size, flags, nameSize, l1Checksum, reserved: 0, extraDataSize },
    bytes,
  );
  bytes.set(nameBytes, writeTlv(extraData, bytes, BITMAP_ENTRY.size));
  return bytes;
}
