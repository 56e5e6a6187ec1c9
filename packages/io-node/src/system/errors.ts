import { constants } from "node:os";
import { getSystemErrorMap } from "node:util";
import { isQdbError, QdbError, quote } from "@qdb/format";

/** Returns the errno name of an error of Node, such as `ENOENT`; undefined for any other value. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") return undefined;
  return error.code;
}

/**
 * Returns the text of the system for an error, such as `EIO: i/o error`. The message of Node is not used, because it contains the path
 * unescaped.
 */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error) || !("errno" in error) || typeof error.errno !== "number") return String(error);
  return reasonOfErrno(-error.errno);
}

/** Returns the text of the system for an errno, a positive number. */
export function reasonOfErrno(errno: number): string {
  const [name, text] = getSystemErrorMap().get(-errno) ?? [];
  return name === undefined ? unknownReason(errno) : `${name}: ${text}`;
}

/** Returns the name of an errno for which Node has no text, such as EDQUOT. */
function unknownReason(errno: number): string {
  const found = Object.entries(constants.errno).find(([, value]) => value === errno);
  return found?.[0] ?? `errno ${errno}`;
}

/** Converts an error of Node to a QdbError. `doing` is what failed, as a verb that follows "cannot", such as "read". */
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

/** Returns an IO error with the text of the system, whatever the error is. It is for a file that exists but cannot be used. */
export function ioError(error: unknown, doing: string, path: string): QdbError {
  const reason = isQdbError(error) ? error.message : reasonOf(error);
  return new QdbError("IO", `cannot ${doing} ${quote(path)}: ${reason}`, {}, { cause: error });
}

/** Returns the error for a file that exists already. Existing files are never overwritten. */
export function alreadyExists(path: string, cause?: unknown): QdbError {
  const message = `${quote(path)} exists already and is not overwritten; choose another name or remove it first`;
  return new QdbError("ALREADY_EXISTS", message, {}, { cause });
}

/** Returns the error for an open file whose path now leads to another file, or to none. */
export function pathChanged(path: string): QdbError {
  const message = `${quote(path)} no longer names the file that was opened: that one was removed, moved or replaced`;
  return new QdbError("PATH_CHANGED", message);
}

/** Returns the same error with a remark at the end of its message, about the clean-up that followed the error. */
export function withRemark(error: unknown, doing: string, path: string, remark: string): QdbError {
  const known = fromNode(error, doing, path);
  return new QdbError(known.code, `${known.message}; ${remark}`, known.where, { cause: known.cause ?? known });
}

/** Returns the remark for {@link withRemark} about a clean-up that failed. */
export function remarkOf(doing: string, path: string, error: unknown): string {
  return `then ${quote(path)} could not be ${doing} (${isQdbError(error) ? error.message : reasonOf(error)})`;
}
