import { type OpenOptions, QdbFile } from "@qdb/format";
import { type DiskOptions, refuseOtherDisks } from "../disk/disk-state.ts";
import { nodeDigests } from "../system/digests.ts";
import { openFileSource } from "./file-source.ts";

/** Options of {@link openQdb}. */
export interface QdbOpenOptions extends Omit<OpenOptions, "beforeBits">, DiskOptions {}

/**
 * Opens a QDB file or block device for reading, with Node's checksums. Close it when done.
 *
 * The disk of a bitmap is compared with the bitmap's stamp before bits are given out: by `extents`, `count` and `read` of a bitmap, which
 * throw WRONG_DISK if it differs, and IO if it is there and cannot be looked at; by `readAll` and `extentsOfAll`, which give the bitmap
 * that problem. If nothing is found at its path, whether it has changed is unknown, and the bits are given out. Facts are never refused:
 * `count` of the file, `check`, `dump`.
 * @throws {QdbError} NOT_FOUND, USAGE, IO as opening a file; USAGE for an impossible path of the disk; then the first error of the file
 * (spec §7); ABORTED
 */
export async function openQdb(path: string, { disk, ...options }: QdbOpenOptions = {}): Promise<QdbFile> {
  const beforeBits = refuseOtherDisks({ disk });
  const source = openFileSource(path);
  try {
    return await QdbFile.open(source, { digests: nodeDigests, ...options, beforeBits });
  } catch (error) {
    source.close();
    throw error;
  }
}
