import type { Bitmap } from "../bitmap/bitmap.ts";
import { QdbError, throwFirst } from "../errors.ts";
import { equalBytes } from "../layout/bytes.ts";
import { alignUp } from "../layout/numbers.ts";
import { MAX_BITMAPS, MAX_TABLE_SIZE } from "../limits.ts";
import type { Crc32 } from "../ports/digest.ts";
import type { FileChunk } from "../ports/image.ts";
import { BITMAP_ENTRY, BitmapEntry } from "../records/bitmap-entry.ts";
import { KNOWN_AUTOCLEAR } from "../records/features.ts";
import { FULL_HEADER_LENGTH, HEADER, sealHeaderArea } from "../records/header.ts";
import { L1Area, L1Builder } from "../records/l1.ts";
import { writeTlv } from "../records/tlv.ts";
import { QdbClusterMap } from "./cluster-map.ts";
import { validateEntries } from "./entry-rules.ts";
import type { FreeSpace } from "./free-space.ts";
import { extensionSpace } from "./header-rules.ts";
import { layoutOf } from "./layout.ts";
import type { FileState, MappedBitmap } from "./maps.ts";
import type { NextBitmap, PlainClusters } from "./next-bitmap.ts";
import { indexOf, type QdbIndex } from "./qdb-index.ts";
import { storeBits } from "./store-bits.ts";
import { encodeEntry } from "./write.ts";

/** A cluster that moves as it is, with the checksum that it has. */
export interface Copy {
  readonly from: number;
  readonly to: number;
}

/** A bitmap of the next generation with its place. */
export interface Placed {
  /** Its table entry, padding included. */
  readonly entry: Uint8Array;
  /** Its L1 area; undefined where this generation's could not be trusted, and the entry is copied as it is. */
  readonly area: Uint8Array | undefined;
  readonly chunks: () => Iterable<FileChunk>;
  readonly copies: readonly Copy[];
  /** Whether it was in error before, and its entry is copied: what breaks a rule in it is no mistake of this commit. */
  readonly copiedError: boolean;
  /** Why this generation's bits could not be used, nor can be then. */
  readonly problem: MappedBitmap["problem"];
}

/** What a commit writes beside the bits. */
export interface NextHeader {
  readonly table: Uint8Array;
  /** File offset of the table, 0 when there is none. */
  readonly tableOffset: number;
  /** The header area: mirror first, then primary. */
  readonly area: Uint8Array;
}

/** Finds free space for what the next generation stores anew. */
export function placeAll(bitmaps: readonly NextBitmap[], space: FreeSpace, index: QdbIndex, crc32: Crc32): Placed[] {
  return bitmaps.map((next) => {
    if (next.bits !== undefined) return placeBits(next, next.bits, space, index, crc32);
    if (next.move !== undefined) return placeMove(next, next.move, space, index, crc32);
    const map = next.from?.map;
    const entry = entryBytes(next, { l1TableOffset: next.from?.entry.fields.l1TableOffset ?? 0n }, crc32);
    return { entry, area: map?.area.bytes, chunks: () => [], copies: [], ...keptError(next, index) };
  });
}

/** What is wrong and stays. An untouched entry may not come into error by what a commit does to others: a frozen one by its successor's change. */
function keptError({ from, entry }: NextBitmap, index: QdbIndex): Pick<Placed, "copiedError" | "problem"> {
  const before = from === undefined ? undefined : index.problems.get(from.entry.index);
  const copiedError = entry === undefined && before !== undefined && before.code !== "INCONSISTENT";
  return { copiedError, problem: from?.problem };
}

function placeBits(
  next: NextBitmap,
  bits: NonNullable<NextBitmap["bits"]>,
  space: FreeSpace,
  index: QdbIndex,
  crc32: Crc32,
): Placed {
  const { original } = next;
  const map = next.from?.map;
  const { clusterSize } = index;
  const kept = original === undefined || map === undefined ? 0 : keptClusters(original, bits, map);
  const stored = storeBits(
    bits,
    index,
    (length) => space.allocate(length),
    crc32,
    (cluster, bytes) => {
      if (original === undefined || map === undefined || cluster >= kept || map.kind(cluster) !== "data")
        return undefined;
      if (!equalBytes(original.viewAt(cluster * clusterSize, clusterSize), bytes)) return undefined;
      return { offset: map.offset(cluster), checksum: map.area.checksum(cluster) ?? 0 };
    },
  );
  const place = {
    l1TableOffset: BigInt(stored.areaOffset),
    l1Size: stored.l1Size,
    granularity: bits.granularity,
    size: bits.size,
  };
  const entry = entryBytes(next, place, crc32, stored.area);
  return {
    entry,
    area: stored.area,
    chunks: () => stored.chunks(),
    copies: [],
    copiedError: false,
    problem: undefined,
  };
}

function placeMove(next: NextBitmap, plain: PlainClusters, space: FreeSpace, index: QdbIndex, crc32: Crc32): Placed {
  const map = next.from?.map;
  if (map === undefined || map.count === 0) {
    const entry = entryBytes(next, {}, crc32);
    return { entry, area: map?.area.bytes, chunks: () => [], copies: [], ...keptError(next, index) };
  }
  const builder = new L1Builder(map.count, "full");
  const areaOffset = space.allocate(builder.bytes.length);
  const copies: Copy[] = [];
  for (let cluster = 0; cluster < map.count; cluster++) {
    const kind = map.kind(cluster);
    if (kind === "ones" || plain.ones.has(cluster)) builder.setOnes(cluster);
    else if (kind === "zeros" || plain.zeros.has(cluster)) builder.setZeros(cluster);
    else {
      const to = space.allocate(index.clusterSize);
      copies.push({ from: map.offset(cluster), to });
      builder.setData(cluster, to, map.area.checksum(cluster) ?? 0);
    }
  }
  const area = builder.bytes;
  return {
    entry: entryBytes(next, { l1TableOffset: BigInt(areaOffset) }, crc32, area),
    area,
    chunks: () => [{ offset: areaOffset, bytes: area }],
    copies,
    ...keptError(next, index),
  };
}

/** Number of clusters that may stay where they are: what stands behind the last bit would become bits of a longer bitmap. */
function keptClusters(original: Bitmap, bits: Bitmap, map: QdbClusterMap): number {
  return bits.bits === original.bits ? map.count : Math.floor(original.bits / (map.clusterSize * 8));
}

type Place = Partial<Pick<BitmapEntry["fields"], "l1TableOffset" | "l1Size" | "granularity" | "size">>;

/** The bytes of an entry: this generation's, with what changes; the L1 area, where it is new, gives its checksum. */
function entryBytes(next: NextBitmap, place: Place, crc32: Crc32, area?: Uint8Array): Uint8Array {
  const before = next.from?.entry;
  const fields = before?.fields ?? BITMAP_ENTRY.decode(new Uint8Array(BITMAP_ENTRY.size));
  const checksum = area === undefined ? fields.l1Checksum : area.length === 0 ? 0 : crc32(area);
  const changed = { ...fields, ...place, l1Checksum: checksum };
  if (next.entry !== undefined) return encodeEntry(next.entry, changed);
  if (before === undefined) throw new Error("a new bitmap needs an entry");
  const bytes = before.bytes.slice();
  BITMAP_ENTRY.encode(changed, bytes);
  return bytes;
}

/** Builds table and header area of generation N+1. @throws {QdbError} the code of the rule that a changed entry would break */
export function nextHeader(
  index: QdbIndex,
  placed: readonly Placed[],
  space: FreeSpace,
  { crc32, writerId }: { readonly crc32: Crc32; readonly writerId: Uint8Array },
): NextHeader {
  const size = placed.reduce((sum, { entry }) => sum + entry.length, 0);
  refuseTooMuch(placed.length, size);
  const table = new Uint8Array(size);
  let at = 0;
  for (const { entry } of placed) {
    table.set(entry, at);
    at += entry.length;
  }
  validateNext(index, placed, table);
  const tableOffset = size === 0 ? 0 : space.allocate(size);
  const header = {
    ...index.header,
    nbBitmaps: placed.length,
    bitmapsOffset: BigInt(tableOffset),
    bitmapsSize: size,
    autoclearFeatures: index.header.autoclearFeatures & KNOWN_AUTOCLEAR,
    generation: index.header.generation + 1n,
    tableChecksum: size === 0 ? 0 : crc32(table),
    writerId,
  };
  const area = new Uint8Array(index.opened.bytes.length);
  HEADER.encode(header, area);
  area.set(index.unknownHeader, FULL_HEADER_LENGTH);
  const [start] = extensionSpace({ form: "full", header, bytes: area, offset: 0 });
  writeTlv(index.extensions, area, start);
  sealHeaderArea(area, crc32);
  return { table, tableOffset, area };
}

/** @throws {QdbError} LIMIT for more bitmaps, or a longer table, than a file can have */
function refuseTooMuch(bitmaps: number, tableSize: number): void {
  if (bitmaps <= MAX_BITMAPS && tableSize <= MAX_TABLE_SIZE) return;
  throw new QdbError(
    "LIMIT",
    `${bitmaps} bitmaps with a table of ${tableSize} bytes are too much for one file: ${MAX_BITMAPS} and ${MAX_TABLE_SIZE} bytes are allowed`,
    { structure: "bitmap table" },
  );
}

/** The rules that readers use, on what is about to be written. */
function validateNext(index: QdbIndex, placed: readonly Placed[], table: Uint8Array): void {
  const entries = splitEntries(placed, table, 0);
  for (const { entry, problem } of validateEntries(entries, index)) {
    if (problem.code !== "INCONSISTENT" && placed[entry.index]?.copiedError === false) throwFirst(problem);
  }
}

function splitEntries(placed: readonly Placed[], table: Uint8Array, tableOffset: number): BitmapEntry[] {
  let at = 0;
  return placed.map(({ entry }, index) => {
    at += entry.length;
    return new BitmapEntry(index, table, at - entry.length, tableOffset);
  });
}

/** What the file says once a commit is done, from what was written. */
export function nextState(
  before: FileState,
  next: NextHeader,
  placed: readonly Placed[],
  crc32: Crc32,
  fileSize: number,
): FileState {
  const header = HEADER.decode(next.area);
  const opened = { form: "full" as const, header, bytes: next.area, offset: 0, primary: { bytes: next.area } };
  const table = { bytes: next.table, entries: splitEntries(placed, next.table, next.tableOffset) };
  const index = indexOf(opened, layoutOf(header, "full", fileSize), before.index.extensions, table);
  const mapped = table.entries.map((entry): MappedBitmap => {
    const { area, problem: kept } = placed[entry.index] ?? {};
    const problem = index.problems.get(entry.index);
    if (area === undefined) return { entry, map: undefined, problem: problem ?? kept };
    const { l1Size, l1TableOffset } = entry.fields;
    return {
      entry,
      map: new QdbClusterMap(entry, new L1Area(area, l1Size, "full"), Number(l1TableOffset), index.clusterSize, crc32),
      problem,
    };
  });
  return { index, mapped };
}

/** Bytes of a chunk, filled up to whole clusters, so that a file ends at a cluster's end. */
export function padToCluster({ offset, bytes }: FileChunk, clusterSize: number): FileChunk {
  if (bytes.length % clusterSize === 0) return { offset, bytes };
  const padded = new Uint8Array(alignUp(bytes.length, clusterSize));
  padded.set(bytes);
  return { offset, bytes: padded };
}
