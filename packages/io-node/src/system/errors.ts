import { constants } from "node:os";
import { getSystemErrorMap } from "node:util";
import { isQdbError, QdbError, quote } from "@qdb/format";

/** The errno name of an error of Node, such as `ENOENT`; undefined for other values. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") return undefined;
  return error.code;
}

/**
 * The system's text for an error, such as `EIO: i/o error`. Not Node's own message, because that contains the path unescaped.
 */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error) || !("errno" in error) || typeof error.errno !== "number") return String(error);
  const [name, text] = getSystemErrorMap().get(error.errno) ?? [];
  return name === undefined ? unknownReason(-error.errno) : `${name}: ${text}`;
}

/** The name of an errno that Node has no text for, such as EDQUOT. */
function unknownReason(errno: number): string {
  const found = Object.entries(constants.errno).find(([, value]) => value === errno);
  return found?.[0] ?? `errno ${errno}`;
}

/** Converts an error of Node to a QdbError; `doing` is the verb after "cannot", as in "read". */
export function fromNode(error: unknown, doing: string, path: string): QdbError {
  if (isQdbError(error)) return error;
  switch (errnoOf(error)) {
    case "ENOENT":
    case "ENOTDIR":
      return new QdbError("NOT_FOUND", `cannot ${doing} ${quote(path)}: there is no such file`, {}, { cause: error });
    case "EEXIST":
      return alreadyExists(path, error);
    case "ERR_INVALID_ARG_VALUE":
      return new QdbError("USAGE", `cannot ${doing} ${quote(path)}: this is no path`, {}, { cause: error });
    default:
      return ioError(error, doing, path);
  }
}

/** An IO error with the system's text, whatever the error is: for a file that exists but cannot be used. */
export function ioError(error: unknown, doing: string, path: string): QdbError {
  const reason = isQdbError(error) ? error.message : reasonOf(error);
  return new QdbError("IO", `cannot ${doing} ${quote(path)}: ${reason}`, {}, { cause: error });
}

/** The error for an existing file, which is never overwritten. */
export function alreadyExists(path: string, cause?: unknown): QdbError {
  const message = `${quote(path)} exists already and is not overwritten; choose another name or remove it first`;
  return new QdbError("ALREADY_EXISTS", message, {}, { cause });
}

/** The error for an open file whose path leads to another file now, or to none. */
export function pathChanged(path: string): QdbError {
  const message = `${quote(path)} no longer names the file that was opened: that one was removed, moved or replaced`;
  return new QdbError("PATH_CHANGED", message);
}

/** The same error with a remark about the clean-up that followed it. */
export function withRemark(error: unknown, doing: string, path: string, remark: string): QdbError {
  const known = fromNode(error, doing, path);
  return new QdbError(known.code, `${known.message}; ${remark}`, known.where, { cause: known.cause ?? known });
}

/** Describes a failure of a clean-up, for {@link withRemark}. */
export function remarkOf(doing: string, path: string, error: unknown): string {
  return `then ${quote(path)} could not be ${doing} (${isQdbError(error) ? error.message : reasonOf(error)})`;
}
