import { type ByteRange, type Problem, QdbError, quote } from "@qdb/format";
import {
  align8,
  type Decoded,
  FEATURE_NAME,
  type FeatureName,
  specName,
  struct,
  TLV_HEAD,
  u32,
  u64,
} from "@qdb/format/container";
import { FEATURE_NAME_TABLE, hex32, MAX_BITMAPS, parseFeatureNames, setBits, viewOf } from "@qdb/format/internal";
import { headerError, INCOMPATIBLE, type Qcow2Header } from "./header.ts";
import { MAX_DIRECTORY_SIZE } from "./limits.ts";

/** Data of the bitmaps extension (qcow2: Bitmaps extension). */
export const BITMAPS_EXTENSION = struct("bitmaps extension", 24, {
  /** Number of bitmaps, 1 or more. */
  nbBitmaps: [0, u32],
  /** 0. */
  reserved: [4, u32],
  /** Length of the bitmap directory in bytes, padding included. */
  bitmapDirectorySize: [8, u64],
  /** File offset of the bitmap directory in bytes, cluster-aligned. */
  bitmapDirectoryOffset: [16, u64],
});

/** The decoded bitmaps extension. `fileOffset` is where its data begins in the file, in bytes. */
export interface BitmapsExtension extends Decoded<typeof BITMAPS_EXTENSION.fields> {
  readonly fileOffset: number;
}

/** Type of the bitmaps extension (qcow2: Header extensions). */
export const BITMAPS = 0x23852875;
/** Type of the extension with the name of the external data file (qcow2: Header extensions). */
export const DATA_FILE_NAME = 0x44415441;
/** Type of the full disk encryption header pointer. Its data is an offset and a length, each a u64 (qcow2: Full disk encryption header pointer). */
const ENCRYPTION_HEADER = 0x0537be77;

/** A header extension. `fileOffset` is where its data begins in the file, in bytes. */
export interface Extension {
  readonly type: number;
  readonly data: Uint8Array;
  readonly fileOffset: number;
}

/**
 * Returns the file offset at which the header extensions must end: where the name of the backing file begins or, without a backing file,
 * the end of the first cluster.
 */
export function extensionsEnd(header: Qcow2Header): number {
  return header.backingFileOffset === 0n ? 2 ** header.clusterBits : Number(header.backingFileOffset);
}

/** Yields the header extensions between file offsets `start` and `end`, in order. @throws {QdbError} BAD_FIELD if an extension runs past `end` */
export function* extensionsIn(bytes: Uint8Array, start: number, end: number): Generator<Extension, void> {
  for (let at = start; at + TLV_HEAD.size <= end; ) {
    const { type, length } = TLV_HEAD.decode(bytes, at);
    if (type === 0) return;
    const fileOffset = at + TLV_HEAD.size;
    if (length > end - fileOffset) {
      throw new QdbError(
        "BAD_FIELD",
        `the header extension 0x${hex32(type)} has ${length} bytes, only ${end - fileOffset} are left for it`,
        {
          structure: "header extension",
          field: "length",
          offset: at + 4,
        },
      );
    }
    yield { type, data: bytes.subarray(fileOffset, fileOffset + length), fileOffset };
    at = fileOffset + align8(length);
  }
}

/**
 * Refuses an image with an unknown incompatible feature. The message has the name of the feature if the image has a feature name table with
 * it. `bytes` are the first bytes of the file, possibly less than its first cluster.
 * @throws {QdbError} UNSUPPORTED_FEATURE
 */
export function checkFeatures(header: Qcow2Header, bytes: Uint8Array): void {
  const known = Object.values(INCOMPATIBLE).reduce((sum, bit) => sum | bit, 0n);
  const unknown = header.incompatibleFeatures & ~known;
  if (unknown === 0n) return;
  const names = setBits(unknown).map((bit) => {
    const name = nameOfFeature(bit, header, bytes);
    return name === undefined ? `bit ${bit}` : `bit ${bit} (${quote(name)})`;
  });
  throw headerError(
    "incompatibleFeatures",
    "UNSUPPORTED_FEATURE",
    `the image needs incompatible feature ${names.join(", ")}, which this reader does not know`,
  );
}

/**
 * Returns the name that the image has for an incompatible feature; undefined if it has none. The extensions are not validated yet: if they
 * are damaged, the feature has no name.
 */
function nameOfFeature(bit: number, header: Qcow2Header, bytes: Uint8Array): string | undefined {
  try {
    for (const feature of featureNames(extensionsIn(bytes, header.headerLength, bytes.length)))
      if (feature.kind === "incompatible" && feature.bit === bit) return feature.name;
  } catch {
    return undefined;
  }
  return undefined;
}

/** Yields the entries of the feature name tables among header extensions. Those that break a rule are left out. */
export function* featureNames(all: Iterable<Extension>): Generator<FeatureName, void> {
  for (const { type, data } of all) {
    if (type !== FEATURE_NAME_TABLE) continue;
    for (let at = 0; at + FEATURE_NAME.size <= data.length; at += FEATURE_NAME.size)
      yield* parseFeatureNames(data.subarray(at, at + FEATURE_NAME.size)) ?? [];
  }
}

function extensionError(
  at: number,
  field: keyof typeof BITMAPS_EXTENSION.fields,
  code: Problem["code"],
  message: string,
): QdbError {
  return new QdbError(code, message, {
    structure: BITMAPS_EXTENSION.name,
    field: specName(field),
    offset: at + BITMAPS_EXTENSION.fields[field][0],
  });
}

/** Returns an error of the bitmap directory as a whole. The place in it is the field of the extension that refers to the directory. */
export function directoryError(extension: BitmapsExtension, code: Problem["code"], message: string): QdbError {
  return extensionError(extension.fileOffset, "bitmapDirectoryOffset", code, message);
}

/**
 * Finds the bitmaps extension in the first cluster; undefined if there is none.
 * @throws {QdbError} BAD_FIELD if an extension runs past the end, or if length or nb_bitmaps is wrong; DUPLICATE_TYPE for a second bitmaps
 * extension; RESERVED_NOT_ZERO; LIMIT for too many bitmaps or too large a directory
 */
export function findBitmapsExtension(header: Qcow2Header, bytes: Uint8Array): BitmapsExtension | undefined {
  let found: Extension | undefined;
  for (const extension of extensionsIn(bytes, header.headerLength, extensionsEnd(header))) {
    if (extension.type !== BITMAPS) continue;
    if (found !== undefined) {
      throw new QdbError("DUPLICATE_TYPE", "there are two bitmaps extensions; which one holds is not known", {
        structure: BITMAPS_EXTENSION.name,
        offset: extension.fileOffset,
      });
    }
    found = extension;
  }
  if (found === undefined) return undefined;
  const { data, fileOffset } = found;
  if (data.length !== BITMAPS_EXTENSION.size) {
    throw new QdbError("BAD_FIELD", `the bitmaps extension has ${data.length} bytes, not ${BITMAPS_EXTENSION.size}`, {
      structure: BITMAPS_EXTENSION.name,
      field: "length",
      offset: fileOffset - 4,
    });
  }
  const fields = BITMAPS_EXTENSION.decode(data);
  const bad = (field: keyof typeof fields, code: Problem["code"], message: string): QdbError =>
    extensionError(fileOffset, field, code, message);
  const { nbBitmaps, reserved, bitmapDirectorySize } = fields;
  if (nbBitmaps === 0)
    throw bad("nbBitmaps", "BAD_FIELD", "nb_bitmaps is 0; without bitmaps there is no bitmaps extension");
  if (nbBitmaps > MAX_BITMAPS)
    throw bad("nbBitmaps", "LIMIT", `nb_bitmaps is ${nbBitmaps}, at most ${MAX_BITMAPS} are read`);
  if (reserved !== 0) throw bad("reserved", "RESERVED_NOT_ZERO", "the reserved bytes 4-7 are not zero");
  if (bitmapDirectorySize > BigInt(MAX_DIRECTORY_SIZE)) {
    throw bad(
      "bitmapDirectorySize",
      "LIMIT",
      `bitmap_directory_size is ${bitmapDirectorySize}, at most ${MAX_DIRECTORY_SIZE} are read`,
    );
  }
  return { ...fields, fileOffset };
}

/** Returns the range of the encryption header in the file, according to its header extension; undefined if there is none. It is not validated. */
export function findEncryptionHeader(header: Qcow2Header, bytes: Uint8Array): ByteRange | undefined {
  for (const { type, data } of extensionsIn(bytes, header.headerLength, extensionsEnd(header))) {
    if (type !== ENCRYPTION_HEADER || data.length < 16) continue;
    const view = viewOf(data);
    return { offset: Number(view.getBigUint64(0)), length: Number(view.getBigUint64(8)) };
  }
  return undefined;
}
