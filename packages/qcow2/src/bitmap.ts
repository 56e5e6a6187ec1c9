import {
  type BitmapShape,
  type Decoded,
  type Problem,
  type Report,
  specName,
  struct,
  toHex,
  u8,
  u16,
  u32,
  u64,
} from "@qdb/format";
import { type Image, placeProblem } from "./image.ts";
import { GRANULARITY_BITS, MAX_BITS, MAX_NAME_SIZE } from "./limits.ts";
import { align8, bitsOf, decodeUtf8 } from "./numbers.ts";

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

/** A bitmap directory as it stands in the file, and what its entries are judged by. */
export interface Directory {
  readonly bytes: Uint8Array;
  /** File offset in bytes. */
  readonly offset: number;
  readonly image: Image;
  /** Places of the bitmaps whose name another one has too. */
  readonly doubled: ReadonlySet<number>;
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
  get bits(): number {
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

  /** The first thing that is wrong with it; its bits are refused while there is one. Decoded anew at each look. */
  get problem(): Problem | undefined {
    let first: Problem | undefined;
    validateBitmap(this, this.#directory, (problem) => {
      first ??= problem;
    });
    return first;
  }
}

/**
 * The rules of a directory entry, in this order: name, extra data, type, granularity, flags, number of bits, whether the bits
 * hold, table. INCONSISTENT ends it: table size and data of such a bitmap may be outdated (qcow2: Bitmap directory, in_use).
 */
function validateBitmap(bitmap: Qcow2Bitmap, directory: Directory, report: Report): void {
  const { bitmapTableOffset, bitmapTableSize, flags, type, granularityBits, nameSize, extraDataSize } = bitmap.fields;
  const { image } = directory;
  const where = (field: keyof typeof DIRECTORY_ENTRY.fields): Problem["where"] => ({
    structure: DIRECTORY_ENTRY.name,
    field: specName(field),
    offset: bitmap.fileOffset + DIRECTORY_ENTRY.fields[field][0],
    bitmap: bitmap.label,
  });
  const bad = (field: keyof typeof DIRECTORY_ENTRY.fields, code: Problem["code"], message: string): void =>
    report({ code, message, where: where(field) });
  if (nameSize < 1 || nameSize > MAX_NAME_SIZE)
    bad("nameSize", "BAD_FIELD", `name_size is ${nameSize}, allowed are 1 to ${MAX_NAME_SIZE}`);
  if (directory.doubled.has(bitmap.index))
    bad("nameSize", "DUPLICATE_NAME", "another bitmap of the image has the same name");
  if (extraDataSize !== 0)
    bad(
      "extraDataSize",
      "UNSUPPORTED_FEATURE",
      `the bitmap has ${extraDataSize} bytes of extra data, which this reader does not know`,
    );
  if (type !== DIRTY_TRACKING)
    bad(
      "type",
      "UNSUPPORTED_FEATURE",
      `bitmap type ${type} is not known; this reader knows ${DIRTY_TRACKING}, dirty tracking`,
    );
  const { min, max } = GRANULARITY_BITS;
  const granularityOk = granularityBits >= min && granularityBits <= max;
  if (!granularityOk)
    bad("granularityBits", "BAD_FIELD", `granularity_bits is ${granularityBits}, allowed are ${min} to ${max}`);
  const unknown = flags & ~(FLAG.inUse | FLAG.auto);
  if (unknown !== 0)
    bad(
      "flags",
      "UNSUPPORTED_FEATURE",
      `flags 0x${(unknown >>> 0).toString(16).padStart(8, "0")} are not known to this reader`,
    );
  if (!granularityOk) return;
  const bits = bitsOf(image.virtualSize, bitmap.granularity);
  if (bits > MAX_BITS) {
    bad("granularityBits", "LIMIT", `${bits} bits are more than 2^32`);
    return;
  }
  if (bitmap.inUse) {
    bad(
      "flags",
      "INCONSISTENT",
      "in_use is set: a program has the image open, or died while it had, and only it had the true bits",
    );
    return;
  }
  if (image.doubt !== undefined) {
    bad("flags", "INCONSISTENT", image.doubt);
    return;
  }
  const expected = Math.ceil(Number(bits) / 8 / image.clusterSize);
  if (bitmapTableSize !== expected) {
    bad("bitmapTableSize", "BAD_FIELD", `bitmap_table_size is ${bitmapTableSize}, ${bits} bits need ${expected}`);
    return;
  }
  if (expected === 0) return;
  const table = { offset: Number(bitmapTableOffset), length: expected * 8 };
  const problem = placeProblem("the bitmap table", table, image, where("bitmapTableOffset"));
  if (problem !== undefined) report(problem);
}
