// What `qdb info` says of a qcow2 image: the document of --output=json (`spec/schema/info-qcow2.schema.json`), and the same as text.
import { quote } from "@qdb/format";
import { type FeatureKind, toHex } from "@qdb/format/container";
import { hex32 } from "@qdb/format/internal";
import type { CountedBitmaps, Qcow2Bitmap, Qcow2Index } from "@qdb/qcow2";
import type { ImageReader } from "../files/bitmap-file.ts";
import { longSize } from "../shell/size.ts";
import type { Colors } from "../shell/terminal.ts";
import { type BitmapInfo, type ExtensionInfo, type FeatureInfo, percentOf } from "./info-document.ts";
import { bitmapLines, extensionLines, featureLines } from "./info-text.ts";

/** A bitmap of an image. Granularity and number of bits are undefined if the image does not say them in a valid way. */
export type ImageBitmapInfo = Pick<
  BitmapInfo,
  | "name"
  | "name_hex"
  | "size"
  | "dirty_bytes"
  | "dirty_percent"
  | "flags"
  | "state"
  | "error"
  | "stored_clusters"
  | "stored_bytes"
> & { readonly granularity: number | undefined; readonly bits: number | undefined };

/** An image, with its bitmaps. */
export type ImageInfo = {
  readonly filename: string;
  readonly format: "qcow2";
  readonly version: number;
  readonly cluster_size: number;
  readonly file_size: number;
  readonly virtual_size: string;
  readonly features: Readonly<Record<FeatureKind, readonly FeatureInfo[]>>;
  readonly extensions: Iterable<ExtensionInfo>;
  /** Whether the bitmaps as a whole can be believed; undefined if there are none. */
  readonly bitmaps_consistent: boolean | undefined;
  readonly bitmaps: Iterable<ImageBitmapInfo>;
};

/** Makes the document for an image from its index and its counted bitmaps. */
export function imageInfo(
  filename: string,
  index: Qcow2Index,
  counted: CountedBitmaps,
  reader: ImageReader,
): ImageInfo {
  const { bitmaps, inconsistency } = index;
  return {
    filename,
    format: "qcow2",
    version: index.version,
    cluster_size: index.clusterSize,
    file_size: index.fileSize,
    virtual_size: String(index.virtualSize),
    features: reader.qcow2Features(index),
    extensions: {
      *[Symbol.iterator]() {
        for (const { type, data } of reader.qcow2Extensions(index))
          yield { type: `0x${hex32(type)}`, name: reader.qcow2ExtensionName(type), length: data.length };
      },
    },
    bitmaps_consistent: bitmaps.length === 0 ? undefined : inconsistency === undefined,
    bitmaps: {
      *[Symbol.iterator]() {
        for (const bitmap of bitmaps) yield bitmapInfo(bitmap, index, counted);
      },
    },
  };
}

function bitmapInfo(bitmap: Qcow2Bitmap, index: Qcow2Index, counted: CountedBitmaps): ImageBitmapInfo {
  const { name, shape, shapeProblem } = bitmap;
  const problem = counted.problemOf(bitmap);
  const dirty = counted.dirtyOf(bitmap);
  return {
    name,
    name_hex: name === undefined ? toHex(bitmap.nameBytes) : undefined,
    size: String(shape.size),
    granularity: bitmap.hasGranularity ? shape.granularity : undefined,
    bits: shapeProblem === undefined ? bitmap.bitCount : undefined,
    dirty_bytes: dirty === undefined ? undefined : String(dirty.bytes),
    dirty_percent: dirty === undefined ? undefined : percentOf(dirty.bytes, shape.size),
    flags: bitmap.flagNames,
    state: bitmap.stateBy(problem),
    error: problem === undefined ? undefined : { code: problem.code, message: problem.message },
    ...storedSpace(bitmap, index),
  };
}

/** Returns the space in the image that a bitmap takes, its table included. */
function storedSpace(
  bitmap: Qcow2Bitmap,
  { clusterSize }: Qcow2Index,
): Pick<ImageBitmapInfo, "stored_clusters" | "stored_bytes"> {
  if (bitmap.problem !== undefined) return { stored_clusters: undefined, stored_bytes: undefined };
  const map = bitmap.map();
  let clusters = 0;
  for (let cluster = 0; cluster < map.count; cluster++) if (map.kind(cluster) === "data") clusters++;
  const table = Math.ceil(bitmap.table.length / clusterSize);
  return { stored_clusters: clusters, stored_bytes: (clusters + table) * clusterSize };
}

/** Yields the lines of text about an image. All text that comes from the image is quoted. */
export function* imageLines(
  info: ImageInfo,
  { bitmaps, inconsistency }: Qcow2Index,
  colors: Colors,
): Generator<string, void> {
  yield `file: ${quote(info.filename)}`;
  yield `file format: qcow2, version ${info.version}`;
  yield `file size: ${longSize(BigInt(info.file_size))}`;
  yield `cluster size: ${longSize(BigInt(info.cluster_size))}`;
  yield `virtual size: ${longSize(BigInt(info.virtual_size))}`;
  yield* featureLines("incompatible features", info.features.incompatible);
  yield* featureLines("compatible features", info.features.compatible);
  yield* featureLines("autoclear features", info.features.autoclear);
  yield* extensionLines(info.extensions);
  if (bitmaps.length > 0)
    yield `bitmaps consistent: ${inconsistency === undefined ? "yes" : colors.red(`no, ${inconsistency}`)}`;
  yield `bitmaps: ${bitmaps.length}`;
  for (const bitmap of info.bitmaps) yield* bitmapLines(bitmap, "bitmap table", colors);
}
