import { Bitmap } from "../bitmap/bitmap.ts";
import type { Page } from "../bitmap/page.ts";
import { itemAt } from "../elements.ts";
import type { Limits } from "../limits.ts";
import type { Plan } from "../ports/plan.ts";
import type { ClusterBits } from "./cluster-bits.ts";
import { roundsOf } from "./cluster-rounds.ts";
import { requireFits } from "./read-bits.ts";

/**
 * Reads all bits into a bitmap in memory. `label` names the bitmap in errors.
 * @throws {QdbError} BAD_CHECKSUM if a data cluster does not match its checksum; LIMIT if the bits take more than `maxBitmapBytes`
 */
export function* readClusterBits(bits: ClusterBits, label: string, limits: Limits): Plan<Bitmap> {
  requireFits(bits.bitCount, label, limits);
  const bitmap = Bitmap.clean(bits);
  const put = (cluster: number, page: Page): void => {
    const range = bits.rangeOf(cluster);
    if (page === "ones") bitmap.markBits(range);
    else if (page !== "zeros") bitmap.mergeWordsAt(range.first, page);
  };
  const needOf = (cluster: number): number | undefined => {
    const kind = bits.kindOf(cluster);
    if (kind === "words") return cluster;
    put(cluster, kind);
    return undefined;
  };
  for (const round of roundsOf(bits, needOf)) {
    const pages = yield* bits.load(round);
    for (const [at, cluster] of round.entries()) put(cluster, itemAt(pages, at));
  }
  return bitmap;
}
