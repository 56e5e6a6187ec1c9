import { type FileInit, type LongCallOptions, newFile, writeImage } from "@qdb/format/container";
import { createOpfsFile } from "../opfs/create-file.ts";
import type { OpfsPath } from "../opfs/opfs-path.ts";
import { randomId } from "../system/random-id.ts";

/**
 * Creates a QDB file in full form with bitmaps in the origin private file system. It is on the disk when this resolves. A file that exists
 * is never overwritten.
 * @throws {QdbError} ALREADY_EXISTS; USAGE for a cluster size, name, size, granularity or record that the format does not allow;
 * DUPLICATE_NAME for two bitmaps of one name; LIMIT above 2^32 bits a bitmap; as {@link createOpfsFile}
 * @example
 * await createQdb("opfs:vm.qdb", { bitmaps: [{ name: "daily", size: 100n * 2n ** 30n, granularity: 65536 }] });
 */
export async function createQdb(path: OpfsPath, init: FileInit = {}, options: LongCallOptions = {}): Promise<void> {
  await createOpfsFile(path, writeImage(newFile(init, { randomId })), options);
}
