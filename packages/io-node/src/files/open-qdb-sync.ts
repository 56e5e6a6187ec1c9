import { QdbFileSync } from "@qdb/format";
import { closingOnErrorSync } from "@qdb/format/internal";
import { refuseOtherDisks } from "../disk/disk-state.ts";
import { nodeDigests } from "../system/digests.ts";
import { openFileSource } from "./file-source.ts";
import type { QdbOpenOptions } from "./open-qdb.ts";

/**
 * Opens a QDB file or block device for reading, as `openQdb` does, by calls that block the thread. Close the file when done.
 * @throws {QdbError} as `openQdb`
 * @example
 * using file = openQdbSync("vm.qdb");
 * for (const { offset, length } of file.bitmap("daily").extents()) console.log(`${offset} ${length}`);
 */
export function openQdbSync(
  path: string,
  { disk, digests = nodeDigests, ...options }: QdbOpenOptions = {},
): QdbFileSync {
  const beforeBits = refuseOtherDisks({ disk });
  const source = openFileSource(path);
  return closingOnErrorSync(source, () => QdbFileSync.open(source, { ...options, digests, beforeBits }));
}
