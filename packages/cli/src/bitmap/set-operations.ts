import { type Bitmap, QdbError } from "@qdb/format";

/** An operation of two bitmaps: `bits` becomes the result, `source` stays. */
export type Combination = (bits: Bitmap, source: Bitmap) => void;

/** OR. What is dirty in the source is rounded outward. */
export const merge: Combination = (bits, source) => bits.merge(source);

/** AND. The source is rounded outward: nothing that both call dirty is lost. */
export const intersect: Combination = (bits, source) => bits.intersect(source.regranulate(bits.granularity));

/** AND NOT. The source is rounded inward: only what it calls dirty as a whole may go. */
export const subtract: Combination = (bits, source) => bits.subtract(roundedInward(source, bits.granularity));

/** XOR: a rounded source would lose dirt whichever way it is rounded. @throws {QdbError} USAGE where granularities differ */
export const xor: Combination = (bits, source) => {
  if (bits.granularity !== source.granularity) {
    throw new QdbError(
      "USAGE",
      `--xor takes bitmaps of one granularity, here ${bits.granularity} and ${source.granularity}; --regranulate one of them first`,
    );
  }
  bits.xor(source);
};

/** The bits at another granularity, of which a bit is dirty only where all of its range is. */
function roundedInward(bits: Bitmap, granularity: number): Bitmap {
  if (granularity <= bits.granularity) return bits.regranulate(granularity);
  const clean = bits.clone();
  clean.invert();
  const result = clean.regranulate(granularity);
  result.invert();
  return result;
}
