// The entry point `@qdb/format/container`: the parts of the library, for authors of containers (qcow2), of stores, and of tools.

// errors

export { describeWhere, ERROR_CODES, type Report } from "./errors.ts";
export type { Limits } from "./limits.ts";
export { quoteJson } from "./quote.ts";

// ports: sources and stores of bytes, plans, and the drivers that run them

export type { AbortSignalLike } from "./ports/abort-signal.ts";
export type { ByteChunks, ChunkOptions, TextChunks } from "./ports/chunks.ts";
export type { Clock } from "./ports/clock.ts";
export { type Crc32, crc32, type Sha256 } from "./ports/digest.ts";
export { type RunOptions, run, runSync, stream, streamSync } from "./ports/drivers.ts";
export type { FileChunk, FileImage } from "./ports/file-image.ts";
export type { LongCallOptions, Progress } from "./ports/long-call.ts";
export {
  type ChangePlan,
  type ChangeStep,
  confirm,
  flush,
  mapPut,
  type Plan,
  type PutStep,
  put,
  type ReadStep,
  read,
  readRange,
  type Step,
  write,
} from "./ports/plan.ts";
export { shortRead } from "./ports/source.ts";
export type { AnyStore, Store, SyncStore } from "./ports/store.ts";

// layout: bytes and fields

export { type BytesField, bytes, type FieldType, i64, u8, u16, u32, u64 } from "./layout/fields.ts";
export { align8, bitsOf } from "./layout/numbers.ts";
export { type Decoded, type FieldRow, type Fields, type Struct, specName, struct } from "./layout/struct.ts";
export { decodeUtf8, fromHex, fromUuid, toHex, toUuid } from "./layout/text.ts";

// records: one structure of the format each

export { BITMAP_ENTRY, BitmapEntry, FLAG, type FlagName, flagNames } from "./records/bitmap-entry.ts";
export type { EntryContents } from "./records/entry-contents.ts";
export { EXTENSION_NAME, extensionName, FEATURE_NAME } from "./records/extensions.ts";
export {
  type BitmapSession,
  DISK_STAMP,
  decodeRecord,
  type ExtraRecord,
  encodeRecord,
  RECORD,
} from "./records/extra-data.ts";
export { FEATURES, type FeatureKind, type FeatureName } from "./records/features.ts";
export { DRAFT_HEADER, type Form, HEADER, type Header } from "./records/header.ts";
export { type ClusterKind, L1_CHECKSUM, L1_ENTRY } from "./records/l1.ts";
export { TLV_HEAD, type Tlv } from "./records/tlv.ts";

// bitmap, bits: shapes, and bits that are found by a cluster map

export { type BitRange, bitsInward, bitsOfShape, bitsOutward, bytesOfBits, type ShapeInput } from "./bitmap/shape.ts";
export type { BitSource } from "./bits/bit-source.ts";
export { ClusterBits, type ClusterToStore } from "./bits/cluster-bits.ts";
export type { ClusterMap } from "./bits/cluster-map.ts";
export { type BitOptions, bitmapPlan, countPlan, extentsPlan } from "./bits/read-bits.ts";
export type { ChangeOptions, ClusterBitsOptions } from "./bits/readable-clusters.ts";
export type { Scratch } from "./bits/scratch.ts";
export {
  type Allocate,
  type KeepClusters,
  type StoredBits,
  storeBits,
  type TableBuilder,
  type TableCodec,
} from "./bits/store-bits.ts";
export {
  type ComputedClusters,
  type StoredCluster,
  StoredClusters,
  storeAllDerived,
} from "./bits/store-derived.ts";

// reading a file, plan by plan

export type { AllOptions } from "./all-bitmaps.ts";
export { checkPlan } from "./check/check.ts";
export type { FindingCode, Severity, SeverityCounts } from "./check/findings.ts";
export { dumpPlan } from "./json/dump.ts";
export type { DumpOptions, DumpSummary } from "./json/dump-bits.ts";
export type {
  QdbJsonBitmap,
  QdbJsonDraftHeader,
  QdbJsonError,
  QdbJsonExtension,
  QdbJsonExtensionName,
  QdbJsonFullHeader,
  QdbJsonRecord,
} from "./json/qdb-json.ts";
export { type FileState, loadMaps, readMap } from "./maps/load-maps.ts";
export type { MappedBitmap } from "./maps/mapped-bitmap.ts";
export type { BitsOptions, RequestedBitmap } from "./open/before-bits.ts";
export type { HeaderSource, MirrorOptions } from "./open/header-source.ts";
export { findBitmap, type QdbIndex, readIndex } from "./open/qdb-index.ts";
export { countAllPlan, type ExtentsVisitor, readAllPlan } from "./read-all.ts";
export { attempts } from "./retry/attempts.ts";
export type { CheckOptions } from "./retry/check-qdb.ts";
export type { StreamOptions } from "./retry/run-with-retry.ts";

// writing a file

export type { RepairFinding } from "./check/repair-findings.ts";
export type { BitmapContents, FileContents } from "./commit/file-contents.ts";
export type { Growth } from "./commit/growth.ts";
export { Session } from "./commit/session.ts";
export type { SessionOptions } from "./commit/session-options.ts";
export { imageBytes, writeImage } from "./commit/write-image.ts";
export type { Ability, Container, ContainerBitmap, PendingChange } from "./edit/container.ts";
export type { EditOptions, EditSource, NewBitmap } from "./edit/edit-options.ts";
export { Edits } from "./edit/edits.ts";
export { type EditCallOptions, type EditStoreOptions, editStore } from "./edit-store.ts";
export { type EditorOptions, QdbEditor, type RepairReport } from "./editor.ts";
export type { BitmapLoadOptions } from "./json/load-bitmap.ts";
export type { LoadedBits } from "./json/load-ranges.ts";
export { JsonLoader, type LoadOptions } from "./json/loader.ts";
export { type FileInit, newFile } from "./new-file.ts";
export { bitmapChanges, editsOf, type WholeFileOptions, wholeContents } from "./qdb-container.ts";
export type { NewBitmapHost, UnnamedBitmapInit } from "./queue/bitmap-init.ts";
export type { NamedBitmap } from "./queue/bitmap-names.ts";
export type { BitmapFacts, EditTarget } from "./queue/edit-target.ts";
export { collectEdit } from "./queue/qdb-edit.ts";

// extents: what the calls of `@qdb/format` take

export type { DirtyExtents, TransferOptions } from "./copy/transfer-extents.ts";
export type { AllocationRule } from "./extents/classify-extent.ts";
export type { ExtentMap } from "./extents/extent-map.ts";
export type { ExtentsSource, FormatOptions } from "./extents/format-extents.ts";
export type { ExtentMapOptions } from "./extents/read-extent-map.ts";
