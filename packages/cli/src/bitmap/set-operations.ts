import { type Bitmap, QdbError } from "@qdb/format";

/** An operation on two bitmaps. It stores the result in `bits` and leaves `source` unchanged. */
export type Combination = (bits: Bitmap, source: Bitmap) => void;

/** OR. Rounds the dirty ranges of the source outward. */
export const merge: Combination = (bits, source) => bits.merge(source);

/** AND. Rounds the source outward, so that nothing that is dirty in both is lost. */
export const intersect: Combination = (bits, source) => bits.intersect(source.regranulate(bits.granularity));

/** AND NOT. Rounds the source inward, so that a bit becomes clean only where all of its range is dirty in the source. */
export const subtract: Combination = (bits, source) => bits.subtract(roundedInward(source, bits.granularity));

/** XOR. Granularities must be equal: rounding the source in either direction would lose dirt. @throws {QdbError} USAGE when they differ */
export const xor: Combination = (bits, source) => {
  if (bits.granularity !== source.granularity) {
    throw new QdbError(
      "USAGE",
      `--xor takes bitmaps of one granularity, here ${bits.granularity} and ${source.granularity}; --regranulate one of them first`,
    );
  }
  bits.xor(source);
};

/** The bits at another granularity, rounded inward: a bit is dirty only where all of its range is. */
function roundedInward(bits: Bitmap, granularity: number): Bitmap {
  if (granularity <= bits.granularity) return bits.regranulate(granularity);
  const clean = bits.clone();
  clean.invert();
  const result = clean.regranulate(granularity);
  result.invert();
  return result;
}
