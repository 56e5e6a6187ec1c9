import type { Problem, Report } from "../errors.ts";
import { isInside } from "../layout/numbers.ts";
import { ALL_ONES_CLUSTERS } from "../records/features.ts";
import { type Form, type Header, mirrorOffset } from "../records/header.ts";

/** What the rules about places in a file depend on: form, sizes, and where structures may begin. */
export interface FileGeometry {
  readonly form: Form;
  /** Bytes. */
  readonly clusterSize: number;
  /** Length of the file in bytes. */
  readonly fileSize: number;
  /** First file offset that the table, an L1 area or a data cluster may have: behind the mirror (full) or the first cluster (draft). */
  readonly floor: number;
  /** Whether incompatible bit 0 is set. */
  readonly allOnes: boolean;
}

/** The geometry of a file with a header. */
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

/** A reference to a structure. Its rules come in the order MISALIGNED, OUT_OF_BOUNDS, OVERLAP (spec §7). */
export interface Reference {
  /** File offset in bytes; Infinity for one above 2^53. */
  readonly offset: number;
  /** The u64 in the file that `offset` comes from; absent if it is `offset` itself. Alignment is a rule even for values above 2^53. */
  readonly value?: bigint;
  /** Bytes. */
  readonly length: number;
  /** Name of the structure, for messages. */
  readonly what: string;
  readonly where: Problem["where"];
}

/** Reports MISALIGNED for a reference that is not to the start of a cluster. Returns whether there is no problem. */
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
 * Reports OUT_OF_BOUNDS for a reference past the end of the file, OVERLAP for one into header or mirror. Returns whether there is no
 * problem.
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
