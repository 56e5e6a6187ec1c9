// What the other packages of this repository share with this one, so that nothing is written twice. It is not part of the
// public interface: names may change in any release, and the packages are released together.

export { dirtyBytes, isShape } from "./bitmap/shape.ts";
export { atGranularity } from "./bits/bit-source.ts";
export type { BitsReader } from "./bits/bits-reader.ts";
export type { BitVisitor } from "./bits/cluster-windows.ts";
export { Counts, visitBits } from "./bits/read-bits.ts";
export { Scratch } from "./bits/scratch.ts";
export { Spool, type SpoolFile } from "./bits/spool.ts";
export { SpooledBits } from "./bits/spooled-bits.ts";
export { spoolSource, visitSource } from "./bits/visit-source.ts";
export { countFindings } from "./check/check.ts";
export { checkData } from "./check/check-data.ts";
export { findingOf } from "./check/findings.ts";
export { type ImagePlanOptions, imagePlan } from "./commit/image-plan.ts";
export { Drawing, drawBits, type Space } from "./drawing.ts";
export { bigintAt, byteAt, itemAt, numberAt, wordAt } from "./elements.ts";
export { type FillableBits, readRawBitsInto } from "./extents/raw-bits.ts";
export { BitsDump } from "./json/dump-bits.ts";
export { featureJson, type JsonValue, structJson, text as jsonOnOneLine, typeJson } from "./json/dump-values.ts";
export { JsonInput, JsonScanner, type Parse } from "./json-text/scanner.ts";
export { equalBytes } from "./layout/bytes.ts";
export { viewOf } from "./layout/fields.ts";
export { DESCRIPTOR_OFFSET_HIGH, descriptorOffset } from "./layout/numbers.ts";
export { encodeUtf8, hex32 } from "./layout/text.ts";
export {
  DEFAULT_GRANULARITY,
  HEADER_AREA_SIZE,
  isClusterBits,
  isGranularity,
  MAX_BITMAPS,
  MAX_BITS,
  MAX_CLUSTER_BITS,
  MAX_DISK_SIZE,
  MAX_GRANULARITY,
  MAX_NAME_SIZE,
  MAX_TABLE_SIZE,
  MIN_CLUSTER_BITS,
  MIN_GRANULARITY,
} from "./limits.ts";
export { lowerBound, NumberList } from "./number-list.ts";
export { bitmapState } from "./open/bitmap-state.ts";
export { type BitmapFacts, pictureOf } from "./picture/picture.ts";
export { percent, shortSize } from "./picture/size-text.ts";
export { closing, closingOnError, closingOnErrorSync, closingSync } from "./ports/closing.ts";
export { drive } from "./ports/drivers.ts";
export { checkSignal, LongCall } from "./ports/long-call.ts";
export { nextPut, type Pieces, pieceAt } from "./ports/plan.ts";
export { ASYNC, runTask, streamTask, type Task, wait } from "./ports/task.ts";
export { printBits, printExtents, type TakeBytes } from "./print-stored.ts";
export { requireName } from "./queue/bitmap-init.ts";
export { FEATURE_NAME_TABLE, parseFeatureNames } from "./records/extensions.ts";
export { isBitmapName } from "./records/extra-data.ts";
export { FEATURE_KINDS, setBits } from "./records/features.ts";
export { hasMagic, MIRROR_OFFSETS } from "./records/header.ts";
export { type KnownRecords, knownRecords } from "./records/known-records.ts";
export { type IndexedView, type IndexedViews, runWithRetry, streamWithRetry } from "./retry/run-with-retry.ts";
export { bitsReaderOf } from "./stored-bits-reader.ts";
