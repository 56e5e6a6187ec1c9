import { isAbsolute, resolve } from "node:path";
import { QdbError, quote } from "@qdb/format";
import { leadsTo } from "../system/facts.ts";

/**
 * The absolute path of a disk for record 1 (spec §3). It was looked at: it leads to the file of this `Facts.key`. In a
 * working directory whose name is not UTF-8 there may be none, since Node puts U+FFFD for the bytes of such a name.
 * @throws {QdbError} NOT_SUPPORTED when no path is found; IO when it cannot be looked at
 */
export function diskPath(path: string, key: string): string {
  const found = candidates(path).find((candidate) => leadsTo(candidate, key));
  if (found !== undefined) return found;
  const message = `the disk ${quote(path)} has no absolute path that is UTF-8, as a bitmap stores it: the name of the working directory is not UTF-8; name the disk by the absolute path of a symbolic link to it`;
  throw new QdbError("NOT_SUPPORTED", message);
}

function candidates(path: string): string[] {
  // Behind a symbolic link, ".." leads elsewhere than its text says: the second one keeps it.
  return isAbsolute(path) ? [resolve(path), path] : [resolve(path), `${process.cwd()}/${path}`];
}
