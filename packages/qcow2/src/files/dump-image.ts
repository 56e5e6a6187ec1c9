// The JSON form of a qcow2 image: its header, header extensions, and bitmaps (spec/schema/qcow2.schema.json).
import type { Digests } from "@qdb/format";
import {
  type DumpOptions,
  type DumpSummary,
  type Plan,
  put,
  type RunOptions,
  type StreamOptions,
  toHex,
} from "@qdb/format/container";
import {
  BitsDump,
  FEATURE_NAME_TABLE,
  featureJson,
  type JsonValue,
  jsonOnOneLine,
  parseFeatureNames,
  setBits,
  structJson,
  typeJson,
} from "@qdb/format/internal";
import type { Qcow2Bitmap } from "../bitmaps/bitmap.ts";
import { DIRECTORY_ENTRY } from "../bitmaps/directory-entry.ts";
import type { Qcow2Index } from "../bitmaps/qcow2-index.ts";
import { BITMAPS, BITMAPS_EXTENSION, type Extension } from "../image/extensions.ts";
import { QCOW2_HEADER } from "../image/header.ts";
import { qcow2Extensions } from "./facts.ts";
import type { Qcow2File } from "./qcow2-file.ts";

/** Options of {@link dumpQcow2}. */
export interface DumpImageOptions extends RunOptions, DumpOptions, StreamOptions {
  /** Needed for `bits_sha256`. */
  readonly digests?: Digests | undefined;
}

/** Names of the flags of a bitmap by their bits (qcow2: Bitmap directory). */
const FLAGS: readonly string[] = ["in_use", "auto", "extra_data_compatible"];
/** Maximum length of extra data that is written, in bytes, as in the form of a QDB file. */
const MAX_EXTRA_DATA = 4096;
/** Offset of the first field of the header that only images of version 3 have. */
const VERSION_3_FIELDS = 72;

/**
 * Yields the text of the JSON form of an image in parts. A bitmap whose bits cannot be used gets `error` in place of the bits. All data of a
 * bitmap is read before its first extent is yielded, and then read again.
 * @throws {QdbError} as `Qcow2File.stream`
 */
export function dumpQcow2(file: Qcow2File, options: DumpImageOptions = {}): AsyncGenerator<string, DumpSummary> {
  return file.stream(
    (index) => dumpPlan(index, options),
    (text) => text.length,
    options,
  );
}

function* dumpPlan(index: Qcow2Index, options: DumpImageOptions): Plan<DumpSummary, string> {
  yield* put(`{\n  "format": "qcow2",\n  "header": ${jsonOnOneLine(headerJson(index))},\n`);
  if (index.version === 3) {
    yield* put('  "extensions": [');
    let isFirst = true;
    for (const extension of qcow2Extensions(index)) {
      yield* put(`${isFirst ? "" : ","}\n    ${jsonOnOneLine(extensionJson(extension))}`);
      isFirst = false;
    }
    yield* put(isFirst ? "],\n" : "\n  ],\n");
  }
  yield* put('  "bitmaps": [');
  const { bitmaps } = index;
  const total = bitmaps.reduce((sum, { problem, bitCount }) => (problem === undefined ? sum + bitCount : sum), 0);
  const bits = new BitsDump(options.digests ?? {}, options, total);
  for (const [at, bitmap] of bitmaps.entries()) {
    yield* put(`${at === 0 ? "" : ","}\n    ${jsonOnOneLine(entryJson(bitmap)).slice(0, -1)}, `);
    yield* bits.put(bitmap.label, bitmap.problem ?? bitmap.map());
  }
  yield* put(bitmaps.length === 0 ? "]\n}\n" : "\n  ]\n}\n");
  return bits.summary;
}

/** Converts the header. One of version 2 has no fields from byte 72 on. Fields after those that this package knows are bytes in hex. */
function headerJson({ header, headerArea, version }: Qcow2Index): JsonValue {
  const absent = Object.entries(QCOW2_HEADER.fields).flatMap(([field, [at]]) =>
    version === 2 && at >= VERSION_3_FIELDS ? [field] : [],
  );
  const known = structJson(QCOW2_HEADER, header, ["magic", ...absent]);
  if (header.headerLength <= QCOW2_HEADER.size) return known;
  return { ...known, additional_fields: toHex(headerArea.subarray(QCOW2_HEADER.size, header.headerLength)) };
}

function extensionJson({ type, data }: Extension): JsonValue {
  const head = { type: typeJson(type) };
  if (type === BITMAPS) return { ...head, ...structJson(BITMAPS_EXTENSION, BITMAPS_EXTENSION.decode(data)) };
  const features = type === FEATURE_NAME_TABLE ? parseFeatureNames(data) : undefined;
  return features === undefined ? { ...head, data: toHex(data) } : { ...head, features: featureJson(features) };
}

/** Converts the keys of a bitmap that come before its bits: those of its directory entry, and what the entries of its table are. */
function entryJson(bitmap: Qcow2Bitmap): JsonValue {
  const { name, fields, extraData } = bitmap;
  return {
    ...(name === undefined ? { name_hex: toHex(bitmap.nameBytes) } : { name }),
    ...structJson(DIRECTORY_ENTRY, fields, ["flags", "nameSize"]),
    flags: setBits(BigInt(fields.flags)).map((bit) => FLAGS[bit] ?? `bit${bit}`),
    ...(extraData.length > 0 && extraData.length <= MAX_EXTRA_DATA ? { extra_data: toHex(extraData) } : {}),
    ...(bitmap.problem === undefined ? { bitmap_table: tableJson(bitmap) } : {}),
  };
}

/** Counts the entries of a bitmap table by what they say of their clusters. */
function tableJson(bitmap: Qcow2Bitmap): JsonValue {
  const map = bitmap.map();
  const counts = { data: 0, zeros: 0, ones: 0 };
  for (let cluster = 0; cluster < map.count; cluster++) counts[map.kind(cluster)]++;
  return counts;
}
