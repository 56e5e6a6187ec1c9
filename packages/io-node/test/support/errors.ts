import { isQdbError, type QdbError } from "@qdb/format";

/** The QdbError that a call ends with; fails when it ends with none, or with another error. */
export async function errorOf(call: () => unknown): Promise<QdbError> {
  try {
    await call();
  } catch (error) {
    if (isQdbError(error)) return error;
    throw error;
  }
  throw new Error("the call should have failed");
}
