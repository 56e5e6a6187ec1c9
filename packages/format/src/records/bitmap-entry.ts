import type { Problem, Report } from "../errors.ts";
import { u16, u32, u64 } from "../layout/fields.ts";
import { align8, bitsOf } from "../layout/numbers.ts";
import { type Decoded, specName, struct } from "../layout/struct.ts";
import { decodeUtf8, isUtf8, toHex } from "../layout/text.ts";
import { isGranularity, MAX_BITS, MAX_DISK_SIZE, MAX_EXTRA_DATA_SIZE, MAX_NAME_SIZE } from "../limits.ts";
import { type NamedSuccessor, parseExtraData, scanExtraData } from "./extra-data.ts";
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

const [L1_SIZE_AT] = BITMAP_ENTRY.fields.l1Size;
const [FLAGS_AT] = BITMAP_ENTRY.fields.flags;
const [NAME_SIZE_AT] = BITMAP_ENTRY.fields.nameSize;
const [EXTRA_DATA_SIZE_AT] = BITMAP_ENTRY.fields.extraDataSize;

/** One bitmap as its table entry describes it. Its bytes stay in the table and are looked at on demand: a file can have thousands. */
export class BitmapEntry {
  /** Place in the table, from 0. */
  readonly index: number;
  readonly #table: Uint8Array;
  readonly #start: number;
  readonly #tableOffset: number;

  constructor(index: number, table: Uint8Array, start: number, tableOffset: number) {
    this.index = index;
    this.#table = table;
    this.#start = start;
    this.#tableOffset = tableOffset;
  }

  /** The fields, decoded anew each time: what is asked for often has a way of its own. */
  get fields(): Readonly<Decoded<typeof BITMAP_ENTRY.fields>> {
    return BITMAP_ENTRY.decode(this.#table, this.#start);
  }

  /** File offset of the entry in bytes. */
  get fileOffset(): number {
    return this.#tableOffset + this.#start;
  }

  /** Bytes that the entry takes in the table, padding included. */
  get length(): number {
    return align8(BITMAP_ENTRY.size + this.#extraDataSize + this.#nameSize);
  }

  /** The entry's bytes, padding included. */
  get bytes(): Uint8Array {
    return this.#table.subarray(this.#start, this.#start + this.length);
  }

  /** The extra data as it stands there. */
  get extraData(): Uint8Array {
    const start = this.#start + BITMAP_ENTRY.size;
    return this.#table.subarray(start, start + this.#extraDataSize);
  }

  /** The name as it stands there. */
  get nameBytes(): Uint8Array {
    const start = this.#nameStart;
    return this.#table.subarray(start, start + this.#nameSize);
  }

  /** The padding behind the name. */
  get padding(): Uint8Array {
    return this.#table.subarray(this.#nameStart + this.#nameSize, this.#start + this.length);
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
    return (this.#u16(FLAGS_AT) & FLAG[flag]) !== 0;
  }

  /** Number of L1 entries that it announces. */
  get l1Size(): number {
    return this.#u32(L1_SIZE_AT);
  }

  /** The extra-data records; undefined when the extra data is too long (a hostile table is not walked twice), or no row of records. */
  get records(): readonly Tlv[] | undefined {
    if (this.#extraDataSize > MAX_EXTRA_DATA_SIZE) return undefined;
    return parseExtraData(this.extraData, { fileOffset: 0, bitmap: "" }, () => undefined)?.records;
  }

  /** Number of bits, ceil(size / granularity); meaningful where size and granularity keep their rules. */
  get bitCount(): number {
    const { size, granularity } = this.fields;
    return Number(bitsOf(size, granularity));
  }

  /** Below 0, 0 or above: how the bytes of its name sort against others. Looked at in place, since whole tables are sorted. */
  compareName(name: Uint8Array): number {
    const start = this.#nameStart;
    const length = this.#nameSize;
    const common = Math.min(length, name.length);
    for (let at = 0; at < common; at++) {
      const difference = (this.#table[start + at] ?? 0) - (name[at] ?? 0);
      if (difference !== 0) return difference;
    }
    return length - name.length;
  }

  get #nameStart(): number {
    return this.#start + BITMAP_ENTRY.size + this.#extraDataSize;
  }

  get #nameSize(): number {
    return this.#u16(NAME_SIZE_AT);
  }

  get #extraDataSize(): number {
    return this.#u32(EXTRA_DATA_SIZE_AT);
  }

  #u16(field: number): number {
    const at = this.#start + field;
    return (this.#table[at] ?? 0) * 256 + (this.#table[at + 1] ?? 0);
  }

  #u32(field: number): number {
    return this.#u16(field) * 65536 + this.#u16(field + 2);
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

/** What an entry's rules depend on. */
export interface EntryContext {
  readonly clusterSize: number;
  readonly draft: boolean;
  /** Whether another entry of the table has the same name, byte for byte. */
  readonly doubleName: boolean;
}

/**
 * Rules of an entry's own bytes, in the order of spec §7 up to l1_size; places in the file are looked at elsewhere. Gives what its
 * records say of a successor, so that they are walked once; undefined where they are no row of records.
 */
export function validateEntry(
  entry: BitmapEntry,
  fields: BitmapEntry["fields"],
  context: EntryContext,
  report: Report,
): NamedSuccessor | undefined {
  validateNaming(entry, fields.nameSize, context, report);
  const successor = validateRecords(entry, fields.extraDataSize, report);
  validateShape(entry, fields, context, report);
  return successor;
}

function validateRecords(entry: BitmapEntry, extraDataSize: number, report: Report): NamedSuccessor | undefined {
  if (extraDataSize === 0) return { name: undefined };
  if (extraDataSize > MAX_EXTRA_DATA_SIZE) {
    const message = `extra_data_size is ${extraDataSize}, more than ${MAX_EXTRA_DATA_SIZE}`;
    report(entryProblem(entry, "extraDataSize", "BAD_FIELD", message));
    return undefined;
  }
  const place = {
    fileOffset: entry.fileOffset + BITMAP_ENTRY.size,
    get bitmap() {
      return entry.label;
    },
  };
  return scanExtraData(entry.extraData, place, report);
}

/** The rules from granularity to l1_size. */
function validateShape(
  entry: BitmapEntry,
  fields: BitmapEntry["fields"],
  { clusterSize, draft }: EntryContext,
  report: Report,
): void {
  const { granularity, size, flags, reserved, l1Size, l1Checksum } = fields;
  const bad = (field: Parameters<typeof entryProblem>[1], code: Problem["code"], message: string): void =>
    report(entryProblem(entry, field, code, message));
  const granularityOk = isGranularity(granularity);
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
  const expected = l1EntriesFor(Number(bits), clusterSize);
  if (l1Size !== expected) bad("l1Size", "BAD_FIELD", `l1_size is ${l1Size}, ${bits} bits need ${expected}`);
  if (!draft && l1Size === 0 && l1Checksum !== 0)
    bad("l1Checksum", "BAD_FIELD", "l1_checksum must be 0 where l1_size is 0");
}

/** Number of L1 entries of so many bits: ceil(ceil(bits / 8) / cluster size). */
export function l1EntriesFor(bits: number, clusterSize: number): number {
  return Math.ceil(Math.ceil(bits / 8) / clusterSize);
}

function validateNaming(entry: BitmapEntry, nameSize: number, { doubleName }: EntryContext, report: Report): void {
  if (nameSize < 1 || nameSize > MAX_NAME_SIZE) {
    report(entryProblem(entry, "nameSize", "BAD_FIELD", `name_size is ${nameSize}, allowed are 1 to ${MAX_NAME_SIZE}`));
  } else if (!isUtf8(entry.nameBytes)) {
    report(entryProblem(entry, "name", "BAD_FIELD", "the name is not UTF-8"));
  } else if (entry.nameBytes.includes(0)) {
    report(entryProblem(entry, "name", "BAD_FIELD", "the name holds a NUL"));
  }
  if (!doubleName) return;
  report(
    entryProblem(entry, "name", "DUPLICATE_NAME", "another bitmap has the same name; remove or rename one of them"),
  );
}
