import { QdbError, quote } from "@qdb/format";

/** The place of a file in the origin private file system, such as `opfs:vm.qdb` or `opfs:backups/vm.qdb`. */
export type OpfsPath = `opfs:${string}`;

/** Whether a place is in the origin private file system. */
export function isOpfsPath(place: unknown): place is OpfsPath {
  return typeof place === "string" && place.startsWith("opfs:");
}

/** Returns the names of a path: those of the folders, then that of the file. @throws {QdbError} USAGE for a path that names no file */
export function partsOf(path: OpfsPath): readonly string[] {
  const parts = path
    .slice("opfs:".length)
    .split("/")
    .filter((part) => part !== "");
  if (!isOpfsPath(path) || parts.length === 0 || parts.some((part) => part === "." || part === ".."))
    throw new QdbError("USAGE", `${quote(String(path))} names no file: opfs:NAME or opfs:FOLDER/NAME is expected`);
  return parts;
}
