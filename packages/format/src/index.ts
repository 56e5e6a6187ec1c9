// The public interface: named exports only, grouped by room.

// errors
export {
  describeWhere,
  ERROR_CODES,
  isQdbError,
  type Problem,
  QdbError,
  type QdbErrorCode,
  type Report,
  type Where,
} from "./errors.ts";
export type { Limits } from "./limits.ts";
export { quote, quoteJson } from "./quote.ts";

// ports: sources and stores of bytes, plans, and the drivers that run them
export type { Clock } from "./ports/clock.ts";
export { type Crc32, crc32, type Digests, type Sha256 } from "./ports/digest.ts";
export type { FileChunk, FileImage } from "./ports/file-image.ts";
export type { LongCallOptions, Progress } from "./ports/long-call.ts";
export { type RunOptions, run, runSync, stream, streamSync } from "./ports/drivers.ts";
export {
  type ChangePlan,
  type ChangeStep,
  mapPut,
  type Plan,
  type PutStep,
  put,
  type ReadStep,
  read,
  readRange,
  type Step,
} from "./ports/plan.ts";
export {
  type AnySource,
  type ByteRange,
  type ByteSource,
  bytesSource,
  type ReadOptions,
  type SyncByteSource,
  shortRead,
} from "./ports/source.ts";
export type { AnyStore, Store, SyncStore } from "./ports/store.ts";

// layout: bytes and fields
export { bytes, type FieldType, i64, u8, u16, u32, u64 } from "./layout/fields.ts";
export { align8, bitsOf } from "./layout/numbers.ts";
export { type Decoded, type FieldRow, type Fields, type Struct, specName, struct } from "./layout/struct.ts";
export { decodeUtf8, fromHex, fromUuid, toHex, toUuid } from "./layout/text.ts";

// records: one structure of the format each
export { BITMAP_ENTRY, BitmapEntry, FLAG, type FlagName, flagNames } from "./records/bitmap-entry.ts";
export { EXTENSION_NAME, extensionName, FEATURE_NAME } from "./records/extensions.ts";
export {
  DISK_STAMP,
  type DiskStamp,
  decodeRecord,
  type ExtraRecord,
  encodeRecord,
  RECORD,
} from "./records/extra-data.ts";
export { FEATURES, type FeatureKind, type FeatureName } from "./records/features.ts";
export { DRAFT_HEADER, type Form, HEADER, type Header } from "./records/header.ts";
export { type ClusterKind, DESCRIPTOR_BITS, L1_CHECKSUM, L1_ENTRY } from "./records/l1.ts";
export { TLV_HEAD, type Tlv } from "./records/tlv.ts";

// bitmap: bits in memory
export { Bitmap } from "./bitmap/bitmap.ts";
export { ExtentBatch } from "./bitmap/runs.ts";
export {
  type BitmapShape,
  type BitRange,
  bitsInward,
  bitsOfShape,
  bitsOutward,
  bytesOfBits,
  type DiskRange,
  type Extent,
  type ShapeInput,
} from "./bitmap/shape.ts";

// extents: maps of other programs, plain bits, extents as text
export type { ByteChunks, ChunkOptions, TextChunks } from "./ports/chunks.ts";
export type { AllocationRule } from "./extents/classify-extent.ts";
export type { ExtentMap } from "./extents/extent-map.ts";
export { type ExtentMapOptions, readExtentMap } from "./extents/read-extent-map.ts";
export { type ExtentsSource, type FormatOptions, formatExtents } from "./extents/format-extents.ts";
export { readRawBits } from "./extents/raw-bits.ts";

// copy: the bytes of dirty extents
export type { ExtentSink } from "./copy/extent-sink.ts";
export { type DirtyExtents, type TransferOptions, transferExtents } from "./copy/transfer-extents.ts";

// file: the order of reads and writes
export { attempts } from "./retry/attempts.ts";
export {
  type BitOptions,
  bitmapPlan,
  countPlan,
  type DirtyCount,
  extentsPlan,
} from "./bits/read-bits.ts";
export {
  type CheckSummary,
  checkPlan,
  type Finding,
  type FindingCode,
  type Severity,
  type SeverityCounts,
} from "./check/check.ts";
export type { ClusterMap } from "./bits/cluster-map.ts";
export { type CommitReport, type EditorOptions, QdbEditor, type RepairReport } from "./editor.ts";
export { type EditCallOptions, type EditStoreOptions, editStore } from "./edit-store.ts";
export { type FileInit, newFile } from "./new-file.ts";
export type { BitmapInit, BitmapRecords, NewBitmapHost, UnnamedBitmapInit } from "./queue/bitmap-init.ts";
export { BitmapEdit } from "./queue/bitmap-edit.ts";
export type { BitmapFacts } from "./queue/edit-target.ts";
export { QdbEdit } from "./queue/qdb-edit.ts";
export type { RepairFinding } from "./check/repair-findings.ts";
export type { BitSource } from "./bits/bit-source.ts";
export { ClusterBits, type ClusterBitsOptions, type ClusterToStore } from "./bits/cluster-bits.ts";
export type { Ability, Container, ContainerBitmap, PendingChange } from "./edit/container.ts";
export type { EditOptions, EditSource, NewBitmap } from "./edit/edit-options.ts";
export { Edits } from "./edit/edits.ts";
export { bitmapChanges, editsOf, type WholeFileOptions, wholeContents } from "./qdb-container.ts";
export type { Growth } from "./commit/growth.ts";
export { JsonLoader, type LoadOptions } from "./json/loader.ts";
export type {
  QdbJson,
  QdbJsonBitmap,
  QdbJsonDraftHeader,
  QdbJsonError,
  QdbJsonExtension,
  QdbJsonExtensionName,
  QdbJsonFullHeader,
  QdbJsonRecord,
} from "./json/qdb-json.ts";
export { type DumpOptions, type DumpSummary, dumpPlan } from "./json/dump.ts";
export { type FileState, loadMaps, readMap } from "./maps/load-maps.ts";
export type { MappedBitmap } from "./maps/mapped-bitmap.ts";
export type { BitsOptions, RequestedBitmap } from "./open/before-bits.ts";
export type { HeaderSource, MirrorOptions } from "./open/header-source.ts";
export { QdbFile } from "./qdb-file.ts";
export { QdbFileSync } from "./qdb-file-sync.ts";
export { StoredBitmapSync } from "./stored-bitmap-sync.ts";
export type { CallOptions } from "./read-stored.ts";
export { StoredBitmap } from "./stored-bitmap.ts";
export type { BitmapState } from "./open/bitmap-state.ts";
export type { OpenOptions } from "./retry/qdb-reader.ts";
export { findBitmap, type QdbIndex, readIndex } from "./open/qdb-index.ts";
export {
  type CountedBitmap,
  countAllPlan,
  type ExtentsVisitor,
  type LoadedBitmap,
  readAllPlan,
} from "./read-all.ts";
export { type AllOptions, countAll, extentsOfAll, readAll } from "./all-bitmaps.ts";
export { dumpQdb } from "./dump-qdb.ts";
export { type CheckOptions, checkQdb } from "./retry/check-qdb.ts";
export { Session, type SessionOptions } from "./commit/session.ts";
export type { StreamOptions } from "./retry/run-with-retry.ts";
export type { BitmapContents, FileContents } from "./commit/file-contents.ts";
export { imageBytes, writeImage } from "./commit/write-image.ts";
