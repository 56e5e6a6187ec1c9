// Types of the JSON form (spec §6), in the shape that `JSON.parse` returns. A test compares them with spec/schema/qdb.schema.json.
import type { QdbErrorCode } from "../errors.ts";
import type { FeatureName } from "../records/features.ts";

/** The JSON form of a QDB file. */
export interface QdbJson {
  readonly format: "qdb";
  readonly header: QdbJsonFullHeader | QdbJsonDraftHeader;
  readonly extensions: readonly QdbJsonExtension[];
  readonly bitmaps: readonly QdbJsonBitmap[];
}

/** Header of a draft file. */
export interface QdbJsonDraftHeader {
  readonly form: "draft";
  readonly version: number;
  readonly cluster_bits: number;
  readonly nb_bitmaps: number;
  /** File offset of the bitmap table in bytes, in decimal digits. */
  readonly bitmaps_offset: string;
  readonly header_length: number;
}

/** Header of a full file. */
export interface QdbJsonFullHeader {
  readonly form: "full";
  readonly version: number;
  readonly cluster_bits: number;
  readonly nb_bitmaps: number;
  /** File offset of the bitmap table in bytes, in decimal digits. */
  readonly bitmaps_offset: string;
  readonly header_length: number;
  readonly bitmaps_size: number;
  /** `0x` and 16 hex digits. */
  readonly incompatible_features: string;
  /** `0x` and 16 hex digits. */
  readonly compatible_features: string;
  /** `0x` and 16 hex digits. */
  readonly autoclear_features: string;
  /** A u64 in decimal digits. */
  readonly generation: string;
  /** 8 hex digits. */
  readonly table_checksum: string;
  /** 8 hex digits. */
  readonly header_checksum: string;
  /** A UUID: hex digits in groups of 8-4-4-4-12. */
  readonly writer_id: string;
  /** A UUID: hex digits in groups of 8-4-4-4-12. */
  readonly file_id: string;
}

/** A header extension. A feature name table has `features`, an extension name table has `names`, any other extension has `data`. */
export interface QdbJsonExtension {
  /** `0x` and 8 hex digits. */
  readonly type: string;
  readonly features?: readonly FeatureName[];
  readonly names?: readonly QdbJsonExtensionName[];
  /** The bytes of the extension as hex digits. */
  readonly data?: string;
}

/** An entry of the extension name table. */
export interface QdbJsonExtensionName {
  /** `0x` and 8 hex digits. */
  readonly type: string;
  readonly name: string;
}

/** A bitmap. It has `dirty` and `dirty_bytes`, or `error` if its bits cannot be used. */
export interface QdbJsonBitmap {
  readonly name?: string;
  /** The bytes of the name as hex digits, in place of `name` if they are not UTF-8. */
  readonly name_hex?: string;
  /** Size of the tracked disk in bytes, in decimal digits. */
  readonly size: string;
  /** Number of bytes of the disk for each bit. */
  readonly granularity: number;
  readonly flags: readonly string[];
  /** File offset of the L1 area in bytes, in decimal digits. */
  readonly l1_table_offset: string;
  readonly l1_size: number;
  /** 8 hex digits. Only in full form. */
  readonly l1_checksum?: string;
  readonly extra_data?: readonly QdbJsonRecord[];
  /** The dirty ranges of the disk: offset and length in bytes, each in decimal digits. Ascending, and no range touches the next one. */
  readonly dirty?: readonly (readonly [offset: string, length: string])[];
  /** Sum of the lengths in `dirty`, in decimal digits. */
  readonly dirty_bytes?: string;
  /**
   * SHA-256 of the bitmap data as 64 hex digits. By default absent if more than 16 MiB of unstored data would have to be hashed, together
   * with the bitmaps before.
   */
  readonly bits_sha256?: string;
  readonly error?: QdbJsonError;
}

/** Why the bits of a bitmap cannot be used. */
export interface QdbJsonError {
  readonly code: QdbErrorCode;
  readonly message: string;
}

/** A record of the extra data. It has the keys of its type, or `data` if the type is unknown or the bytes break the rules of the type. */
export interface QdbJsonRecord {
  /** `0x` and 8 hex digits. */
  readonly type: string;
  readonly disk?: string;
  /** Of a disk stamp: length of the disk in bytes, in decimal digits. */
  readonly length?: string;
  /** Of a disk stamp: time of the last modification in nanoseconds since the Unix epoch, an i64 in decimal digits. */
  readonly mtime?: string;
  /** Inode number, a u64 in decimal digits: of a disk stamp that of the disk, of a session that of the shell. */
  readonly file?: string;
  readonly id?: string;
  readonly parent?: string;
  /** Time of creation in nanoseconds since the Unix epoch, an i64 in decimal digits. */
  readonly created?: string;
  readonly comment?: string;
  readonly successor?: string;
  /** UUID of the session. */
  readonly session?: string;
  /** The bytes of the record as hex digits. */
  readonly data?: string;
}
