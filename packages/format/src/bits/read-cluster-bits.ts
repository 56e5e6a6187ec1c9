import { Bitmap } from "../bitmap/bitmap.ts";
import type { Limits } from "../limits.ts";
import type { Plan } from "../ports/plan.ts";
import type { ClusterBits } from "./cluster-bits.ts";
import { roundsOf } from "./cluster-rounds.ts";
import { requireFits } from "./read-bits.ts";
import { Scratch } from "./scratch.ts";

/**
 * Reads all bits into a bitmap in memory. `label` names the bitmap in errors.
 * @throws {QdbError} BAD_CHECKSUM if a data cluster does not match its checksum; LIMIT if the bits take more than `maxBitmapBytes`
 */
export function* readClusterBits(bits: ClusterBits, label: string, limits: Limits): Plan<Bitmap> {
  requireFits(bits.bitCount, label, limits);
  const bitmap = Bitmap.clean(bits);
  const scratch = new Scratch();
  const isRead = (cluster: number): boolean => {
    const kind = bits.kindOf(cluster);
    if (kind === "ones") bitmap.markBits(bits.rangeOf(cluster));
    return kind === "words";
  };
  for (const [first, end] of roundsOf(bits.count, bits.clusterSize, isRead)) {
    const range = { first: bits.rangeOf(first).first, end: bits.rangeOf(end - 1).end };
    const page = yield* bits.page(range, scratch);
    if (typeof page === "object") bitmap.mergeWordsAt(range.first, page);
  }
  return bitmap;
}
