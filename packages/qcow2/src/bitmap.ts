import {
  align8,
  type BitmapShape,
  type ByteRange,
  bitsOf,
  type ClusterMap,
  type Decoded,
  decodeUtf8,
  type Problem,
  QdbError,
  specName,
  struct,
  toHex,
  u8,
  u16,
  u32,
  u64,
} from "@qdb/format";
import { hex32, MAX_BITS, MAX_NAME_SIZE } from "@qdb/format/internal";
import { type Image, overlapProblem, placeProblem } from "./image.ts";
import { GRANULARITY_BITS } from "./limits.ts";
import { Qcow2ClusterMap } from "./map.ts";
import { BITMAP_TABLE_ENTRY, type TableEntries } from "./table-entries.ts";

/** Entry of the bitmap directory, 24 bytes (qcow2: Bitmap directory); extra data, name and padding to 8 follow. */
export const DIRECTORY_ENTRY = struct("bitmap directory entry", 24, {
  bitmapTableOffset: [0, u64, "file offset of the bitmap table in bytes, cluster-aligned", "qcow2: Bitmap directory"],
  bitmapTableSize: [8, u32, "number of entries of the bitmap table", "qcow2: Bitmap directory"],
  flags: [12, u32, "bit 0 in_use, bit 1 auto, bit 2 extra_data_compatible", "qcow2: Bitmap directory"],
  type: [16, u8, "1: dirty tracking", "qcow2: Bitmap directory"],
  granularityBits: [17, u8, "a bit is 1 << granularity_bits bytes of the disk", "qcow2: Bitmap directory"],
  nameSize: [18, u16, "length of the name in bytes", "qcow2: Bitmap directory"],
  extraDataSize: [20, u32, "length of the extra data in bytes", "qcow2: Bitmap directory"],
});

/** Flags of a bitmap that this reader knows (qcow2: Bitmap directory). */
const FLAG = { inUse: 1, auto: 2 } as const;
/** The one type of bitmap there is. */
const DIRTY_TRACKING = 1;

/** The clusters of all bitmaps of an image, after judgement.ts checked who owns them. */
export interface Judgement {
  /** The first problem of the clusters of a bitmap. */
  problemOf(bitmap: Qcow2Bitmap): Problem | undefined;
  /** The table of a bitmap without a problem. */
  entriesOf(bitmap: Qcow2Bitmap): TableEntries;
}

/** A bitmap directory as it stands in the file, and what its entries are judged by. */
export interface Directory {
  readonly bytes: Uint8Array;
  /** File offset in bytes. */
  readonly offset: number;
  readonly image: Image;
  /** Places of the bitmaps whose name another one has too. */
  readonly doubled: Set<number>;
  /** Who owns the clusters of the bitmaps; absent until the image was looked through, and where no bitmap is worth it. */
  judgement?: Judgement;
}

/** Bytes that the directory entry at `start` takes, padding included; its 24 fixed bytes must be there. */
export function entryLength(directory: Uint8Array, start: number): number {
  const { extraDataSize, nameSize } = DIRECTORY_ENTRY.decode(directory, start);
  return align8(DIRECTORY_ENTRY.size + extraDataSize + nameSize);
}

/** The name's bytes in the directory entry at `start`: behind the extra data. */
export function entryName(directory: Uint8Array, start: number): Uint8Array {
  const { extraDataSize, nameSize } = DIRECTORY_ENTRY.decode(directory, start);
  const at = start + DIRECTORY_ENTRY.size + extraDataSize;
  return directory.subarray(at, at + nameSize);
}

/**
 * One bitmap as its directory entry describes it. Everything is decoded where it is looked at: a directory may hold 65535 of
 * them, and they must not cost more than their bytes do.
 */
export class Qcow2Bitmap {
  /** Place in the directory, from 0. */
  readonly index: number;
  readonly #directory: Directory;
  readonly #start: number;

  constructor(index: number, directory: Directory, start: number) {
    this.index = index;
    this.#directory = directory;
    this.#start = start;
  }

  /** The fields of its directory entry. */
  get fields(): Readonly<Decoded<typeof DIRECTORY_ENTRY.fields>> {
    return DIRECTORY_ENTRY.decode(this.#directory.bytes, this.#start);
  }

  /** File offset of its directory entry in bytes. */
  get fileOffset(): number {
    return this.#directory.offset + this.#start;
  }

  /** The directory entry's bytes, padding included. */
  get bytes(): Uint8Array {
    const { bytes } = this.#directory;
    return bytes.subarray(this.#start, this.#start + entryLength(bytes, this.#start));
  }

  /** The name as it stands there: bytes of no known encoding, unique in the image. */
  get nameBytes(): Uint8Array {
    return entryName(this.#directory.bytes, this.#start);
  }

  /** The name; undefined when it is not UTF-8. */
  get name(): string | undefined {
    return decodeUtf8(this.nameBytes);
  }

  /** The name for messages and lists: the name, or `hex:` and its bytes when it is not UTF-8. */
  get label(): string {
    return this.name ?? `hex:${toHex(this.nameBytes)}`;
  }

  /** Bytes a bit; meaningful where `granularity_bits` keeps its rule. */
  get granularity(): number {
    return 2 ** this.fields.granularityBits;
  }

  /** The virtual disk's size, and the granularity. */
  get shape(): BitmapShape {
    return { size: this.#directory.image.virtualSize, granularity: this.granularity };
  }

  /** Number of bits, ceil(size / granularity); meaningful where there are no more than 2^32. */
  get bitCount(): number {
    return Number(bitsOf(this.#directory.image.virtualSize, this.granularity));
  }

  /** Whether the bitmap records writes from the first one on (flag `auto`). */
  get enabled(): boolean {
    return (this.fields.flags & FLAG.auto) !== 0;
  }

  /** Whether its bits in the file are older than those that some program has, or had when it died (flag `in_use`). */
  get inUse(): boolean {
    return (this.fields.flags & FLAG.inUse) !== 0;
  }

  /** Its table as the directory entry describes it. */
  get table(): ByteRange {
    const { bitmapTableOffset, bitmapTableSize } = this.fields;
    return { offset: Number(bitmapTableOffset), length: bitmapTableSize * BITMAP_TABLE_ENTRY.size };
  }

  /**
   * The first thing that is wrong with what it is: name, extra data, type, granularity, unknown flags, number of bits. A bitmap
   * without such a problem covers its disk in bits of known size, whatever their values: when in doubt, all of them are dirty.
   */
  get shapeProblem(): Problem | undefined {
    return shapeProblem(this, this.#directory);
  }

  /** The first thing that is wrong with it; its bits are refused while there is one. Found out anew at each look. */
  get problem(): Problem | undefined {
    return this.entryProblem ?? this.#directory.judgement?.problemOf(this);
  }

  /** The first thing that its directory entry alone shows to be wrong. @internal */
  get entryProblem(): Problem | undefined {
    return this.shapeProblem ?? doubtProblem(this, this.#directory.image) ?? tableProblem(this, this.#directory.image);
  }

  /** Where its bits are, for the plans over bits of @qdb/format. Nothing is read for it. @throws {QdbError} its problem */
  map(): ClusterMap {
    const { problem } = this;
    if (problem !== undefined) throw QdbError.from(problem);
    const { judgement, image } = this.#directory;
    if (judgement === undefined) throw new RangeError(`the table of ${this.label} was not read`);
    return new Qcow2ClusterMap(this, judgement.entriesOf(this), image.clusterSize);
  }

  /** Where a field of its directory entry is. @internal */
  where(field: keyof typeof DIRECTORY_ENTRY.fields): Problem["where"] {
    return {
      structure: DIRECTORY_ENTRY.name,
      field: specName(field),
      offset: this.fileOffset + DIRECTORY_ENTRY.fields[field][0],
      bitmap: this.label,
    };
  }
}

type Field = keyof typeof DIRECTORY_ENTRY.fields;

function shapeProblem(bitmap: Qcow2Bitmap, { image, doubled }: Directory): Problem | undefined {
  const { flags, type, granularityBits, nameSize, extraDataSize } = bitmap.fields;
  const bad = (field: Field, code: Problem["code"], message: string): Problem => ({
    code,
    message,
    where: bitmap.where(field),
  });
  if (nameSize < 1 || nameSize > MAX_NAME_SIZE)
    return bad("nameSize", "BAD_FIELD", `name_size is ${nameSize}, allowed are 1 to ${MAX_NAME_SIZE}`);
  if (doubled.has(bitmap.index))
    return bad("nameSize", "DUPLICATE_NAME", "another bitmap of the image has the same name");
  if (extraDataSize !== 0) {
    const message = `the bitmap has ${extraDataSize} bytes of extra data, which this reader does not know`;
    return bad("extraDataSize", "UNSUPPORTED_FEATURE", message);
  }
  if (type !== DIRTY_TRACKING) {
    const message = `bitmap type ${type} is not known; this reader knows ${DIRTY_TRACKING}, dirty tracking`;
    return bad("type", "UNSUPPORTED_FEATURE", message);
  }
  const { min, max } = GRANULARITY_BITS;
  if (granularityBits < min || granularityBits > max)
    return bad("granularityBits", "BAD_FIELD", `granularity_bits is ${granularityBits}, allowed are ${min} to ${max}`);
  const unknown = flags & ~(FLAG.inUse | FLAG.auto);
  if (unknown !== 0) {
    const message = `flags 0x${hex32(unknown >>> 0)} are not known to this reader`;
    return bad("flags", "UNSUPPORTED_FEATURE", message);
  }
  const bits = bitsOf(image.virtualSize, bitmap.granularity);
  return bits > MAX_BITS ? bad("granularityBits", "LIMIT", `${bits} bits are more than 2^32`) : undefined;
}

/** Why the bits in the file are not the true ones. Table size and data may be outdated then, and are no further problem (qcow2: Bitmap directory, in_use). */
function doubtProblem(bitmap: Qcow2Bitmap, { doubt }: Image): Problem | undefined {
  const message = bitmap.inUse
    ? "in_use is set: a program has the image open, or died while it had, and only it had the true bits"
    : doubt;
  return message === undefined ? undefined : { code: "INCONSISTENT", message, where: bitmap.where("flags") };
}

function tableProblem(bitmap: Qcow2Bitmap, image: Image): Problem | undefined {
  const { bitmapTableSize } = bitmap.fields;
  const expected = Math.ceil(bitmap.bitCount / 8 / image.clusterSize);
  if (bitmapTableSize !== expected) {
    const message = `bitmap_table_size is ${bitmapTableSize}, ${bitmap.bitCount} bits need ${expected}`;
    return { code: "BAD_FIELD", message, where: bitmap.where("bitmapTableSize") };
  }
  if (expected === 0) return undefined;
  const what = "the bitmap table";
  const where = bitmap.where("bitmapTableOffset");
  return placeProblem(what, bitmap.table, image, where) ?? overlapProblem(what, bitmap.table, image, where);
}
