import { constants } from "node:os";
import { getSystemErrorMap } from "node:util";
import { isQdbError, QdbError, quote } from "@qdb/format";

/** The errno name of what Node threw (`ENOENT`), undefined for what is no error of the system. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") return undefined;
  return error.code;
}

/**
 * What the system says of an error: `EIO: i/o error`. Node's own words end in the path as it is, control characters and all, so
 * they are put together anew.
 */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error) || !("errno" in error) || typeof error.errno !== "number") return String(error);
  const [name, text] = getSystemErrorMap().get(error.errno) ?? [];
  return name === undefined ? unknownReason(-error.errno) : `${name}: ${text}`;
}

/** Node does not know every errno (EDQUOT, for one) and calls the others UNKNOWN. */
function unknownReason(errno: number): string {
  const found = Object.entries(constants.errno).find(([, value]) => value === errno);
  return found?.[0] ?? `errno ${errno}`;
}

/** The QdbError that an error of Node's amounts to; `doing` is a verb, as in "cannot read". */
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

/** The error IO with the system's words, whatever they are: for what is there and cannot be used. */
export function ioError(error: unknown, doing: string, path: string): QdbError {
  const reason = isQdbError(error) ? error.message : reasonOf(error);
  return new QdbError("IO", `cannot ${doing} ${quote(path)}: ${reason}`, {}, { cause: error });
}

/** Nothing is ever overwritten. */
export function alreadyExists(path: string, cause?: unknown): QdbError {
  const message = `${quote(path)} exists already and is not overwritten; choose another name or remove it first`;
  return new QdbError("ALREADY_EXISTS", message, {}, { cause });
}

/** The path of an open file is another file's by now, or nobody's. */
export function pathChanged(path: string): QdbError {
  const message = `${quote(path)} no longer names the file that was opened: that one was removed, moved or replaced`;
  return new QdbError("PATH_CHANGED", message);
}

/** The same error with more to say: what could not be put right after it. */
export function withRemark(error: unknown, doing: string, path: string, remark: string): QdbError {
  const known = fromNode(error, doing, path);
  return new QdbError(known.code, `${known.message}; ${remark}`, known.where, { cause: known.cause ?? known });
}

/** What went wrong in a clean-up, in short. */
export function remarkOf(doing: string, path: string, error: unknown): string {
  return `then ${quote(path)} could not be ${doing} (${isQdbError(error) ? error.message : reasonOf(error)})`;
}
