import type { Problem, Report } from "../errors.ts";
import { isInside } from "../layout/numbers.ts";
import { ALL_ONES_CLUSTERS } from "../records/features.ts";
import { type Form, type Header, mirrorOffset } from "../records/header.ts";

/** The properties of a file on which the rules about file offsets depend: its form, its sizes, and where structures may begin. */
export interface FileGeometry {
  readonly form: Form;
  /** Bytes per cluster. */
  readonly clusterSize: number;
  /** Length of the file in bytes. */
  readonly fileSize: number;
  /**
   * Smallest file offset of the table, an L1 area or a data cluster: the end of the mirror in full form, of the first cluster in draft
   * form.
   */
  readonly floor: number;
  /** Whether incompatible bit 0, all-ones clusters, is set. */
  readonly allOnes: boolean;
}

/** Returns the geometry of a file that has `header`. */
export function geometryOf(header: Header, form: Form, fileSize: number): FileGeometry {
  const clusterSize = 2 ** header.clusterBits;
  return {
    form,
    clusterSize,
    fileSize,
    floor: form === "full" ? 2 * mirrorOffset(clusterSize) : clusterSize,
    allOnes: (header.incompatibleFeatures & ALL_ONES_CLUSTERS) !== 0n,
  };
}

/** A reference to a structure of the file. Its rules are checked in the order MISALIGNED, OUT_OF_BOUNDS, OVERLAP (spec §7). */
export interface Reference {
  /** File offset in bytes; Infinity for an offset above 2^53. */
  readonly offset: number;
  /** The offset as the file has it, a u64; absent if `offset` is the same. It is needed to check the alignment of offsets above 2^53. */
  readonly value?: bigint;
  /** Length of the structure in bytes. */
  readonly length: number;
  /** What is referred to, for messages. */
  readonly what: string;
  readonly where: Problem["where"];
}

/** Reports MISALIGNED if a reference is not to the start of a cluster. Returns true if it reports nothing. */
export function checkAligned(reference: Reference, geometry: FileGeometry, report: Report): boolean {
  const { value = BigInt(reference.offset) } = reference;
  if (value % BigInt(geometry.clusterSize) === 0n) return true;
  report({
    code: "MISALIGNED",
    message: `${reference.what} at ${value} is not aligned to the cluster size ${geometry.clusterSize}`,
    where: reference.where,
  });
  return false;
}

/**
 * Reports OUT_OF_BOUNDS if a reference runs past the end of the file, OVERLAP if it is into the header or the mirror. Returns true if it
 * reports nothing.
 */
export function checkPlace(reference: Reference, geometry: FileGeometry, report: Report): boolean {
  const { offset, length, what } = reference;
  if (!isInside(offset, length, geometry.fileSize)) {
    const end =
      offset === Number.POSITIVE_INFINITY ? "lies past 2^53" : `of ${length} bytes at ${offset} runs past the end`;
    report({
      code: "OUT_OF_BOUNDS",
      message: `${what} ${end}; the file has ${geometry.fileSize} bytes`,
      where: reference.where,
    });
    return false;
  }
  if (offset < geometry.floor) {
    report({
      code: "OVERLAP",
      message: `${what} at ${offset} lies over the header or its mirror`,
      where: reference.where,
    });
    return false;
  }
  return true;
}
