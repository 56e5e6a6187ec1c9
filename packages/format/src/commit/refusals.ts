import { QdbError } from "../errors.ts";
import { MAX_GENERATION } from "../limits.ts";
import type { QdbIndex } from "../open/qdb-index.ts";
import { hasMagic } from "../records/header.ts";

/**
 * Refuses a file to which no commit is possible.
 * @throws {QdbError} NOT_SUPPORTED for a draft; LIMIT if the generation is the largest possible one
 */
export function refuseCommit({ form, header }: QdbIndex): void {
  if (form === "draft")
    throw new QdbError("NOT_SUPPORTED", "a draft file is never changed in place; it is rewritten whole");
  if (header.generation >= MAX_GENERATION) {
    throw new QdbError(
      "LIMIT",
      "the file's generation is 2^64-1: no commit can follow; dump it and load it into a new file",
      { structure: "header", field: "generation" },
    );
  }
}

/**
 * Refuses a file that was opened by its mirror if the primary does not begin with the magic of the format. The file may then be of another
 * format, and only a repair may overwrite its beginning.
 * @throws {QdbError} BAD_MAGIC; IO or SHORT_READ if the primary cannot be read
 */
export function refuseForeignPrimary({ opened }: QdbIndex): void {
  const { bytes, unread } = opened.primary;
  if (opened.offset === 0 || hasMagic(bytes)) return;
  const where = { structure: "header", offset: 0 };
  if (unread !== undefined && bytes.length === 0) {
    throw new QdbError(
      unread.code,
      `the header cannot be read: ${unread.message}; a mirror of one stands in the file; qdb check -r writes the header anew from it`,
      where,
    );
  }
  throw new QdbError(
    "BAD_MAGIC",
    "the file does not begin with 51 44 42 00, but a mirror of a header stands in it; qdb check -r restores it",
    where,
  );
}
