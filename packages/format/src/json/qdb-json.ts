// Types of the JSON form (spec §6), as `JSON.parse` returns it. A test compares them with spec/schema/qdb.schema.json.
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
  /** u64 in decimal digits */
  readonly bitmaps_offset: string;
  readonly header_length: number;
}

/** Header of a full file. */
export interface QdbJsonFullHeader {
  readonly form: "full";
  readonly version: number;
  readonly cluster_bits: number;
  readonly nb_bitmaps: number;
  /** u64 in decimal digits */
  readonly bitmaps_offset: string;
  readonly header_length: number;
  readonly bitmaps_size: number;
  /** `0x` and 16 hex digits */
  readonly incompatible_features: string;
  /** `0x` and 16 hex digits */
  readonly compatible_features: string;
  /** `0x` and 16 hex digits */
  readonly autoclear_features: string;
  /** u64 in decimal digits */
  readonly generation: string;
  /** 8 hex digits */
  readonly table_checksum: string;
  /** 8 hex digits */
  readonly header_checksum: string;
  /** 8-4-4-4-12 */
  readonly writer_id: string;
  /** 8-4-4-4-12 */
  readonly file_id: string;
}

/** A header extension: one of the name tables, or bytes. */
export interface QdbJsonExtension {
  /** `0x` and 8 hex digits */
  readonly type: string;
  readonly features?: readonly FeatureName[];
  readonly names?: readonly QdbJsonExtensionName[];
  /** hex */
  readonly data?: string;
}

/** An entry of the extension name table. */
export interface QdbJsonExtensionName {
  /** `0x` and 8 hex digits */
  readonly type: string;
  readonly name: string;
}

/** A bitmap: with `dirty` and `dirty_bytes`, or with `error` instead. */
export interface QdbJsonBitmap {
  readonly name?: string;
  /** hex, for a name that is not UTF-8 */
  readonly name_hex?: string;
  /** u64 in decimal digits, bytes */
  readonly size: string;
  /** bytes a bit */
  readonly granularity: number;
  readonly flags: readonly string[];
  /** u64 in decimal digits */
  readonly l1_table_offset: string;
  readonly l1_size: number;
  /** 8 hex digits; full form */
  readonly l1_checksum?: string;
  readonly extra_data?: readonly QdbJsonRecord[];
  /** `[offset, length]` in bytes, u64 in decimal digits, ascending, not touching */
  readonly dirty?: readonly (readonly [offset: string, length: string])[];
  /** u64 in decimal digits */
  readonly dirty_bytes?: string;
  /** 64 hex digits; by default absent if more than 16 MiB of unstored clusters had to be hashed */
  readonly bits_sha256?: string;
  readonly error?: QdbJsonError;
}

/** Why the bits of a bitmap cannot be used. */
export interface QdbJsonError {
  readonly code: QdbErrorCode;
  readonly message: string;
}

/** A record of the extra data: the keys of its kind, or bytes. */
export interface QdbJsonRecord {
  /** `0x` and 8 hex digits */
  readonly type: string;
  readonly disk?: string;
  /** stamp: u64 in decimal digits, bytes */
  readonly length?: string;
  /** stamp: i64 in decimal digits, ns since the epoch */
  readonly mtime?: string;
  /** stamp: u64 in decimal digits */
  readonly file?: string;
  readonly id?: string;
  readonly parent?: string;
  /** i64 in decimal digits, ns since the epoch */
  readonly created?: string;
  readonly comment?: string;
  readonly successor?: string;
  /** hex */
  readonly data?: string;
}
