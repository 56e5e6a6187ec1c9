import type { Problem } from "../errors.ts";
import { hex32, toHex } from "../layout/text.ts";
import { loadMaps } from "../maps/load-maps.ts";
import type { MappedBitmap } from "../maps/mapped-bitmap.ts";
import type { QdbIndex } from "../open/qdb-index.ts";
import type { Digests } from "../ports/digest.ts";
import { type Plan, put } from "../ports/plan.ts";
import { type BitmapEntry, flagNames } from "../records/bitmap-entry.ts";
import {
  EXTENSION_NAME_TABLE,
  FEATURE_NAME_TABLE,
  parseExtensionNames,
  parseFeatureNames,
} from "../records/extensions.ts";
import { decodeRecord } from "../records/extra-data.ts";
import { DRAFT_HEADER, HEADER } from "../records/header.ts";
import type { Tlv } from "../records/tlv.ts";
import { BitsDump, type DumpOptions, type DumpSummary } from "./dump-bits.ts";
import { extensionNameJson, featureJson, type JsonValue, lines, structJson, text, typeJson } from "./dump-values.ts";

/**
 * Puts out the JSON form of a file (spec §6) in pieces of text. A bitmap whose bits cannot be used gets `error` in place of the bits. All
 * data of a bitmap is read and verified before its first extent is put out, and then read again.
 * @throws {QdbError} BAD_CHECKSUM or SOURCE_CHANGED if the file changes between the two readings of a bitmap; IO or SHORT_READ if the
 * second reading fails
 */
export function* dumpPlan(index: QdbIndex, digests: Digests, options: DumpOptions): Plan<DumpSummary, string> {
  const header =
    index.form === "full"
      ? structJson(HEADER, index.header, ["magic"])
      : structJson(DRAFT_HEADER, index.header, ["magic"]);
  yield* put(`{\n  "format": "qdb",\n  "header": ${text({ form: index.form, ...header })},\n`);
  yield* put(`  "extensions": [${lines(index.extensions.map((item) => text(extensionJson(item))))}],\n  "bitmaps": [`);
  const mapped = yield* loadMaps(index, index.table.entries, digests);
  const total = mapped.reduce((sum, { usableMap: map }) => sum + (map === undefined ? 0 : map.bitCount), 0);
  const bits = new BitsDump(digests, options, total);
  for (const [at, bitmap] of mapped.entries()) {
    const { entry } = bitmap;
    yield* put(`${at === 0 ? "" : ","}\n    ${text(entryJson(entry, index)).slice(0, -1)}, `);
    yield* bits.put(entry.label, bitmap.usableMap ?? requireProblem(bitmap));
  }
  yield* put(mapped.length === 0 ? "]\n}\n" : "\n  ]\n}\n");
  return bits.summary;
}

function requireProblem(bitmap: MappedBitmap): Problem {
  return bitmap.findProblem() ?? { code: "BAD_FIELD", message: "the bitmap has no usable L1 area", where: {} };
}

function extensionJson({ type, data }: Tlv): JsonValue {
  const head = { type: typeJson(type) };
  const features = type === FEATURE_NAME_TABLE ? parseFeatureNames(data) : undefined;
  if (features !== undefined) return { ...head, features: featureJson(features) };
  const names = type === EXTENSION_NAME_TABLE ? parseExtensionNames(data) : undefined;
  if (names !== undefined) return { ...head, names: extensionNameJson(names) };
  return { ...head, data: toHex(data) };
}

function recordJson(item: Tlv): JsonValue {
  const record = decodeRecord(item);
  const head = { type: typeJson(item.type) };
  switch (record.kind) {
    case "disk":
    case "comment":
    case "successor":
      return { ...head, [record.kind]: record.text };
    case "stamp": {
      const { length, mtime, file } = record.stamp;
      return { ...head, length: length.toString(), mtime: mtime.toString(), file: file.toString() };
    }
    case "id":
    case "parent":
      return { ...head, [record.kind]: record.uuid };
    case "created":
      return { ...head, created: record.ns.toString() };
    case "session":
      return { ...head, session: record.session.id, file: record.session.file.toString() };
    default:
      return { ...head, data: toHex(record.data) };
  }
}

/** Returns the keys of a bitmap that come before its bits. Size and granularity are among them: `load` needs them before it can read the bits. */
function entryJson(entry: BitmapEntry, index: QdbIndex): { readonly [key: string]: JsonValue } {
  const { name } = entry;
  const fields = entry.decodeFields();
  const records = entry.parseRecords();
  return {
    ...(name === undefined ? { name_hex: toHex(entry.nameBytes) } : { name }),
    size: fields.size.toString(),
    granularity: fields.granularity,
    flags: flagNames(fields.flags),
    l1_table_offset: fields.l1TableOffset.toString(),
    l1_size: fields.l1Size,
    ...(index.form === "full" ? { l1_checksum: hex32(fields.l1Checksum) } : {}),
    ...(records === undefined ? {} : { extra_data: records.map(recordJson) }),
  };
}
