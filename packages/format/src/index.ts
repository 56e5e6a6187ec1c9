/**
 * What a program needs that reads, changes and checks QDB files. Who brings a container of its own, such as qcow2, or a store, finds the
 * parts of the library in `@qdb/format/container`.
 *
 * A `§`, and an id such as QDB-REC-024, refer to the specification of the format: `spec/qdb.md` in the repository of this package. It has
 * a sentence for each id.
 * @packageDocumentation
 */

// errors, and names from files in messages

export { isQdbError, type Problem, QdbError, type QdbErrorCode, type Where } from "./errors.ts";
export { quote } from "./quote.ts";

// where the bytes of a file come from

export type { Digests } from "./ports/digest.ts";
export {
  type AnySource,
  type ByteRange,
  type ByteSource,
  bytesSource,
  type ReadOptions,
  type SyncByteSource,
} from "./ports/source.ts";

// a file, and its bitmaps one by one

export type { BitmapState } from "./open/bitmap-state.ts";
export { QdbFile } from "./qdb-file.ts";
export { QdbFileSync } from "./qdb-file-sync.ts";
export { type ReadBitmapOptions, readBitmap, readBitmapSync } from "./read-bitmap.ts";
export type { CallOptions } from "./read-stored.ts";
export type { DiskStamp } from "./records/extra-data.ts";
export type { OpenOptions } from "./retry/qdb-reader.ts";
export { StoredBitmap } from "./stored-bitmap.ts";
export { StoredBitmapSync } from "./stored-bitmap-sync.ts";

// all of a file

export { countAll, extentsOfAll, readAll } from "./all-bitmaps.ts";
export type { CheckSummary } from "./check/check.ts";
export type { Finding } from "./check/findings.ts";
export { dumpQdb } from "./dump-qdb.ts";
export type { QdbJson } from "./json/qdb-json.ts";
export type { CountedBitmap, LoadedBitmap } from "./read-all.ts";
export { checkQdb } from "./retry/check-qdb.ts";

// bits in memory

export { Bitmap } from "./bitmap/bitmap.ts";
export { ExtentBatch } from "./bitmap/runs.ts";
export type { BitmapShape, DiskRange, Extent } from "./bitmap/shape.ts";
export type { DirtyCount } from "./bits/read-bits.ts";

// changes, which a host commits: `editQdb` of `@qdb/io-node`

export type { CommitReport } from "./editor.ts";
export { BitmapEdit } from "./queue/bitmap-edit.ts";
export type { BitmapInit, BitmapRecords } from "./queue/bitmap-init.ts";
export { QdbEdit } from "./queue/qdb-edit.ts";

// extents of other programs, as text, and the bytes of the disk in them

export type { ExtentSink } from "./copy/extent-sink.ts";
export { transferExtents } from "./copy/transfer-extents.ts";
export { formatExtents } from "./extents/format-extents.ts";
export { readRawBits } from "./extents/raw-bits.ts";
export { readExtentMap } from "./extents/read-extent-map.ts";
