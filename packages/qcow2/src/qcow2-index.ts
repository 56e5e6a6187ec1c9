import { type Plan, QdbError, read } from "@qdb/format";
import { DIRECTORY_ENTRY, entryLength, entryName, Qcow2Bitmap } from "./bitmap.ts";
import {
  BITMAPS_EXTENSION,
  type BitmapsExtension,
  checkFeatures,
  directoryError,
  extensionsEnd,
  findBitmapsExtension,
} from "./extensions.ts";
import { AUTOCLEAR_BITMAPS, decodeHeader, QCOW2_HEADER, type Qcow2Header, validateHeader } from "./header.ts";
import { type Image, imageOf, placeProblem } from "./image.ts";
import { MAX_NAME_SIZE } from "./limits.ts";

/** What an image says of its bitmaps before any bitmap table is read. */
export interface Qcow2Index {
  /** 2 or 3. Version 2 images hold no bitmaps. */
  readonly version: number;
  /** Bytes a cluster. */
  readonly clusterSize: number;
  /** Length of the virtual disk in bytes. */
  readonly virtualSize: bigint;
  readonly incompatibleFeatures: bigint;
  readonly autoclearFeatures: bigint;
  /** Autoclear bit 0: the last writer kept the bitmaps up to date. Where it is clear every bitmap is INCONSISTENT. */
  readonly bitmapsConsistent: boolean;
  /** In the order of the directory; those with a `problem` are listed, their bits are refused. */
  readonly bitmaps: readonly Qcow2Bitmap[];
  readonly header: Qcow2Header;
  /** What tables and data are judged by; the directory is one of its owners. */
  readonly image: Image;
  /** Bytes of header and bitmaps extension as they were read: {@link confirmQcow2} compares them. */
  readonly evidence: readonly { readonly offset: number; readonly bytes: Uint8Array }[];
}

/** Bytes that the first round reads: header and extensions of all but images with uncommonly large clusters and many extensions. */
const FIRST_READ = 64 * 1024;

/**
 * Reads header, extensions and bitmap directory of an image of `fileSize` bytes: two rounds, three where clusters are larger
 * than 64 KiB. A bitmap that breaks a rule has a `problem`; what breaks the walk to the others is thrown.
 * @throws {QdbError} BAD_MAGIC, TRUNCATED, UNSUPPORTED_VERSION, UNSUPPORTED_FEATURE, BAD_FIELD, DUPLICATE_TYPE, RESERVED_NOT_ZERO, LIMIT, MISALIGNED, OUT_OF_BOUNDS, OVERLAP
 */
export function* readQcow2Index(fileSize: number): Plan<Qcow2Index> {
  const first = yield* readBytes(0, Math.min(fileSize, FIRST_READ));
  const header = decodeHeader(first);
  if (header.version === 3) checkFeatures(header, first);
  validateHeader(header, fileSize);
  let image = imageOf(header, fileSize);
  const evidence = [{ offset: 0, bytes: first.slice(0, QCOW2_HEADER.size) }];
  let bitmaps: readonly Qcow2Bitmap[] = [];
  const extension =
    header.version === 3 ? findBitmapsExtension(header, yield* readFirstCluster(header, first)) : undefined;
  if (extension !== undefined) {
    const bytes = new Uint8Array(BITMAPS_EXTENSION.size);
    BITMAPS_EXTENSION.encode(extension, bytes);
    evidence.push({ offset: extension.fileOffset, bytes });
    const directory = {
      what: "the bitmap directory",
      offset: Number(extension.bitmapDirectoryOffset),
      length: Number(extension.bitmapDirectorySize),
    };
    const problem = placeProblem(directory.what, directory, image, directoryError(extension, "BAD_FIELD", "").where);
    if (problem !== undefined) throw QdbError.from(problem);
    image = { ...image, owners: [...image.owners, directory] };
    bitmaps = walkDirectory(extension, yield* readBytes(directory.offset, directory.length), image);
  }
  return {
    version: header.version,
    clusterSize: image.clusterSize,
    virtualSize: header.size,
    incompatibleFeatures: header.incompatibleFeatures,
    autoclearFeatures: header.autoclearFeatures,
    bitmapsConsistent: (header.autoclearFeatures & AUTOCLEAR_BITMAPS) !== 0n,
    bitmaps,
    header,
    image,
    evidence,
  };
}

function* readBytes(offset: number, length: number): Plan<Uint8Array> {
  const [bytes = new Uint8Array(0)] = yield* read(length === 0 ? [] : [{ offset, length }]);
  return bytes;
}

/** The first cluster as far as extensions may reach, of which the first bytes were read already. */
function* readFirstCluster(header: Qcow2Header, first: Uint8Array): Plan<Uint8Array> {
  const end = extensionsEnd(header);
  if (end <= first.length) return first;
  const rest = yield* readBytes(first.length, end - first.length);
  const whole = new Uint8Array(end);
  whole.set(first);
  whole.set(rest, first.length);
  return whole;
}

/**
 * Goes from entry to entry; there must be as many as the extension says, and nothing behind them (qcow2: Bitmap directory).
 * @throws {QdbError} OUT_OF_BOUNDS when an entry runs past the directory, BAD_FIELD when they do not fill it
 */
function walkDirectory(extension: BitmapsExtension, bytes: Uint8Array, image: Image): Qcow2Bitmap[] {
  const offset = Number(extension.bitmapDirectoryOffset);
  const doubled = new Set<number>();
  const directory = { bytes, offset, image, doubled };
  const byName = new Map<string, number>();
  const bitmaps: Qcow2Bitmap[] = [];
  let at = 0;
  for (let index = 0; index < extension.nbBitmaps; index++) {
    const left = bytes.length - at;
    if (left < DIRECTORY_ENTRY.size || left < entryLength(bytes, at)) {
      throw new QdbError(
        "OUT_OF_BOUNDS",
        `entry ${index} of ${extension.nbBitmaps} runs past the bitmap directory's ${bytes.length} bytes`,
        {
          structure: DIRECTORY_ENTRY.name,
          offset: offset + at,
        },
      );
    }
    const name = entryName(bytes, at);
    if (name.length <= MAX_NAME_SIZE) {
      // One character a byte: names are compared as bytes, whatever their encoding is.
      const key = String.fromCharCode(...name);
      const other = byName.get(key);
      if (other === undefined) byName.set(key, index);
      else doubled.add(other).add(index);
    }
    bitmaps.push(new Qcow2Bitmap(index, directory, at));
    at += entryLength(bytes, at);
  }
  if (at !== bytes.length) {
    throw directoryError(
      extension,
      "BAD_FIELD",
      `the ${extension.nbBitmaps} entries of the bitmap directory take ${at} bytes, bitmap_directory_size is ${bytes.length}`,
    );
  }
  return bitmaps;
}
