import type { Combination } from "../bitmap/combination.ts";
import { isQdbError, QdbError } from "../errors.ts";
import { quote } from "../quote.ts";
import type { EditTarget } from "./edit-target.ts";

/** Combines a bitmap of the file with another one of it. @throws {QdbError} as the action of `Edits`; SIZE_MISMATCH names the source */
export async function combineNamed(target: EditTarget, how: Combination, name: string, source: string): Promise<void> {
  const bits = await target.source(source);
  try {
    await target.read(target.edits[how](name, bits));
  } catch (error) {
    // `Edits` has the bits of the source only, not its name.
    if (!isQdbError(error, "SIZE_MISMATCH")) throw error;
    const message = `${error.message}; the source is ${quote(source)}`;
    throw new QdbError(error.code, message, error.where, { cause: error });
  }
}
