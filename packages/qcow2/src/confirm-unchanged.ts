import { isQdbError, type Plan, QdbError, read } from "@qdb/format";
import { pieceAt } from "@qdb/format/internal";
import type { Evidence, Qcow2Index } from "./qcow2-index.ts";

/**
 * Checks, after bits were read, that header, extensions and bitmap directory are still what they were when the index was read. It
 * takes one small round. A program that opens the image meanwhile sets in_use; one that closes it stores the bitmaps elsewhere
 * and frees the clusters that were read. Bits read in between must not be used.
 * @throws {QdbError} SOURCE_CHANGED
 */
export function* confirmQcow2({ evidence }: Pick<Qcow2Index, "evidence">): Plan<void> {
  if (yield* isEvident(evidence)) return;
  throw sourceChanged("the image was written while its bitmaps were read");
}

/** Whether the image still holds the same bytes. False when it has become too short for them. */
export function* isEvident(evidence: readonly Evidence[]): Plan<boolean> {
  try {
    const found = yield* read(evidence.map(({ offset, bytes }) => ({ offset, length: bytes.length })));
    return evidence.every(({ bytes }, place) => pieceAt(found, place).every((byte, at) => byte === bytes[at]));
  } catch (error) {
    if (isQdbError(error, "SHORT_READ")) return false;
    throw error;
  }
}

/** The error for an image that other programs keep changing. */
export function sourceChanged(what: string): QdbError {
  return new QdbError("SOURCE_CHANGED", `${what}; close what has it open, then try again`);
}
