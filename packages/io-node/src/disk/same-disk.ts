import { statSync } from "node:fs";
import { isQdbError, QdbError, quote } from "@qdb/format";
import { errnoOf, ioError } from "../system/errors.ts";
import { statusAt, statusOf } from "../system/file-status.ts";
import { type DiskOfBitmap, recordedPath } from "./disk-state.ts";

/**
 * Whether the record *disk* of a bitmap leads to the disk at `path`; undefined if it says nothing of it: it is absent, no absolute path, or
 * leads nowhere.
 * @throws {QdbError} NOT_FOUND if there is no disk at `path`; IO if one of the two cannot be looked at
 */
export function isOfDisk({ records }: Pick<DiskOfBitmap, "records">, path: string): boolean | undefined {
  const { key } = statusAt(path);
  const recorded = recordedPath(records);
  if (recorded === undefined || recorded.includes("\0")) return undefined;
  try {
    return statusOf(statSync(recorded, { bigint: true }), recorded).key === key;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw isQdbError(error) ? error : ioError(error, "look at", recorded);
  }
}

/**
 * Refuses a disk of which no time of modification tells whether it was written to since the file `other` was: a device, and a file on
 * another file system.
 * @throws {QdbError} NOT_SUPPORTED; NOT_FOUND, IO if one of them cannot be looked at
 */
export function requireComparableTimes(disk: string, other: string): void {
  const status = statusAt(disk);
  const why =
    status.kind !== "file"
      ? "it is a device, which has no time of modification"
      : statSync(disk, { bigint: true }).dev !== statSync(other, { bigint: true }).dev
        ? `it is on another file system than ${quote(other)}, whose times are not comparable`
        : undefined;
  if (why === undefined) return;
  const message = `whether something else writes to the disk ${quote(disk)} cannot be seen: ${why}; say --collected if all that writes to it is collected`;
  throw new QdbError("NOT_SUPPORTED", message, { structure: "disk" });
}
