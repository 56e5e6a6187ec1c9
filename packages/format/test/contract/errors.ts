import { isQdbError, type QdbError } from "@qdb/format";
import { expect } from "vitest";

/** Returns the QdbError that a call throws or rejects with. Any other outcome fails the test. */
export async function errorOf(call: () => unknown): Promise<QdbError> {
  try {
    await call();
  } catch (error) {
    if (isQdbError(error)) return error;
    throw error;
  }
  return expect.fail("the call was to fail");
}
