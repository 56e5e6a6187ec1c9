// The document that `qdb info --output=json` prints (`spec/schema/info.schema.json`). The text output is made from the same document.
import type { BitmapState, CountedBitmap, Problem } from "@qdb/format";
import {
  type BitmapEntry,
  extensionName,
  FEATURES,
  type FeatureKind,
  flagNames,
  L1_CHECKSUM,
  L1_ENTRY,
  type QdbIndex,
  toHex,
  toUuid,
} from "@qdb/format/container";
import { bitmapState, hex32, isShape, knownRecords, setBits } from "@qdb/format/internal";
import { type DiskInfo, diskInfo } from "./disk-info.ts";

/** A feature bit that is set in the header. */
export type FeatureInfo = { readonly bit: number; readonly name: string | undefined };

/** A header extension. */
export type ExtensionInfo = { readonly type: string; readonly name: string | undefined; readonly length: number };

/** A bitmap. Sizes and times are strings if they can be above 2^53. */
export type BitmapInfo = {
  readonly name: string | undefined;
  readonly name_hex: string | undefined;
  readonly size: string;
  readonly granularity: number;
  readonly bits: number | undefined;
  readonly dirty_bytes: string | undefined;
  readonly dirty_percent: number | undefined;
  readonly flags: readonly string[];
  readonly state: BitmapState | "in use";
  readonly error: { readonly code: string; readonly message: string } | undefined;
  readonly disk: string | undefined;
  readonly disk_stamp: { readonly length: string; readonly mtime: string; readonly file: string } | undefined;
  readonly id: string | undefined;
  readonly parent: string | undefined;
  readonly created: string | undefined;
  readonly age_seconds: number | undefined;
  readonly comment: string | undefined;
  readonly successor: string | undefined;
  readonly session: { readonly id: string; readonly file: string } | undefined;
  readonly stored_clusters: number | undefined;
  readonly stored_bytes: number | undefined;
} & DiskInfo;

/** A file, with its bitmaps. */
export type FileInfo = {
  readonly filename: string;
  readonly format: "qdb";
  readonly form: "full" | "draft";
  readonly version: number;
  readonly cluster_size: number;
  readonly file_size: number;
  readonly features: Readonly<Record<FeatureKind, readonly FeatureInfo[]>>;
  readonly generation: string | undefined;
  readonly file_id: string | undefined;
  readonly writer_id: string | undefined;
  readonly extensions: readonly ExtensionInfo[];
  readonly header_source: "primary" | "mirror";
  readonly unprotected: boolean;
  /** The bitmaps are made one by one at each iteration, because a file can have tens of thousands. */
  readonly bitmaps: Iterable<BitmapInfo>;
};

/** What the document needs beside the bytes of the file. */
export interface Circumstances {
  /** The current time in milliseconds since the Unix epoch. */
  readonly now: number;
  /** Whether a running writer has the file open. If so, bitmaps with the flag in_use are shown as in use, otherwise as inconsistent. */
  readonly hasWriter: boolean;
}

/** Makes the document for a file from its index and its counted bitmaps. */
export function fileInfo(
  filename: string,
  index: QdbIndex,
  bitmaps: readonly CountedBitmap[],
  circumstances: Circumstances,
): FileInfo {
  const { form, header, extensions } = index;
  const isFull = form === "full";
  return {
    filename,
    format: "qdb",
    form,
    version: header.version,
    cluster_size: index.clusterSize,
    file_size: index.fileSize,
    features: {
      incompatible: featureInfos("incompatible", header.incompatibleFeatures, index),
      compatible: featureInfos("compatible", header.compatibleFeatures, index),
      autoclear: featureInfos("autoclear", header.autoclearFeatures, index),
    },
    generation: isFull ? String(header.generation) : undefined,
    file_id: isFull ? toUuid(header.fileId) : undefined,
    writer_id: isFull ? toUuid(header.writerId) : undefined,
    extensions: extensions.map(({ type, data }) => ({
      type: `0x${hex32(type)}`,
      name: extensionName(type, extensions),
      length: data.length,
    })),
    header_source: index.headerSource,
    unprotected: !isFull,
    bitmaps: {
      *[Symbol.iterator]() {
        for (const bitmap of bitmaps) yield bitmapInfo(bitmap, index, circumstances);
      },
    },
  };
}

function featureInfos(kind: FeatureKind, word: bigint, index: QdbIndex): FeatureInfo[] {
  const known = [...FEATURES, ...index.features];
  return setBits(word).map((bit) => ({
    bit,
    name: known.find((feature) => feature.kind === kind && feature.bit === bit)?.name,
  }));
}

function bitmapInfo(bitmap: CountedBitmap, index: QdbIndex, { now, hasWriter }: Circumstances): BitmapInfo {
  const { entry, dirty } = bitmap;
  const { problem } = bitmap;
  const { size, granularity, flags } = entry.decodeFields();
  const { disk, stamp, id, parent, created, comment, successor, session } = knownRecords(entry);
  return {
    name: entry.name,
    name_hex: entry.name === undefined ? toHex(entry.nameBytes) : undefined,
    size: String(size),
    granularity,
    // The number of bits is unknown if size or granularity breaks a rule.
    bits: isShape({ size, granularity }) ? entry.bitCount : undefined,
    dirty_bytes: dirty === undefined ? undefined : String(dirty.bytes),
    dirty_percent: dirty === undefined ? undefined : percentOf(dirty.bytes, size),
    flags: flagNames(flags),
    state: stateOf(entry, problem, hasWriter),
    error: problem === undefined ? undefined : { code: problem.code, message: problem.message },
    disk,
    disk_stamp: stamp && { length: String(stamp.length), mtime: String(stamp.mtime), file: String(stamp.file) },
    ...diskInfo(entry),
    id,
    parent,
    created: created === undefined ? undefined : String(created),
    age_seconds: created === undefined ? undefined : now / 1000 - Number(created) / 1e9,
    comment,
    successor,
    session: session && { id: session.id, file: String(session.file) },
    ...storedSpace(bitmap, index),
  };
}

/** Returns how many percent of `whole` are `part`; 0 if `whole` is 0. */
export function percentOf(part: bigint, whole: bigint): number {
  return whole === 0n ? 0 : (100 * Number(part)) / Number(whole);
}

function stateOf(entry: BitmapEntry, problem: Problem | undefined, hasWriter: boolean): BitmapInfo["state"] {
  const state = bitmapState(entry, problem);
  return state === "inconsistent" && hasWriter ? "in use" : state;
}

/** Returns the space in the file that a bitmap takes, preallocated clusters included. */
function storedSpace(
  { map }: CountedBitmap,
  { form, clusterSize }: QdbIndex,
): Pick<BitmapInfo, "stored_clusters" | "stored_bytes"> {
  if (map === undefined) return { stored_clusters: undefined, stored_bytes: undefined };
  let clusters = 0;
  for (let cluster = 0, end = 0; cluster < map.count; cluster = end) {
    end = map.runEnd(cluster);
    if (map.offset(cluster) !== 0) clusters += end - cluster;
  }
  const area = map.count * (L1_ENTRY.size + (form === "full" ? L1_CHECKSUM.size : 0));
  return { stored_clusters: clusters, stored_bytes: (clusters + Math.ceil(area / clusterSize)) * clusterSize };
}
