import { QdbError, type QdbErrorCode } from "@qdb/format";

/** Returns the message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What the names of errors of the browser's files mean here. Others are IO. */
const CODE_OF: Readonly<Record<string, QdbErrorCode>> = {
  NotFoundError: "NOT_FOUND",
  NoModificationAllowedError: "LOCKED",
  InvalidStateError: "USAGE",
  TypeMismatchError: "USAGE",
  SecurityError: "NOT_SUPPORTED",
};

/** Makes the error of a call that failed on a file of the browser. `what` is the first part of its message. */
export function fileError(error: unknown, what: string): QdbError {
  const { name, message } = namesOf(error);
  const code = CODE_OF[name] ?? "IO";
  return new QdbError(code, `${what}: ${name}: ${message}`, {}, { cause: error });
}

/** Name and message of an error, which can come from a worker as plain data. */
export function namesOf(error: unknown): { readonly name: string; readonly message: string } {
  const { name, message } = (typeof error === "object" && error !== null ? error : {}) as Record<string, unknown>;
  return {
    name: typeof name === "string" ? name : "Error",
    message: typeof message === "string" ? message : String(error),
  };
}

/** Makes the error of a source or store that was closed. */
export function closedError(what: string): QdbError {
  return new QdbError("USAGE", `${what} is closed`);
}
