import { quote } from "./quote.ts";

/** All error codes that the library throws or reports. `spec/errors.json` has their meanings (spec §7). */
export const ERROR_CODES = [
  "BAD_MAGIC",
  "UNSUPPORTED_VERSION",
  "UNSUPPORTED_FEATURE",
  "TRUNCATED",
  "BAD_FIELD",
  "RESERVED_NOT_ZERO",
  "MISALIGNED",
  "OUT_OF_BOUNDS",
  "OVERLAP",
  "DUPLICATE_NAME",
  "DUPLICATE_TYPE",
  "BAD_CHECKSUM",
  "INCONSISTENT",
  "LIMIT",
  "SIZE_MISMATCH",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "WRONG_DISK",
  "IO",
  "SHORT_READ",
  "SOURCE_CHANGED",
  "LOCKED",
  "POISONED",
  "PATH_CHANGED",
  "ABORTED",
  "NOT_SUPPORTED",
  "USAGE",
] as const;

/** A stable error code. */
export type QdbErrorCode = (typeof ERROR_CODES)[number];

/** The place of a problem, as far as it is known: structure, field, offset in bytes, name of the bitmap; in a text, line and column. */
export interface Where {
  readonly structure?: string;
  readonly field?: string;
  readonly offset?: number | bigint;
  readonly bitmap?: string;
  /** Line of a text, counted from 1. */
  readonly line?: number;
  /** Column in the line, in UTF-16 units, counted from 1. */
  readonly column?: number;
}

/** A broken rule of the format, or another failure, as plain data. Validators report it, {@link QdbError} carries it, `check` lists it. */
export interface Problem {
  readonly code: QdbErrorCode;
  readonly message: string;
  readonly where: Where;
}

/** A function that receives the problems of a structure, in the order of spec §7. */
export type Report = (problem: Problem) => void;

const BRAND = Symbol.for("@qdb/format/QdbError");

/**
 * The error class of the QDB libraries. `code` is stable, and `where` is the place of the problem. The message says what is wrong, where,
 * and what to do about it; names in it are escaped.
 */
export class QdbError extends Error implements Problem {
  override readonly name = "QdbError";
  readonly code: QdbErrorCode;
  readonly where: Where;

  constructor(code: QdbErrorCode, message: string, where: Where = {}, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
    this.where = where;
    Object.defineProperty(this, BRAND, { value: true });
  }

  /** Makes the error for a problem. */
  static from(problem: Problem): QdbError {
    return new QdbError(problem.code, problem.message, problem.where);
  }
}

/**
 * Whether a value is a {@link QdbError} with one of the codes, or with any code if none is given. An error that another copy of this
 * package has thrown counts too.
 */
export function isQdbError<C extends QdbErrorCode = QdbErrorCode>(
  value: unknown,
  ...codes: readonly C[]
): value is QdbError & { readonly code: C } {
  if (typeof value !== "object" || value === null || !(BRAND in value) || !("code" in value)) return false;
  return codes.length === 0 || codes.some((code) => code === value.code);
}

/** Returns the plain data of an error, for a list of problems: the error itself would keep its stack trace in memory. */
export function plainProblem({ code, message, where }: Problem): Problem {
  return { code, message, where };
}

/** A {@link Report} that throws the problem it receives, so that validation ends at the first one. @throws {QdbError} the problem's code */
export function throwFirst(problem: Problem): never {
  throw QdbError.from(problem);
}

/** Describes a place as text, such as `bitmap "daily", L1 table, offset 8192`. */
export function describeWhere(where: Where): string {
  const parts: string[] = [];
  if (where.bitmap !== undefined) parts.push(`bitmap ${quote(where.bitmap)}`);
  if (where.structure !== undefined) parts.push(where.structure);
  if (where.field !== undefined) parts.push(where.field);
  if (where.offset !== undefined) parts.push(`offset ${where.offset}`);
  if (where.line !== undefined) parts.push(`line ${where.line}`);
  if (where.column !== undefined) parts.push(`column ${where.column}`);
  return parts.join(", ");
}
