import type { ExtentBatch } from "../bitmap/runs.ts";
import { dirtyBytes } from "../bitmap/shape.ts";
import { BitsHasher } from "../bits/bits-hasher.ts";
import type { ClusterMap } from "../bits/cluster-map.ts";
import { windows } from "../bits/cluster-windows.ts";
import { type BitOptions, extentsPlan } from "../bits/read-bits.ts";
import { Scratch } from "../bits/scratch.ts";
import { storedIn } from "../bits/stored-clusters.ts";
import { wordAt } from "../elements.ts";
import { isQdbError, type Problem } from "../errors.ts";
import { hex32, toHex } from "../layout/text.ts";
import { loadMaps } from "../maps/load-maps.ts";
import type { MappedBitmap } from "../maps/mapped-bitmap.ts";
import type { QdbIndex } from "../open/qdb-index.ts";
import type { Digests, Sha256 } from "../ports/digest.ts";
import { mapPut, type Plan, put, read } from "../ports/plan.ts";
import { quoteJson } from "../quote.ts";
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
import { extensionNameJson, featureJson, type JsonValue, structJson, typeJson, UNSTORED_BYTES } from "./dump-values.ts";

/** Options of a dump. */
export interface DumpOptions extends Pick<BitOptions, "onProgress"> {
  /**
   * Whether to write `bits_sha256` of every bitmap whose bits can be used. By default a bitmap goes without it if more than 16 MiB of
   * unstored data would have to be hashed, together with the bitmaps before it.
   */
  readonly allDigests?: boolean | undefined;
}

/** The result of a dump. */
export interface DumpSummary {
  /** Number of bitmaps for which `error` was written in place of the bits. */
  readonly errors: number;
  /** Label and problem of the first such bitmap; undefined if there is none. */
  readonly first: { readonly label: string; readonly problem: Problem } | undefined;
}

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
  const total = mapped.reduce((sum, { map }) => sum + (map === undefined ? 0 : map.bitCount), 0);
  let errors = 0;
  let first: DumpSummary["first"];
  let done = 0;
  let unstored = 0;
  for (const [at, bitmap] of mapped.entries()) {
    const { entry, map } = bitmap;
    yield* put(`${at === 0 ? "" : ","}\n    ${text(entryJson(entry, index)).slice(0, -1)}, `);
    const problem = yield* verified(bitmap);
    if (problem !== undefined || map === undefined) {
      errors++;
      const said: Problem = problem ?? { code: "BAD_FIELD", message: "the bitmap has no usable L1 area", where: {} };
      first ??= { label: entry.label, problem: said };
      yield* put(`"error": ${text({ code: said.code, message: said.message })} }`);
    } else {
      const before = done;
      const needed = unstored + unstoredBytes(map);
      const isDigestDue = options.allDigests === true || needed <= UNSTORED_BYTES;
      if (isDigestDue) unstored = needed;
      yield* dumpBits(map, isDigestDue ? digests.sha256 : undefined, {
        ...options,
        onProgress: (bits) => options.onProgress?.(before + bits, total),
      });
    }
    if (map !== undefined) done += map.bitCount;
  }
  yield* put(mapped.length === 0 ? "]\n}\n" : "\n  ]\n}\n");
  return { errors, first };
}

/** Reads and verifies all data of a bitmap. Returns the first problem of the bitmap, or undefined if there is none. */
function* verified(bitmap: MappedBitmap): Plan<Problem | undefined> {
  const { usableMap: map } = bitmap;
  if (map === undefined) return bitmap.findProblem();
  try {
    const scratch = new Scratch();
    for (const window of windows(map)) {
      for (const [cluster, bytes] of storedIn(map, window, yield* read(scratch.ranges(window.ranges)))) {
        const bad = map.verify(cluster, bytes);
        if (bad !== undefined) return bad;
      }
    }
  } catch (error) {
    if (isQdbError(error, "IO", "SHORT_READ")) return error;
    throw error;
  }
  return undefined;
}

/** Returns the number of bytes of a bitmap's data that no cluster stores. They take time to hash, although nothing is read for them. */
function unstoredBytes(map: ClusterMap): number {
  let stored = 0;
  for (let cluster = 0; cluster < map.count; cluster++) if (map.kind(cluster) === "data") stored++;
  const bytes = Math.ceil(map.bitCount / 8);
  const isLastStored = map.count > 0 && map.kind(map.count - 1) === "data";
  // The bitmap can end inside its last cluster; the bytes of that cluster past the end are not data of the bitmap.
  const beyond = isLastStored ? map.count * map.clusterSize - bytes : 0;
  return bytes - (stored * map.clusterSize - beyond);
}

function* dumpBits(map: ClusterMap, sha256: (() => Sha256) | undefined, options: DumpOptions): Plan<void, string> {
  const hasher = sha256 === undefined ? undefined : new BitsHasher(sha256(), map.bitCount);
  const totals = { bitCount: 0, last: -1, first: true };
  yield* put('"dirty": [');
  yield* mapPut(
    extentsPlan(map, { onProgress: options.onProgress, ...(hasher === undefined ? {} : { also: hasher }) }),
    (batch) => rangesJson(batch, totals),
  );
  const bytes = dirtyBytes(totals.bitCount, map.shape, { last: totals.last === map.bitCount - 1 && map.bitCount > 0 });
  const digest = hasher === undefined ? "" : `, "bits_sha256": "${hasher.finish()}"`;
  yield* put(`${totals.first ? "" : "\n      "}], "dirty_bytes": "${bytes}"${digest} }`);
}

function rangesJson(batch: ExtentBatch, totals: { bitCount: number; last: number; first: boolean }): string {
  const pieces: string[] = [];
  const { runs } = batch;
  for (let at = 0; at < runs.length; at += 2) {
    totals.bitCount += wordAt(runs, at + 1) - wordAt(runs, at) + 1;
  }
  totals.last = runs.at(-1) ?? totals.last;
  for (const { offset, length } of exactRanges(batch)) {
    pieces.push(`${totals.first ? "" : ","}\n      ["${offset}", "${length}"]`);
    totals.first = false;
  }
  return pieces.join("");
}

function exactRanges(
  batch: ExtentBatch,
): Iterable<{ readonly offset: number | bigint; readonly length: number | bigint }> {
  return batch.shape.size <= BigInt(Number.MAX_SAFE_INTEGER) ? batch.ranges() : batch.rangesBig();
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

/** Encodes a value as JSON on one line. Characters that can act on a terminal are escaped in strings. */
function text(value: JsonValue): string {
  if (typeof value === "string") return quoteJson(value);
  if (Array.isArray(value)) return `[${value.map((item: JsonValue) => text(item)).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const pairs = Object.entries(value).map(([key, item]) => `${quoteJson(key)}: ${text(item)}`);
  return `{ ${pairs.join(", ")} }`;
}

function lines(items: readonly string[]): string {
  return items.length === 0 ? "" : `\n    ${items.join(",\n    ")}\n  `;
}
