import { isQdbError, QdbError } from "@qdb/format";
import { type Plan, read } from "@qdb/format/container";
import { pieceAt } from "@qdb/format/internal";
import type { Evidence, Qcow2Index } from "../bitmaps/qcow2-index.ts";

/**
 * Checks that header, extensions and bitmap directory have the same bytes as when the index was read. Call it after the bits were read and
 * before they are used: a program that opens the image sets in_use in the directory, and one that closes it stores the bitmaps in other
 * clusters and frees those that were read. It takes one small round.
 * @throws {QdbError} SOURCE_CHANGED if the bytes differ
 */
export function* confirmQcow2({ evidence }: Pick<Qcow2Index, "evidence">): Plan<void> {
  if (yield* hasSameBytes(evidence)) return;
  throw sourceChanged("the image was written while its bitmaps were read");
}

/** Whether the image still has the bytes that were read when the index was read. False also if the file has become too short to hold them. */
export function* hasSameBytes(evidence: readonly Evidence[]): Plan<boolean> {
  try {
    const found = yield* read(evidence.map(({ offset, bytes }) => ({ offset, length: bytes.length })));
    return evidence.every(({ bytes }, place) => pieceAt(found, place).every((byte, at) => byte === bytes[at]));
  } catch (error) {
    if (isQdbError(error, "SHORT_READ")) return false;
    throw error;
  }
}

/** Returns the error for an image that another program changed while it was read. `what` is the first part of the message. */
export function sourceChanged(what: string): QdbError {
  return new QdbError("SOURCE_CHANGED", `${what}; close what has it open, then try again`);
}
