import { isAbsolute, resolve } from "node:path";
import { QdbError, quote } from "@qdb/format";
import { leadsTo } from "../system/file-status.ts";

/**
 * Returns the absolute path of a disk for record 1 (spec §3), after checking that it leads to the file with this `FileStatus.key`. If the
 * name of the working directory is not UTF-8, there may be no such path, since Node replaces the bytes of that name by U+FFFD.
 * @throws {QdbError} NOT_SUPPORTED if there is no such path; IO if a path cannot be looked up
 */
export function diskPath(path: string, key: string): string {
  const found = candidates(path).find((candidate) => leadsTo(candidate, key));
  if (found !== undefined) return found;
  const message = `the disk ${quote(path)} has no absolute path that is UTF-8, as a bitmap stores it: the name of the working directory is not UTF-8; name the disk by the absolute path of a symbolic link to it`;
  throw new QdbError("NOT_SUPPORTED", message);
}

function candidates(path: string): string[] {
  // ".." after a symbolic link leads to the parent of the directory that the link names, which resolve() does not know. The second path
  // keeps "..".
  return isAbsolute(path) ? [resolve(path), path] : [resolve(path), `${process.cwd()}/${path}`];
}
