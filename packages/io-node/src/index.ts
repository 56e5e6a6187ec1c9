/**
 * QDB files, disks and block devices of Node.js, Deno and Bun.
 *
 * A `§`, and an id such as QDB-REC-024, refer to the specification of the format: `spec/qdb.md` in the repository of this package. It has
 * a sentence for each id.
 * @packageDocumentation
 */

export { type CopyOptions, copyExtents } from "./disk/copy.ts";
export { type DiffOptions, diffImages } from "./disk/diff.ts";
export { createQdb } from "./files/create-qdb.ts";
export { editQdb, type QdbEditOptions } from "./files/edit-qdb.ts";
export { nodeDigests } from "./system/digests.ts";
export {
  type DiskOfBitmap,
  type DiskOptions,
  type DiskState,
  diskState,
  requireSameDisk,
} from "./disk/disk-state.ts";
export { isOfDisk, requireComparableTimes } from "./disk/same-disk.ts";
export { FileSource, openFileSource } from "./files/file-source.ts";
export { detectForeignImage } from "./disk/detect-foreign.ts";
export { type LockHolder, type LockState, lockState } from "./system/lock-state.ts";
export { openQdb, type QdbOpenOptions } from "./files/open-qdb.ts";
export { openQdbSync } from "./files/open-qdb-sync.ts";
export { lookAtDisk, type StampedDisk } from "./disk/stamp.ts";
