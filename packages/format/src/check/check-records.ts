import { isZero } from "../layout/bytes.ts";
import { hex32 } from "../layout/text.ts";
import { MAX_EXTRA_DATA_SIZE } from "../limits.ts";
import { extensionSpace, type HeaderArea } from "../open/header-rules.ts";
import { quote } from "../quote.ts";
import { BITMAP_ENTRY, type BitmapEntry } from "../records/bitmap-entry.ts";
import {
  EXTENSION_NAME_TABLE,
  FEATURE_NAME_TABLE,
  parseExtensionNames,
  parseFeatureNames,
} from "../records/extensions.ts";
import { decodeRecord, isKnownRecordType, parseExtraData, RECORD } from "../records/extra-data.ts";
import type { TlvWalk } from "../records/tlv.ts";
import { type Finding, finding } from "./findings.ts";

/** Checks the header extensions and the padding of the header area. Yields PADDING and BAD_RECORD. */
export function* checkExtensions(area: HeaderArea, walk: TlvWalk): Generator<Finding, void> {
  const [start] = extensionSpace(area);
  const pad = (offset: number, what: string): Finding =>
    finding("PADDING", "noncanonical", `${what} is not zero`, {
      structure: "header extension",
      offset: area.offset + offset,
    });
  for (const { offset, what } of walk.padding)
    yield pad(start + offset, what === "padding" ? "the padding of a header extension" : `the ${what}`);
  // If an extension is broken, the end of the extensions is unknown.
  if (!walk.isBroken) yield* checkEndOfArea(area, walk, pad);
  for (const { type, data } of walk.items) {
    const broken =
      (type === FEATURE_NAME_TABLE && parseFeatureNames(data) === undefined) ||
      (type === EXTENSION_NAME_TABLE && parseExtensionNames(data) === undefined);
    if (!broken) continue;
    const message = `header extension 0x${hex32(type)} breaks the rules of its name table; it is treated as unknown bytes`;
    yield finding("BAD_RECORD", "noncanonical", message, { structure: "header extension" }, false);
  }
}

/** Checks that the header area is zero after the end of the extensions. Yields PADDING if it is not. */
function* checkEndOfArea(
  area: HeaderArea,
  walk: TlvWalk,
  pad: (offset: number, what: string) => Finding,
): Generator<Finding, void> {
  const [start, end] = extensionSpace(area);
  const extensionsEnd = start + walk.end;
  // The padding ends with the header area in full form, and with the space for extensions in draft form.
  const limit = area.form === "full" ? area.bytes.length : end;
  if (!isZero(area.bytes.subarray(extensionsEnd, limit)))
    yield pad(extensionsEnd, "the header area after the extensions");
}

/** Checks the records and the padding of a table entry. Yields PADDING and BAD_RECORD. */
export function* checkEntry(entry: BitmapEntry): Generator<Finding, void> {
  // Most entries have no records, and zeros as padding. Their names need not be decoded.
  if (entry.extraData.length === 0 && isZero(entry.padding)) return;
  const bitmap = entry.label;
  const start = entry.fileOffset + BITMAP_ENTRY.size;
  if (!isZero(entry.padding)) {
    const offset = entry.fileOffset + entry.length - entry.padding.length;
    yield finding("PADDING", "noncanonical", "the padding of the table entry is not zero", {
      structure: BITMAP_ENTRY.name,
      offset,
      bitmap,
    });
  }
  if (entry.extraData.length > MAX_EXTRA_DATA_SIZE) return;
  const parsed = parseExtraData(entry.extraData, { fileOffset: start, bitmap }, () => undefined);
  if (parsed === undefined) return;
  for (const offset of parsed.padding) {
    yield finding("PADDING", "noncanonical", "the padding of a record is not zero", {
      structure: "extra data",
      offset: start + offset,
      bitmap,
    });
  }
  for (const record of parsed.records) {
    if (!isKnownRecordType(record.type) || decodeRecord(record).kind !== "unknown") continue;
    // A broken successor record is an error of the bitmap, which EntryRules reports. A broken disk stamp counts as a changed disk.
    if (record.type === RECORD.successor) continue;
    const stamp = record.type === RECORD.stamp;
    const message = `record ${record.type} breaks its own rule; it is treated as ${stamp ? "a disk that changed" : "unknown bytes"}`;
    yield finding("BAD_RECORD", stamp ? "unsafe" : "noncanonical", message, { structure: "extra data", bitmap }, false);
  }
}

/** Finds names that are different bytes, but equal in Unicode normalization form C. Yields NAME_TWINS. */
export function* nameTwins(entries: readonly BitmapEntry[]): Generator<Finding, void> {
  /** For each normalized name, the index of the first entry that has it. An index takes less memory than a second copy of the name. */
  const firstWith = new Map<string, number>();
  for (const { name, index } of entries) {
    if (name === undefined) continue;
    const normal = name.normalize("NFC");
    const first = firstWith.get(normal);
    const other = first === undefined ? undefined : entries[first]?.name;
    if (other === undefined) {
      firstWith.set(normal, index);
    } else if (other !== name) {
      const message = `the names ${quote(other)} and ${quote(name)} differ in bytes only: people will take one for the other`;
      yield finding("NAME_TWINS", "info", message, { structure: BITMAP_ENTRY.name, bitmap: name }, false);
    }
  }
}
