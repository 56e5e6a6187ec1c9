/** Incompatible bit 0: an L1 entry may have bit 1 set, "reads as ones" (spec §2, QDB-FEA-001). */
export const ALL_ONES_CLUSTERS = 1n;
/** The incompatible bits that this version knows. */
export const KNOWN_INCOMPATIBLE: bigint = ALL_ONES_CLUSTERS;
/** The autoclear bits that this version knows: none. */
export const KNOWN_AUTOCLEAR = 0n;

/** The three feature words of a header, in the order of their fields. */
export const FEATURE_KINDS = ["incompatible", "compatible", "autoclear"] as const;
/** How a program treats a feature bit that it does not know: it refuses the file, ignores the bit, or clears it when writing. */
export type FeatureKind = (typeof FEATURE_KINDS)[number];

/** A feature bit and its name. */
export interface FeatureName {
  readonly kind: FeatureKind;
  /** 0..63 */
  readonly bit: number;
  /** 1..46 bytes of UTF-8 */
  readonly name: string;
}

/** The features of version 1. */
export const FEATURES: readonly FeatureName[] = [{ kind: "incompatible", bit: 0, name: "all-ones clusters" }];

/** Numbers of the bits that are set in a feature word, ascending. */
export function setBits(word: bigint): number[] {
  const bits: number[] = [];
  for (let bit = 0; bit < 64; bit++) if ((word >> BigInt(bit)) & 1n) bits.push(bit);
  return bits;
}

/** Name of a feature bit: that of this version or that in the table of the file; otherwise undefined. */
export function featureName(kind: FeatureKind, bit: number, table: readonly FeatureName[] = []): string | undefined {
  const same = (entry: FeatureName): boolean => entry.kind === kind && entry.bit === bit;
  return (FEATURES.find(same) ?? table.find(same))?.name;
}
