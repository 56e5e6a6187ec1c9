import { type Problem, QdbError, type Where } from "@qdb/format";
import { type Decoded, specName, struct, u32, u64 } from "@qdb/format/container";
import { isClusterBits, MAX_CLUSTER_BITS, MAX_DISK_SIZE, MIN_CLUSTER_BITS } from "@qdb/format/internal";
import { isQcow2 } from "./magic.ts";

/** The first 104 bytes of an image (qcow2: Header). A version 2 header has only the first 72 of them. */
export const QCOW2_HEADER = struct("qcow2 header", 104, {
  /** 51 46 49 fb. */
  magic: [0, u32],
  /** 2 or 3. */
  version: [4, u32],
  /** Place of the backing file's name, where extensions end; 0: none. */
  backingFileOffset: [8, u64],
  /** Length of the backing file's name in bytes. */
  backingFileSize: [16, u32],
  /** A cluster is 1 << cluster_bits bytes. */
  clusterBits: [20, u32],
  /** Length of the virtual disk in bytes. */
  size: [24, u64],
  /** Encryption of guest data; bitmaps are not encrypted. */
  cryptMethod: [32, u32],
  /** Entries of the active L1 table, 8 bytes each. */
  l1Size: [36, u32],
  /** File offset of the active L1 table in bytes. */
  l1TableOffset: [40, u64],
  /** File offset of the refcount table in bytes. */
  refcountTableOffset: [48, u64],
  /** Clusters of the refcount table. */
  refcountTableClusters: [56, u32],
  /** Number of snapshots. */
  nbSnapshots: [60, u32],
  /** File offset of the snapshot table in bytes. */
  snapshotsOffset: [64, u64],
  /** Bits that a reader must know. */
  incompatibleFeatures: [72, u64],
  /** Bits that a reader may ignore. */
  compatibleFeatures: [80, u64],
  /** Bits that a writer clears when it does not know them. */
  autoclearFeatures: [88, u64],
  /** Width of a refcount: 1 << refcount_order bits. */
  refcountOrder: [96, u32],
  /** Length of the header without extensions, in bytes. */
  headerLength: [100, u32],
});
/** A decoded header. */
export type Qcow2Header = Decoded<typeof QCOW2_HEADER.fields>;

/** Length of a version 2 header in bytes. */
const V2_SIZE = 72;

/** Incompatible feature bits that this reader knows (qcow2: Header, incompatible_features). */
export const INCOMPATIBLE = {
  /** Refcounts may be outdated (lazy refcounts), so this reader does not check them. */
  dirty: 1n << 0n,
  /** A structure of the image is known to be damaged, so the bits cannot be trusted. */
  corrupt: 1n << 1n,
  /** The data of the guest is in another file. Bitmaps are always in the image itself. */
  externalDataFile: 1n << 2n,
  compressionType: 1n << 3n,
  extendedL2: 1n << 4n,
} as const;

/**
 * Bit 0 of the autoclear features. It is set if the last program that wrote to the image kept the bitmaps up to date (qcow2: Header,
 * autoclear_features).
 */
export const AUTOCLEAR_BITMAPS = 1n;
/** Bit 1 of the autoclear features: the external data file is a raw image of the disk. */
export const AUTOCLEAR_RAW_DATA = 2n;

/** Returns where a header field is, for error messages. */
export function headerWhere(field: keyof Qcow2Header): Where {
  return { structure: QCOW2_HEADER.name, field: specName(field), offset: QCOW2_HEADER.fields[field][0] };
}

/** Returns an error for a header field. */
export function headerError(field: keyof Qcow2Header, code: Problem["code"], message: string): QdbError {
  return new QdbError(code, message, headerWhere(field));
}

/**
 * Decodes a header of version 2 or 3. In version 2, the fields from byte 72 on are zero.
 * @throws {QdbError} BAD_MAGIC if the file is no qcow2 image; UNSUPPORTED_VERSION; TRUNCATED if `bytes` end inside the header
 */
export function decodeHeader(bytes: Uint8Array): Qcow2Header {
  if (!isQcow2(bytes))
    throw headerError("magic", "BAD_MAGIC", "the file is no qcow2 image: it does not start with 51 46 49 fb");
  const whole = new Uint8Array(QCOW2_HEADER.size);
  whole.set(bytes.subarray(0, whole.length));
  const { version } = QCOW2_HEADER.decode(whole);
  if (bytes.length >= 8 && version !== 2 && version !== 3) {
    throw headerError(
      "version",
      "UNSUPPORTED_VERSION",
      `qcow2 version ${version} is not known; this reader knows 2 and 3`,
    );
  }
  const needed = version === 2 ? V2_SIZE : QCOW2_HEADER.size;
  if (bytes.length < needed) {
    throw new QdbError("TRUNCATED", `the image ends after ${bytes.length} bytes, inside its header of ${needed}`, {
      structure: QCOW2_HEADER.name,
      offset: bytes.length,
    });
  }
  if (version === 2) whole.fill(0, V2_SIZE);
  return QCOW2_HEADER.decode(whole);
}

/**
 * Validates the header fields that are needed to find the bitmaps, in the order of the header.
 * @throws {QdbError} BAD_FIELD; TRUNCATED if the file ends inside its first cluster
 */
export function validateHeader(header: Qcow2Header, fileSize: number): void {
  const { clusterBits, size, version, headerLength, backingFileOffset } = header;
  if (!isClusterBits(clusterBits)) {
    throw headerError(
      "clusterBits",
      "BAD_FIELD",
      `cluster_bits is ${clusterBits}, allowed are ${MIN_CLUSTER_BITS} to ${MAX_CLUSTER_BITS}`,
    );
  }
  const clusterSize = 2 ** clusterBits;
  if (size > MAX_DISK_SIZE) throw headerError("size", "BAD_FIELD", `size ${size} is above 2^63-1`);
  if (version === 3 && (headerLength < QCOW2_HEADER.size || headerLength > clusterSize || headerLength % 8 !== 0)) {
    throw headerError(
      "headerLength",
      "BAD_FIELD",
      `header_length is ${headerLength}, no multiple of 8 from ${QCOW2_HEADER.size} to ${clusterSize}`,
    );
  }
  if (
    version === 3 &&
    backingFileOffset !== 0n &&
    (backingFileOffset < BigInt(headerLength) || backingFileOffset > BigInt(clusterSize))
  ) {
    throw headerError(
      "backingFileOffset",
      "BAD_FIELD",
      `backing_file_offset ${backingFileOffset} is not after the header, in the first cluster`,
    );
  }
  if (fileSize < clusterSize) {
    throw new QdbError(
      "TRUNCATED",
      `the image ends after ${fileSize} bytes, inside its first cluster of ${clusterSize}`,
      {
        structure: QCOW2_HEADER.name,
        offset: fileSize,
      },
    );
  }
}
