import { isAbsolute, resolve } from "node:path";
import { QdbError, quote } from "@qdb/format";
import { leadsTo } from "../system/file-status.ts";

/**
 * The absolute path of a disk for record 1 (spec §3), verified to lead to the file with this `FileStatus.key`. A working
 * directory whose name is not UTF-8 may have no such path, since Node replaces the bytes of such a name by U+FFFD.
 * @throws {QdbError} NOT_SUPPORTED when there is no such path; IO when a path cannot be looked up
 */
export function diskPath(path: string, key: string): string {
  const found = candidates(path).find((candidate) => leadsTo(candidate, key));
  if (found !== undefined) return found;
  const message = `the disk ${quote(path)} has no absolute path that is UTF-8, as a bitmap stores it: the name of the working directory is not UTF-8; name the disk by the absolute path of a symbolic link to it`;
  throw new QdbError("NOT_SUPPORTED", message);
}

function candidates(path: string): string[] {
  // After a symbolic link, ".." may lead elsewhere than the text suggests. The second candidate keeps it unresolved.
  return isAbsolute(path) ? [resolve(path), path] : [resolve(path), `${process.cwd()}/${path}`];
}
