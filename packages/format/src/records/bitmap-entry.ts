import type { Problem, Report } from "../errors.ts";
import { u16, u32, u64 } from "../layout/fields.ts";
import { align8, bitsOf, isPowerOfTwo } from "../layout/numbers.ts";
import { type Decoded, specName, struct } from "../layout/struct.ts";
import { decodeUtf8, toHex } from "../layout/text.ts";
import {
  MAX_BITS,
  MAX_DISK_SIZE,
  MAX_EXTRA_DATA_SIZE,
  MAX_GRANULARITY,
  MAX_NAME_SIZE,
  MIN_GRANULARITY,
} from "../limits.ts";
import { parseExtraData } from "./extra-data.ts";
import type { Tlv } from "./tlv.ts";

/** Entry of the bitmap table: spec §3, 40 bytes; extra data, name and padding to 8 follow. */
export const BITMAP_ENTRY = struct("bitmap table entry", 40, {
  l1TableOffset: [0, u64, "file offset of the L1 area in bytes, cluster-aligned; 0 when l1_size is 0", "QDB-TBL-001"],
  l1Size: [8, u32, "number of L1 entries", "QDB-TBL-002"],
  granularity: [12, u32, "bytes a bit, a power of two, 512..2^31", "QDB-TBL-003"],
  size: [16, u64, "length of the tracked disk in bytes, 0..2^63-1", "QDB-TBL-004"],
  flags: [24, u16, "bit 0 enabled, bit 1 in_use, bit 2 frozen", "QDB-TBL-005"],
  nameSize: [26, u16, "length of the name in bytes, 1..1023", "QDB-TBL-006"],
  l1Checksum: [28, u32, "full form: CRC-32 of the L1 area; draft form: 0", "QDB-TBL-007"],
  reserved: [32, u32, "0", "QDB-TBL-008"],
  extraDataSize: [36, u32, "length of the extra data in bytes, 0..4096", "QDB-TBL-009"],
});

/** Flag bits of a bitmap (spec §3). */
export const FLAG = { enabled: 1, in_use: 2, frozen: 4 } as const;
/** Name of a flag. */
export type FlagName = keyof typeof FLAG;
const KNOWN_FLAGS = FLAG.enabled | FLAG.in_use | FLAG.frozen;

const FLAG_NAMES: readonly FlagName[] = ["enabled", "in_use", "frozen"];

/** Flags as names, unknown ones as `bit3` (spec §6). */
export function flagNames(flags: number): string[] {
  const names: string[] = [];
  for (let bit = 0; bit < 16; bit++) {
    if ((flags & (1 << bit)) === 0) continue;
    names.push(FLAG_NAMES[bit] ?? `bit${bit}`);
  }
  return names;
}

/** One bitmap as its table entry describes it. Its bytes stay in the table and are looked at on demand. */
export class BitmapEntry {
  /** Place in the table, from 0. */
  readonly index: number;
  readonly fields: Readonly<Decoded<typeof BITMAP_ENTRY.fields>>;
  /** File offset of the entry in bytes. */
  readonly fileOffset: number;
  readonly #table: Uint8Array;
  readonly #start: number;

  constructor(index: number, table: Uint8Array, start: number, tableOffset: number) {
    this.index = index;
    this.fields = BITMAP_ENTRY.decode(table, start);
    this.fileOffset = tableOffset + start;
    this.#table = table;
    this.#start = start;
  }

  /** Bytes that the entry takes in the table, padding included. */
  get length(): number {
    return align8(BITMAP_ENTRY.size + this.fields.extraDataSize + this.fields.nameSize);
  }

  /** The entry's bytes, padding included. */
  get bytes(): Uint8Array {
    return this.#table.subarray(this.#start, this.#start + this.length);
  }

  /** The extra data as it stands there. */
  get extraData(): Uint8Array {
    const start = this.#start + BITMAP_ENTRY.size;
    return this.#table.subarray(start, start + this.fields.extraDataSize);
  }

  /** The name as it stands there. */
  get nameBytes(): Uint8Array {
    const start = this.#start + BITMAP_ENTRY.size + this.fields.extraDataSize;
    return this.#table.subarray(start, start + this.fields.nameSize);
  }

  /** The padding behind the name. */
  get padding(): Uint8Array {
    const end = BITMAP_ENTRY.size + this.fields.extraDataSize + this.fields.nameSize;
    return this.#table.subarray(this.#start + end, this.#start + this.length);
  }

  /** The name; undefined when it is not UTF-8. */
  get name(): string | undefined {
    return decodeUtf8(this.nameBytes);
  }

  /** The name for messages and lists: the name, or `hex:` and its bytes when it is not UTF-8. */
  get label(): string {
    return this.name ?? `hex:${toHex(this.nameBytes)}`;
  }

  /** Whether a flag is set. */
  has(flag: FlagName): boolean {
    return (this.fields.flags & FLAG[flag]) !== 0;
  }

  /** The extra-data records; undefined when the extra data is too long (a hostile table is not walked twice), or no row of records. */
  get records(): readonly Tlv[] | undefined {
    if (this.fields.extraDataSize > MAX_EXTRA_DATA_SIZE) return undefined;
    return parseExtraData(this.extraData, { fileOffset: 0, bitmap: "" }, () => undefined)?.records;
  }

  /** Number of bits, ceil(size / granularity); meaningful where size and granularity keep their rules. */
  get bits(): number {
    return Number(bitsOf(this.fields.size, this.fields.granularity));
  }
}

const FIELD_NAMES: ReadonlyMap<string, string> = new Map(
  Object.keys(BITMAP_ENTRY.fields).map((key) => [key, specName(key)]),
);

/** Where a problem of an entry is; `field` is the spec's name. */
export function entryProblem(
  entry: BitmapEntry,
  field: keyof typeof BITMAP_ENTRY.fields | "name",
  code: Problem["code"],
  message: string,
): Problem {
  const at = field === "name" ? BITMAP_ENTRY.size + entry.fields.extraDataSize : BITMAP_ENTRY.fields[field][0];
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

/** What an entry's rules depend on. */
export interface EntryContext {
  readonly clusterSize: number;
  readonly draft: boolean;
  /** Whether another entry of the table has the same name, byte for byte. */
  readonly doubleName: boolean;
}

/** Rules of an entry's own bytes, in the order of spec §7 up to l1_size; places in the file are looked at elsewhere. */
export function validateEntry(entry: BitmapEntry, context: EntryContext, report: Report): void {
  const { clusterSize, draft } = context;
  const { extraDataSize, granularity, size, flags, reserved, l1Size, l1Checksum } = entry.fields;
  const bad = (field: Parameters<typeof entryProblem>[1], code: Problem["code"], message: string): void =>
    report(entryProblem(entry, field, code, message));
  validateName(entry, report);
  if (context.doubleName)
    bad("name", "DUPLICATE_NAME", "another bitmap has the same name; remove or rename one of them");
  if (extraDataSize > MAX_EXTRA_DATA_SIZE) {
    bad("extraDataSize", "BAD_FIELD", `extra_data_size is ${extraDataSize}, more than ${MAX_EXTRA_DATA_SIZE}`);
  } else {
    parseExtraData(entry.extraData, { fileOffset: entry.fileOffset + BITMAP_ENTRY.size, bitmap: entry.label }, report);
  }
  const granularityOk = granularity >= MIN_GRANULARITY && granularity <= MAX_GRANULARITY && isPowerOfTwo(granularity);
  if (!granularityOk) bad("granularity", "BAD_FIELD", `granularity ${granularity} is no power of two from 512 to 2^31`);
  if (size > MAX_DISK_SIZE) bad("size", "BAD_FIELD", `size ${size} is above 2^63-1`);
  const unknown = flags & ~KNOWN_FLAGS;
  if (unknown !== 0) {
    bad(
      "flags",
      "UNSUPPORTED_FEATURE",
      `flags ${flagNames(unknown).join(", ")} are not known to this version: its bits cannot be used`,
    );
  }
  if (draft && l1Checksum !== 0) bad("l1Checksum", "RESERVED_NOT_ZERO", "bytes 28-31 must be zero in a draft file");
  if (reserved !== 0) bad("reserved", "RESERVED_NOT_ZERO", "reserved bytes 32-35 are not zero");
  if (!granularityOk || size > MAX_DISK_SIZE) return;
  const bits = bitsOf(size, granularity);
  if (bits > BigInt(MAX_BITS)) {
    bad("size", "LIMIT", `${bits} bits are more than 2^32; a coarser granularity is needed for ${size} bytes`);
    return;
  }
  const expected = l1EntriesFor(entry.bits, clusterSize);
  if (l1Size !== expected) bad("l1Size", "BAD_FIELD", `l1_size is ${l1Size}, ${entry.bits} bits need ${expected}`);
  if (!draft && l1Size === 0 && l1Checksum !== 0)
    bad("l1Checksum", "BAD_FIELD", "l1_checksum must be 0 where l1_size is 0");
}

/** Number of L1 entries of so many bits: ceil(ceil(bits / 8) / cluster size). */
export function l1EntriesFor(bits: number, clusterSize: number): number {
  return Math.ceil(Math.ceil(bits / 8) / clusterSize);
}

function validateName(entry: BitmapEntry, report: Report): void {
  const { nameSize } = entry.fields;
  if (nameSize < 1 || nameSize > MAX_NAME_SIZE) {
    report(entryProblem(entry, "nameSize", "BAD_FIELD", `name_size is ${nameSize}, allowed are 1 to ${MAX_NAME_SIZE}`));
  } else if (entry.name === undefined) {
    report(entryProblem(entry, "name", "BAD_FIELD", "the name is not UTF-8"));
  } else if (entry.nameBytes.includes(0)) {
    report(entryProblem(entry, "name", "BAD_FIELD", "the name holds a NUL"));
  }
}
