// Checks of numbers that a caller gives. TypeScript checks their types, but not NaN, fractions and rounded numbers; JavaScript checks none.
import { QdbError } from "./errors.ts";

/**
 * Returns a size, offset or length in bytes as a bigint. `name` is the name of the argument.
 * @throws {QdbError} USAGE if the value is a number that is not exact (NaN, a fraction, 2^53 and more), or neither number nor bigint
 */
export function exactInteger(value: number | bigint, name: string): bigint {
  if (typeof value === "bigint") return value;
  if (Number.isSafeInteger(value)) return BigInt(value);
  throw refusal(value, name, "no whole number below 2^53; give larger ones as bigint");
}

/** Returns a number of bytes or bits in memory. `name` is the name of the argument. @throws {QdbError} USAGE unless it is a whole number, 0..2^53-1 */
export function wholeNumber(value: number, name: string): number {
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw refusal(value, name, "no whole number from 0 to 2^53-1");
}

/** Returns a number of things, of which there must be one. `name` is the name of the argument. @throws {QdbError} USAGE unless it is a whole number, 1..2^53-1 */
export function positiveInteger(value: number, name: string): number {
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw refusal(value, name, "no whole number from 1 to 2^53-1");
}

/**
 * Returns a limit of a number of bytes or things: the value, which is Infinity for no limit, or `otherwise` if it is not given. `name` is
 * the name of the option.
 * @throws {QdbError} USAGE unless it is a whole number, 0..2^53-1, or Infinity: a comparison with NaN would let everything pass
 */
export function limitOf(value: number | undefined, otherwise: number, name: string): number {
  if (value === undefined) return otherwise;
  return value === Number.POSITIVE_INFINITY ? value : wholeNumber(value, name);
}

/** Returns the number of a bit, which a bitmap need not have. `name` is the name of the argument. @throws {QdbError} USAGE unless it is an integer */
export function bitNumber(value: number, name: string): number {
  if (Number.isInteger(value)) return value;
  throw refusal(value, name, "no integer");
}

function refusal(value: unknown, name: string, what: string): QdbError {
  const given = typeof value === "number" ? `${value}` : `of type ${typeof value}`;
  return new QdbError("USAGE", `${name} ${given} is ${what}`, { field: name });
}
