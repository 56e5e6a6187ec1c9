import { type FileInit, type LongCallOptions, newFile, writeImage } from "@qdb/format/container";
import { createFile } from "../create/create-file.ts";
import { nodeDigests } from "../system/digests.ts";
import { randomId } from "../system/random-id.ts";

/**
 * Creates a QDB file in full form with bitmaps, completely or not at all, on the disk when it resolves. A file that exists is never
 * overwritten. A block device may exist, but may hold no QDB file.
 * @throws {QdbError} ALREADY_EXISTS; USAGE for a cluster size, name, size, granularity or record that the format does not allow;
 * DUPLICATE_NAME for two bitmaps of one name; LIMIT above 2^32 bits a bitmap; SIZE_MISMATCH for a bitmap with bits of another size than given; as
 * {@link createFile}
 * @example
 * await createQdb("vm.qdb", { bitmaps: [{ name: "daily", size: 100n * 2n ** 30n, granularity: 65536 }] });
 */
export async function createQdb(path: string, init: FileInit = {}, options: LongCallOptions = {}): Promise<void> {
  await createFile(path, writeImage(newFile(init, { randomId }), nodeDigests), options);
}
