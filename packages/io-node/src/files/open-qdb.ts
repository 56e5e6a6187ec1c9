import { type OpenOptions, QdbFile } from "@qdb/format";
import { nodeDigests } from "../system/digests.ts";
import { openFileSource } from "./file-source.ts";

/**
 * Opens a QDB file or block device for reading, with Node's checksums. Close it when done.
 * @throws {QdbError} NOT_FOUND, USAGE, IO as opening a file; then the first error of the file (spec §7); ABORTED
 */
export async function openQdb(path: string, options: OpenOptions = {}): Promise<QdbFile> {
  const source = openFileSource(path);
  try {
    return await QdbFile.open(source, { digests: nodeDigests, ...options });
  } catch (error) {
    source.close();
    throw error;
  }
}
