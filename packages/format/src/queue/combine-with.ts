import type { Combination } from "../bitmap/combination.ts";
import type { EditSource } from "../edit/edit-options.ts";
import { isQdbError, QdbError } from "../errors.ts";
import { quote } from "../quote.ts";
import type { EditTarget } from "./edit-target.ts";

/** Combines a bitmap of the file with a source, or with another bitmap of the file, whose name SIZE_MISMATCH tells. @throws {QdbError} as the action of `Edits` */
export async function combineWith(
  target: EditTarget,
  how: Combination,
  name: string,
  source: EditSource | string,
): Promise<void> {
  if (typeof source !== "string") return target.read(target.edits[how](name, source));
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
