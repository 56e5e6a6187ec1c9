// The public interface of the package.

export { Qcow2Bitmap } from "./bitmaps/bitmap.ts";
export { DIRECTORY_ENTRY } from "./bitmaps/directory-entry.ts";
export { confirmQcow2 } from "./files/confirm-unchanged.ts";
export { BITMAPS_EXTENSION, type Extension as Qcow2Extension } from "./image/extensions.ts";
export { QCOW2_HEADER, type Qcow2Header } from "./image/header.ts";
export { isQcow2, QCOW2_MAGIC_SIZE } from "./image/magic.ts";
export { findQcow2Bitmap, Qcow2File, type Qcow2FileOptions } from "./files/qcow2-file.ts";
export { type Evidence, type Qcow2Index, readQcow2Head, readQcow2Index } from "./bitmaps/qcow2-index.ts";
export { BITMAP_TABLE_ENTRY } from "./image/offset-table.ts";
export { editQcow2, type Qcow2Disk, type Qcow2EditOptions } from "./write/edit-image.ts";
export type { Qcow2CommitReport } from "./write/commit.ts";
export { type DrawImageOptions, drawQcow2Bitmap, drawQcow2Bitmaps } from "./files/draw-image.ts";
export { type AllBitsOptions, type CountedBitmaps, countQcow2Bitmaps } from "./files/visit-all.ts";
export { dataFileOf, type Qcow2Feature, qcow2ExtensionName, qcow2Extensions, qcow2Features } from "./files/facts.ts";
export { type CheckImageOptions, checkQcow2 } from "./files/check-image.ts";
export { type NewExtension, type NewImage, newImage } from "./create/new-image.ts";
export { type DumpImageOptions, dumpQcow2 } from "./files/dump-image.ts";
export {
  type CollectedBitmap,
  collectedBitmaps,
  hasSession,
  type ShellFile,
  sessionOf,
  shellSize,
  type WaitingBitmap,
} from "./shell/collect.ts";
export { type NewShell, newShell } from "./shell/new-shell.ts";
export type { SessionBitmap, ShellSession } from "./shell/session-extension.ts";
export { compareDisks, type ReadableDisk } from "./guest/compare-disks.ts";
export { GuestReader } from "./guest/guest-reader.ts";
