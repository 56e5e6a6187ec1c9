import { QdbError } from "@qdb/format";
import { type Plan, readRange } from "@qdb/format/container";
import { isClusterBits, MAX_NAME_SIZE, MIN_CLUSTER_BITS } from "@qdb/format/internal";
import {
  type BitmapsExtension,
  checkFeatures,
  directoryError,
  extensionsEnd,
  findBitmapsExtension,
  findEncryptionHeader,
} from "../image/extensions.ts";
import { AUTOCLEAR_BITMAPS, decodeHeader, QCOW2_HEADER, type Qcow2Header, validateHeader } from "../image/header.ts";
import { type Image, imageOf, overlapProblem, placeProblem } from "../image/image.ts";
import { type Directory, Qcow2Bitmap } from "./bitmap.ts";
import { DIRECTORY_ENTRY, entryLength, entryName } from "./directory-entry.ts";
import { judge, type Surroundings } from "./judgement.ts";

/** Bytes of the image that are compared later to detect a change. */
export interface Evidence {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** Everything about the bitmaps of an image except their bits. */
export interface Qcow2Index {
  /** 2 or 3. Version 2 images hold no bitmaps. */
  readonly version: number;
  /** Length of the image file in bytes. */
  readonly fileSize: number;
  /** Cluster size in bytes. */
  readonly clusterSize: number;
  /** Size of the virtual disk in bytes. */
  readonly virtualSize: bigint;
  readonly incompatibleFeatures: bigint;
  readonly autoclearFeatures: bigint;
  /** Whether the last program that wrote to the image kept the bitmaps up to date (autoclear bit 0). If not, every bitmap is INCONSISTENT. */
  readonly bitmapsConsistent: boolean;
  /** The bitmaps in the order of the directory. Includes bitmaps with a `problem`, whose bits cannot be read. */
  readonly bitmaps: readonly Qcow2Bitmap[];
  readonly header: Qcow2Header;
  /** The first bytes of the image: in version 3 at least up to the end of the header extensions. */
  readonly headerArea: Uint8Array;
  /** Why no bitmap of the image can be used, as a message: it is marked corrupt, or autoclear bit 0 is clear. Undefined if there is no such reason. */
  readonly inconsistency: string | undefined;
  /** Whether the owners of the clusters of bitmaps could be checked; true also if they need not be, since every bitmap is in error anyway. */
  readonly isComplete: boolean;
  /** Whether the owners of the clusters of bitmaps were checked. False if every bitmap is in error without that check. */
  readonly isJudged: boolean;
  /** Header, extensions and bitmap directory as they were read. {@link confirmQcow2} compares the image with them. */
  readonly evidence: readonly Evidence[];
}

/** Number of bytes that the first round reads. They include the header and, in nearly all images, all extensions. */
const FIRST_READ = 64 * 1024;

/** Reads the first bytes of an image of `fileSize` bytes for {@link readQcow2Index}: the header and, in nearly all images, all extensions. */
export function* readQcow2Head(fileSize: number): Plan<Uint8Array> {
  return yield* readBytes(0, Math.min(fileSize, FIRST_READ));
}

/**
 * Returns the bytes to compare later out of the first bytes of the image: those of the first cluster, which holds only header and
 * extensions. If the cluster size is invalid, the first 512 bytes.
 */
export function headEvidence(head: Uint8Array): Evidence {
  const bits = head.length >= QCOW2_HEADER.size ? QCOW2_HEADER.decode(head).clusterBits : 0;
  const length = 2 ** (isClusterBits(bits) ? bits : MIN_CLUSTER_BITS);
  return { offset: 0, bytes: head.slice(0, length) };
}

/**
 * Reads header, extensions and bitmap directory of an image of `fileSize` bytes, and checks the clusters of all bitmaps against each other
 * and against the other structures of the image. A bitmap in error gets a `problem`; an error that makes the directory unreadable is
 * thrown. `head` is the result of {@link readQcow2Head}, if that was read before.
 * @throws {QdbError} BAD_MAGIC, TRUNCATED, UNSUPPORTED_VERSION, UNSUPPORTED_FEATURE or BAD_FIELD for the header; BAD_FIELD, DUPLICATE_TYPE,
 * RESERVED_NOT_ZERO or LIMIT for the extensions; BAD_FIELD, MISALIGNED, OUT_OF_BOUNDS or OVERLAP for the directory
 */
export function* readQcow2Index(fileSize: number, head?: Uint8Array): Plan<Qcow2Index> {
  const parts = yield* readQcow2Parts(fileSize, head);
  const { header, image, bitmaps, directory } = parts;
  const isJudged = bitmaps.some(({ entryProblem }) => entryProblem === undefined);
  if (isJudged && directory !== undefined)
    directory.judgement = yield* judge(surroundingsOf(parts, directory), bitmaps);
  return {
    version: header.version,
    fileSize,
    clusterSize: image.clusterSize,
    virtualSize: header.size,
    incompatibleFeatures: header.incompatibleFeatures,
    autoclearFeatures: header.autoclearFeatures,
    bitmapsConsistent: (header.autoclearFeatures & AUTOCLEAR_BITMAPS) !== 0n,
    bitmaps,
    header,
    headerArea: parts.area,
    inconsistency: image.inconsistency,
    isComplete: directory?.judgement?.isComplete !== false,
    isJudged,
    evidence: parts.evidence,
  };
}

/** Header, extensions and bitmap directory of an image, as they are in the file. */
export interface Qcow2Parts {
  readonly header: Qcow2Header;
  readonly image: Image;
  /** The first bytes of the file, up to where extensions must end. */
  readonly area: Uint8Array;
  /** The bitmaps extension; undefined if there is none. */
  readonly extension: BitmapsExtension | undefined;
  /** The bitmap directory; undefined if there is none. */
  readonly directory: Directory | undefined;
  /** The bitmaps in the order of the directory. */
  readonly bitmaps: readonly Qcow2Bitmap[];
  readonly evidence: readonly Evidence[];
}

/** Reads header, extensions and bitmap directory; no owner is looked for. @throws {QdbError} as {@link readQcow2Index} */
export function* readQcow2Parts(fileSize: number, head?: Uint8Array): Plan<Qcow2Parts> {
  const first = head ?? (yield* readQcow2Head(fileSize));
  const header = decodeHeader(first);
  if (header.version === 3) checkFeatures(header, first);
  validateHeader(header, fileSize);
  const image = imageOf(header, fileSize);
  const evidence = [headEvidence(first)];
  if (header.version !== 3)
    return { header, image, area: first, extension: undefined, directory: undefined, bitmaps: [], evidence };
  const cluster = yield* readFirstCluster(header, first);
  evidence.push({ offset: first.length, bytes: cluster.subarray(first.length) });
  const area = cluster.subarray(0, extensionsEnd(header));
  const extension = findBitmapsExtension(header, cluster);
  if (extension === undefined) return { header, image, area, extension, directory: undefined, bitmaps: [], evidence };
  const directory = yield* readDirectory(extension, image);
  evidence.push(directory);
  return { header, image, area, extension, directory, bitmaps: walkDirectory(extension, directory), evidence };
}

/** Returns what the clusters of bitmaps are checked against. `directory` is the range of the bitmap directory, of length 0 if there is none. */
export function surroundingsOf(
  { header, image, area }: Pick<Qcow2Parts, "header" | "image" | "area">,
  directory: Pick<Directory, "offset" | "bytes">,
): Surroundings {
  const range = { offset: directory.offset, length: directory.bytes.length };
  return { header, image, directory: range, encryption: findEncryptionHeader(header, area) };
}

function* readBytes(offset: number, length: number): Plan<Uint8Array> {
  return length === 0 ? new Uint8Array(0) : yield* readRange(offset, length);
}

/** Returns the first cluster up to the end of the extensions. `first` are the bytes of the image that were read before; only the rest is read. */
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
 * Reads the bitmap directory.
 * @throws {QdbError} BAD_FIELD if its offset is 0; MISALIGNED; OUT_OF_BOUNDS; OVERLAP if it shares a cluster with another structure
 */
function* readDirectory(extension: BitmapsExtension, image: Image): Plan<Directory> {
  const what = "the bitmap directory";
  const range = {
    offset: Number(extension.bitmapDirectoryOffset),
    length: Number(extension.bitmapDirectorySize),
  };
  const { where } = directoryError(extension, "BAD_FIELD", "");
  const problem = placeProblem(what, range, image, where) ?? overlapProblem(what, range, image, where);
  if (problem !== undefined) throw QdbError.from(problem);
  return { bytes: yield* readBytes(range.offset, range.length), offset: range.offset, image, doubled: new Set() };
}

/**
 * Walks the directory. It must hold exactly as many entries as the extension says (qcow2: Bitmap directory).
 * @throws {QdbError} OUT_OF_BOUNDS if an entry runs past the directory; BAD_FIELD if bytes are left after the last entry
 */
function walkDirectory(extension: BitmapsExtension, directory: Directory): Qcow2Bitmap[] {
  const { bytes, offset, doubled } = directory;
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
      // The key has one character for each byte, so that names are compared as bytes.
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
