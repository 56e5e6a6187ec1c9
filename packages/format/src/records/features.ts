/** Incompatible bit 0: an L1 entry may have bit 1 set, "reads as ones" (spec §2, QDB-FEA-001). */
export const ALL_ONES_CLUSTERS = 1n;
/** The incompatible feature bits that this version knows, as a mask. */
export const KNOWN_INCOMPATIBLE: bigint = ALL_ONES_CLUSTERS;
/** The autoclear feature bits that this version knows, as a mask: none. */
export const KNOWN_AUTOCLEAR = 0n;

/** The three kinds of feature bits, in the order of the feature words of a header. */
export const FEATURE_KINDS = ["incompatible", "compatible", "autoclear"] as const;
/** The kind of a feature bit: a program that does not know the bit refuses the file, ignores the bit, or clears it when it writes. */
export type FeatureKind = (typeof FEATURE_KINDS)[number];

/** A feature bit and its name. */
export interface FeatureName {
  readonly kind: FeatureKind;
  /** Number of the bit, 0..63. */
  readonly bit: number;
  /** Name of the bit: 1..46 bytes of UTF-8. */
  readonly name: string;
}

/** The features that version 1 defines. */
export const FEATURES: readonly FeatureName[] = [{ kind: "incompatible", bit: 0, name: "all-ones clusters" }];

/** Returns the numbers of the bits that are set in a feature word, in ascending order. */
export function setBits(word: bigint): number[] {
  const bits: number[] = [];
  for (let bit = 0; bit < 64; bit++) if ((word >> BigInt(bit)) & 1n) bits.push(bit);
  return bits;
}

/** Returns the name of a feature bit, as this version or the feature name table `table` of a file gives it; undefined if neither does. */
export function featureName(kind: FeatureKind, bit: number, table: readonly FeatureName[] = []): string | undefined {
  const same = (entry: FeatureName): boolean => entry.kind === kind && entry.bit === bit;
  return (FEATURES.find(same) ?? table.find(same))?.name;
}
