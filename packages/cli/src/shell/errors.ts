import { isQdbError, type Problem, QdbError, quote } from "@qdb/format";
import { describeWhere } from "@qdb/format/container";
import { DISK_CHANGE, HEADER_DAMAGE } from "./command.ts";
import type { Json } from "./json.ts";

/** Returns the problem to report for anything that was thrown. A value that is no QdbError is reported as IO. */
export function problemOf(error: unknown): Problem {
  if (isQdbError(error)) return error;
  return { code: "IO", message: `unexpected: ${error instanceof Error ? error.message : String(error)}`, where: {} };
}

/**
 * Escapes every character that could break the line or act on a terminal. This is a second safeguard after `quote`: it leaves the output of
 * `quote` unchanged.
 */
function oneLine(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => quote(character).slice(1, -1));
}

/** Returns the line to print for an error, without the prefix `qdb: `. Parts of `where` that the message does not contain are added. */
export function errorLine({ code, message, where }: Omit<Problem, "code"> & { readonly code: string }): string {
  const parts = [
    where.bitmap === undefined ? "" : describeWhere({ bitmap: where.bitmap }),
    where.structure ?? "",
    where.field ?? "",
    where.offset === undefined ? "" : describeWhere({ offset: where.offset }),
  ];
  const added = parts.filter((part) => part !== "" && !message.includes(part));
  return oneLine(`[${code}] ${message}${added.length === 0 ? "" : ` (${added.join(", ")})`}`);
}

/** Returns `where` as JSON. Offsets from 2^53 on are strings (`spec/schema/error.schema.json`). */
export function whereJson({ structure, field, offset, bitmap }: Problem["where"]): Json {
  const exact = offset === undefined || Number.isSafeInteger(Number(offset)) ? offset : String(offset);
  return { structure, field, offset: typeof exact === "bigint" ? Number(exact) : exact, bitmap };
}

/** Returns the JSON document for an error. */
export function errorJson({ code, message, where }: Problem): Json {
  return { error: { code, message, where: whereJson(where) } };
}

/** What the user can do about an error of a file. It is appended to a message that does not name such a way itself. */
const ADVICE: Readonly<Partial<Record<Problem["code"], string>>> = {
  BAD_MAGIC: "check the name; qdb import reads other formats",
  UNSUPPORTED_VERSION: "use a newer qdb",
  UNSUPPORTED_FEATURE: "use a newer qdb",
  TRUNCATED: "take another copy of the file",
  BAD_FIELD: "qdb check lists every finding",
  RESERVED_NOT_ZERO: "qdb check lists every finding",
  MISALIGNED: "qdb check lists every finding",
  OUT_OF_BOUNDS: "qdb check lists every finding",
  OVERLAP: "qdb check lists every finding",
  BAD_CHECKSUM: "qdb check lists every finding",
  NOT_FOUND: "qdb info lists its bitmaps",
};

/** Errors whose messages say all that there is to say. */
const complete = new WeakSet<object>();

/** Runs work on other files than the one that {@link inFile} names, which leaves the errors of the work alone. @throws {QdbError} as the work */
export async function ofOtherFiles<T>(work: () => T | PromiseLike<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isQdbError(error)) complete.add(error);
    throw error;
  }
}

/** Runs work as {@link ofOtherFiles} does, without a promise. @throws {QdbError} as the work */
export function ofOtherFilesSync<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (isQdbError(error)) complete.add(error);
    throw error;
  }
}

/** Whether the message of an error says all that there is to say, as those of {@link ofOtherFiles}. */
export function isComplete(error: unknown): boolean {
  return typeof error === "object" && error !== null && complete.has(error);
}

/** Returns an error whose message also has the name of the file, and what can be done about it. */
export function inFile(path: string, error: unknown): unknown {
  if (!isQdbError(error) || complete.has(error)) return error;
  const name = quote(path);
  if (error.message.includes(name)) return error;
  const message = `${name}: ${error.message}${adviceOn(error)}`;
  return new QdbError(error.code, message, error.where, { cause: error });
}

/** A WRONG_DISK error with the option that insists on the bits. Other errors are returned as they are. */
export function insisting(error: unknown): unknown {
  if (!isQdbError(error, "WRONG_DISK")) return error;
  return new QdbError(error.code, `${error.message}${insistence(error) ?? ""}`, error.where, { cause: error });
}

function adviceOn(problem: Problem): string {
  const advice = ADVICE[problem.code];
  const isSaid = advice === undefined || problem.message.includes("qdb check");
  return insistence(problem) ?? (isSaid ? "" : `; ${advice}`);
}

/** The option that insists on bits which a problem refuses, to be appended to its message; undefined for other problems. */
function insistence({ code, where }: Problem): string | undefined {
  if (code === "BAD_CHECKSUM" && where.structure === "mirror") return `, or insist with --${HEADER_DAMAGE.long}`;
  return where.structure === "disk" ? `, or insist with --${DISK_CHANGE.long}` : undefined;
}
