import { isQdbError, QdbError, type QdbErrorCode } from "@qdb/format";
import { expect } from "vitest";

/** The typed error that a call ends with; anything else, success included, fails the test. */
export function errorOf(call: () => unknown): QdbError {
  try {
    call();
  } catch (error) {
    if (error instanceof QdbError) return error;
    throw error;
  }
  return expect.fail("the call was to end with an error");
}

/** The same for a call that is awaited. */
export async function rejection(call: () => Promise<unknown>): Promise<QdbError> {
  try {
    await call();
  } catch (error) {
    if (error instanceof QdbError) return error;
    throw error;
  }
  return expect.fail("the call was to end with an error");
}

/** Expects an error of a code. */
export function expectCode(code: QdbErrorCode, call: () => unknown): QdbError {
  const error = errorOf(call);
  expect(isQdbError(error, code), `${error.code}: ${error.message}`).toBe(true);
  return error;
}
