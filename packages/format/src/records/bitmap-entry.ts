import { byteAt } from "../elements.ts";
import type { Problem } from "../errors.ts";
import { u16, u32, u64 } from "../layout/fields.ts";
import { align8, bitsOf } from "../layout/numbers.ts";
import { type Decoded, specName, struct } from "../layout/struct.ts";
import { decodeUtf8, toHex } from "../layout/text.ts";
import { MAX_EXTRA_DATA_SIZE } from "../limits.ts";
import { parseExtraData } from "./extra-data.ts";
import type { Tlv } from "./tlv.ts";

/** The fields of an entry of the bitmap table: spec §3, 40 bytes. Extra data, name and padding to a multiple of 8 follow in the table. */
export const BITMAP_ENTRY = struct("bitmap table entry", 40, {
  l1TableOffset: [0, u64],
  l1Size: [8, u32],
  granularity: [12, u32],
  size: [16, u64],
  flags: [24, u16],
  nameSize: [26, u16],
  l1Checksum: [28, u32],
  reserved: [32, u32],
  extraDataSize: [36, u32],
});

/** Flag bits of a bitmap (spec §3). */
export const FLAG = { enabled: 1, in_use: 2, frozen: 4 } as const;
/** Name of a flag bit. */
export type FlagName = keyof typeof FLAG;
/** The flag bits that version 1 defines. */
export const KNOWN_FLAGS: number = FLAG.enabled | FLAG.in_use | FLAG.frozen;

const FLAG_NAMES: readonly FlagName[] = ["enabled", "in_use", "frozen"];

/** Returns the names of the flags that are set. An unknown flag is named by its bit, such as `bit3` (spec §6). */
export function flagNames(flags: number): string[] {
  const names: string[] = [];
  for (let bit = 0; bit < 16; bit++) {
    if ((flags & (1 << bit)) === 0) continue;
    names.push(FLAG_NAMES[bit] ?? `bit${bit}`);
  }
  return names;
}

const [L1_SIZE_AT] = BITMAP_ENTRY.fields.l1Size;
const [GRANULARITY_AT] = BITMAP_ENTRY.fields.granularity;
const [SIZE_AT] = BITMAP_ENTRY.fields.size;
const [FLAGS_AT] = BITMAP_ENTRY.fields.flags;
const [NAME_SIZE_AT] = BITMAP_ENTRY.fields.nameSize;
const [EXTRA_DATA_SIZE_AT] = BITMAP_ENTRY.fields.extraDataSize;

/** The fields of an entry, decoded. */
export type EntryFields = Readonly<Decoded<typeof BITMAP_ENTRY.fields>>;

/**
 * An entry of the bitmap table, as a view of its bytes in the table. Fields, name and records are decoded on each access, since a file can
 * have 65535 entries that take 64 MiB.
 */
export class BitmapEntry {
  /** Index of the entry in the table, from 0. */
  readonly index: number;
  readonly #table: Uint8Array;
  readonly #start: number;
  readonly #tableOffset: number;

  /** `start` is the offset of the entry in the table, `tableOffset` the file offset of the table, both in bytes. */
  constructor(index: number, table: Uint8Array, start: number, tableOffset: number) {
    this.index = index;
    this.#table = table;
    this.#start = start;
    this.#tableOffset = tableOffset;
  }

  /** Decodes the fields. */
  decodeFields(): EntryFields {
    return BITMAP_ENTRY.decode(this.#table, this.#start);
  }

  /** Decodes size and granularity. */
  decodeShape(): { readonly size: bigint; readonly granularity: number } {
    const { size, granularity } = this.decodeFields();
    return { size, granularity };
  }

  /** Parses the extra-data records. Returns undefined if they cannot be walked to their end, or are longer than the format allows. */
  parseRecords(): readonly Tlv[] | undefined {
    if (this.#extraDataSize() > MAX_EXTRA_DATA_SIZE) return undefined;
    return parseExtraData(this.extraData, { fileOffset: 0, bitmap: "" }, () => undefined)?.records;
  }

  /** File offset of the entry in bytes. */
  get fileOffset(): number {
    return this.#tableOffset + this.#start;
  }

  /** Length of the entry in the table in bytes, padding included. */
  get length(): number {
    return align8(BITMAP_ENTRY.size + this.#extraDataSize() + this.#nameSize());
  }

  /** The bytes of the entry, padding included. */
  get bytes(): Uint8Array {
    return this.#table.subarray(this.#start, this.#start + this.length);
  }

  /** The bytes of the extra data. */
  get extraData(): Uint8Array {
    const start = this.#start + BITMAP_ENTRY.size;
    return this.#table.subarray(start, start + this.#extraDataSize());
  }

  /** The bytes of the name. */
  get nameBytes(): Uint8Array {
    const start = this.#nameStart();
    return this.#table.subarray(start, start + this.#nameSize());
  }

  /** The padding that follows the name. */
  get padding(): Uint8Array {
    return this.#table.subarray(this.#nameStart() + this.#nameSize(), this.#start + this.length);
  }

  /** The name; undefined if it is not UTF-8. */
  get name(): string | undefined {
    return decodeUtf8(this.nameBytes);
  }

  /** The name as text for messages and lists; if the name is not UTF-8, `hex:` and its bytes in hex. */
  get label(): string {
    return this.name ?? `hex:${toHex(this.nameBytes)}`;
  }

  /** Number of L1 entries, as the field l1_size has it. */
  get l1Size(): number {
    return this.#u32(L1_SIZE_AT);
  }

  /** Number of bits, ceil(size / granularity). Meaningless if size or granularity breaks a rule. */
  get bitCount(): number {
    const size = (BigInt(this.#u32(SIZE_AT)) << 32n) | BigInt(this.#u32(SIZE_AT + 4));
    return Number(bitsOf(size, this.#u32(GRANULARITY_AT)));
  }

  /** Whether a flag is set. */
  has(flag: FlagName): boolean {
    return (this.#u16(FLAGS_AT) & FLAG[flag]) !== 0;
  }

  /**
   * Compares the bytes of the entry's name with `name`. Returns a number below, equal to or above 0, as for sorting. It copies no bytes,
   * because sorting a table calls it many times.
   */
  compareName(name: Uint8Array): number {
    const start = this.#nameStart();
    const length = this.#nameSize();
    const common = Math.min(length, name.length);
    for (let at = 0; at < common; at++) {
      const difference = byteAt(this.#table, start + at) - byteAt(name, at);
      if (difference !== 0) return difference;
    }
    return length - name.length;
  }

  #nameStart(): number {
    return this.#start + BITMAP_ENTRY.size + this.#extraDataSize();
  }

  #nameSize(): number {
    return this.#u16(NAME_SIZE_AT);
  }

  #extraDataSize(): number {
    return this.#u32(EXTRA_DATA_SIZE_AT);
  }

  #u16(field: number): number {
    const at = this.#start + field;
    return byteAt(this.#table, at) * 256 + byteAt(this.#table, at + 1);
  }

  #u32(field: number): number {
    return this.#u16(field) * 65536 + this.#u16(field + 2);
  }
}

const FIELD_NAMES: ReadonlyMap<string, string> = new Map(
  Object.keys(BITMAP_ENTRY.fields).map((key) => [key, specName(key)]),
);

/** Makes a problem of a field, or of the name, of a table entry. Its `where` has the name that the field has in the spec. */
export function entryProblem(
  entry: BitmapEntry,
  field: keyof typeof BITMAP_ENTRY.fields | "name",
  code: Problem["code"],
  message: string,
): Problem {
  const at = field === "name" ? BITMAP_ENTRY.size + entry.extraData.length : BITMAP_ENTRY.fields[field][0];
  return {
    code,
    message,
    where: {
      structure: BITMAP_ENTRY.name,
      field: FIELD_NAMES.get(field) ?? field,
      offset: entry.fileOffset + at,
      bitmap: entry.label,
    },
  };
}

/** Returns the number of L1 entries that a bitmap needs: ceil(ceil(bitCount / 8) / clusterSize). */
export function l1EntriesFor(bitCount: number, clusterSize: number): number {
  return Math.ceil(Math.ceil(bitCount / 8) / clusterSize);
}
