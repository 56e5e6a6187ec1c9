import { type OpenOptions, QdbFile } from "@qdb/format";
import { closingOnError } from "@qdb/format/internal";
import { type DiskOptions, refuseOtherDisks } from "../disk/disk-state.ts";
import { nodeDigests } from "../system/digests.ts";
import { openFileSource } from "./file-source.ts";

/** Options of {@link openQdb}. */
export interface QdbOpenOptions extends Omit<OpenOptions, "beforeBits">, DiskOptions {}

/**
 * Opens a QDB file or block device for reading; Node computes the checksums. Close the file when done.
 *
 * The stamp of a bitmap records length, modification time and file id of its disk at the last clean store (spec §3). The disk is compared
 * with the stamp before bits are returned:
 *
 * - `extents`, `batches` and `count` of a bitmap, and `readBitmap`, throw WRONG_DISK if the disk differs, and IO if the disk exists but cannot be examined.
 * - `readAll` and `extentsOfAll` return these errors as the problem of the bitmap.
 * - If nothing exists at the path of the disk, nothing can be compared, and the bits are returned.
 * - A bitmap without a stamp is not compared, and its bits are returned. `copyExtents` accepts any disk of the same size for it.
 * - `countAll`, `checkQdb` and `dumpQdb` describe the QDB file, and never look at the disk.
 * @throws {QdbError} NOT_FOUND, USAGE, IO if the QDB file cannot be opened; USAGE if `disk` is not a possible path; then the first error
 * of the file (spec §7); ABORTED
 */
export async function openQdb(
  path: string,
  { disk, digests = nodeDigests, ...options }: QdbOpenOptions = {},
): Promise<QdbFile> {
  const beforeBits = refuseOtherDisks({ disk });
  const source = openFileSource(path);
  return closingOnError(source, () => QdbFile.open(source, { ...options, digests, beforeBits }));
}
