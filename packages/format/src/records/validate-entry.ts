// The rules of the bytes of a table entry. The structures that the entry refers to are validated in open/ and maps/.
import type { Problem, Report } from "../errors.ts";
import { bitsOf } from "../layout/numbers.ts";
import { isUtf8 } from "../layout/text.ts";
import { isGranularity, MAX_BITS, MAX_DISK_SIZE, MAX_EXTRA_DATA_SIZE, MAX_NAME_SIZE } from "../limits.ts";
import {
  BITMAP_ENTRY,
  type BitmapEntry,
  type EntryFields,
  entryProblem,
  flagNames,
  KNOWN_FLAGS,
  l1EntriesFor,
} from "./bitmap-entry.ts";
import { type FlaggedRecords, scanExtraData } from "./extra-data.ts";

/** The properties of the file and the table on which the rules of an entry depend. */
export interface EntryContext {
  /** Bytes per cluster. */
  readonly clusterSize: number;
  readonly draft: boolean;
  /** Whether another entry of the table has the same name, byte for byte. */
  readonly doubleName: boolean;
}

/**
 * Applies the rules of the bytes of an entry, in the order of spec §7, up to the rule of l1_size. Returns what the flags have to agree
 * with in the records, so that these need not be walked again; undefined if the records cannot be walked to their end.
 * Reports BAD_FIELD, DUPLICATE_NAME, DUPLICATE_TYPE, UNSUPPORTED_FEATURE, RESERVED_NOT_ZERO, LIMIT.
 */
export function validateEntry(
  entry: BitmapEntry,
  fields: EntryFields,
  context: EntryContext,
  report: Report,
): FlaggedRecords | undefined {
  validateName(entry, fields.nameSize, context, report);
  const flagged = validateRecords(entry, fields.extraDataSize, report);
  validateShape(entry, fields, context, report);
  return flagged;
}

function validateName(entry: BitmapEntry, nameSize: number, { doubleName }: EntryContext, report: Report): void {
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

function validateRecords(entry: BitmapEntry, extraDataSize: number, report: Report): FlaggedRecords | undefined {
  if (extraDataSize === 0) return { successor: undefined, hasSession: false };
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

/** Applies the rules of granularity, size, flags, reserved bytes, number of bits and l1_size, in this order, which is that of spec §7. */
function validateShape(
  entry: BitmapEntry,
  fields: EntryFields,
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
  const bitCount = bitsOf(size, granularity);
  if (bitCount > BigInt(MAX_BITS)) {
    bad("size", "LIMIT", `${bitCount} bits are more than 2^32; a coarser granularity is needed for ${size} bytes`);
    return;
  }
  const expected = l1EntriesFor(Number(bitCount), clusterSize);
  if (l1Size !== expected) bad("l1Size", "BAD_FIELD", `l1_size is ${l1Size}, ${bitCount} bits need ${expected}`);
  if (!draft && l1Size === 0 && l1Checksum !== 0)
    bad("l1Checksum", "BAD_FIELD", "l1_checksum must be 0 if l1_size is 0");
}
