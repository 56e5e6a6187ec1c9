import { type Plan, QdbError, read } from "@qdb/format";
import type { Qcow2Bitmap } from "./bitmap.ts";
import type { Qcow2Index } from "./qcow2-index.ts";

/**
 * Looks again, after a bitmap was read, whether header, bitmaps extension and the bitmap's directory entry are still those of the
 * index: one small round. A program that opens the image in between sets in_use, and one that closes it stores bitmaps elsewhere
 * and frees the clusters that are being read; neither may turn into clean bits.
 * @throws {QdbError} SOURCE_CHANGED
 */
export function* confirmQcow2(index: Qcow2Index, bitmap: Qcow2Bitmap): Plan<void> {
  const expected = [...index.evidence, { offset: bitmap.fileOffset, bytes: bitmap.bytes }];
  const found = yield* read(expected.map(({ offset, bytes }) => ({ offset, length: bytes.length })));
  for (const [place, { offset, bytes }] of expected.entries()) {
    if (found[place]?.every((byte, at) => byte === bytes[at]) === true) continue;
    throw new QdbError(
      "SOURCE_CHANGED",
      "the image was written while its bitmap was read; close what has it open, then try again",
      { offset, bitmap: bitmap.label },
    );
  }
}
