import { isQdbError, type Plan, QdbError, read } from "@qdb/format";
import { pieceAt } from "@qdb/format/internal";
import type { Evidence, Qcow2Index } from "./qcow2-index.ts";

/**
 * Looks again, after bits were read, whether header, extensions and bitmap directory are still those of the index: one small
 * round. A program that opens the image in between sets in_use, and one that closes it stores bitmaps elsewhere and frees the
 * clusters that are being read; neither may turn into clean bits.
 * @throws {QdbError} SOURCE_CHANGED
 */
export function* confirmQcow2({ evidence }: Pick<Qcow2Index, "evidence">): Plan<void> {
  if (yield* isEvident(evidence)) return;
  throw sourceChanged("the image was written while its bitmaps were read");
}

/** Whether the image still holds certain bytes; where it is too short for them by now, it does not. */
export function* isEvident(evidence: readonly Evidence[]): Plan<boolean> {
  try {
    const found = yield* read(evidence.map(({ offset, bytes }) => ({ offset, length: bytes.length })));
    return evidence.every(({ bytes }, place) => pieceAt(found, place).every((byte, at) => byte === bytes[at]));
  } catch (error) {
    if (isQdbError(error, "SHORT_READ")) return false;
    throw error;
  }
}

/** The error of a change that could not be waited for. */
export function sourceChanged(what: string): QdbError {
  return new QdbError("SOURCE_CHANGED", `${what}; close what has it open, then try again`);
}
