import { type AnySource, type CheckSummary, type Finding, isQdbError } from "@qdb/format";
import { mapPut, type Plan, put } from "@qdb/format/container";
import { checkData, countFindings, findingOf, Scratch } from "@qdb/format/internal";
import type { Qcow2Index } from "../bitmaps/qcow2-index.ts";
import { Qcow2File, type Qcow2FileOptions } from "./qcow2-file.ts";
import type { AllBitsOptions } from "./visit-all.ts";

/** Options of {@link checkQcow2}. */
export interface CheckImageOptions extends Qcow2FileOptions, AllBitsOptions {}

/** Maximum number of findings that are held back, so that the check can start over if the image changes. */
const HELD_FINDINGS = 1024;

/**
 * Checks the bitmaps of an image and yields every finding about them: about the header and its extensions as far as bitmaps depend on them,
 * the bitmap directory, its entries, the bitmap tables, the owners of their clusters, and the data. Other structures, and clusters that
 * belong to nothing, are for `qemu-img check`. Errors are findings too, except for those that keep the image from being checked. No finding
 * is repairable. The caller closes the source.
 * @throws {QdbError} BAD_MAGIC, UNSUPPORTED_VERSION or UNSUPPORTED_FEATURE of the header; IO or SHORT_READ if header, extensions, directory or
 * the structures that own clusters cannot be read; SOURCE_CHANGED if the image is written after the first finding was yielded, or each time
 * that it is read; ABORTED
 */
export async function* checkQcow2(
  source: AnySource,
  options: CheckImageOptions = {},
): AsyncGenerator<Finding, CheckSummary> {
  let file: Qcow2File;
  try {
    file = await Qcow2File.open(source, options);
  } catch (error) {
    if (!isQdbError(error) || isQdbError(error, ...THROWN)) throw error;
    const found = findingOf(error, false);
    yield found;
    const none = { corrupt: 0, unsafe: 0, leak: 0, noncanonical: 0, info: 0 };
    return { counts: { ...none, [found.severity]: 1 }, complete: false };
  }
  const plan = (index: Qcow2Index): Plan<CheckSummary, Finding> => countFindings(checkBitmaps(index, options));
  return yield* file.stream(plan, () => 1, { ...options, holdBytes: HELD_FINDINGS });
}

/** Codes of errors that keep an image from being checked. */
const THROWN = [
  "BAD_MAGIC",
  "UNSUPPORTED_VERSION",
  "UNSUPPORTED_FEATURE",
  "IO",
  "SHORT_READ",
  "SOURCE_CHANGED",
  "ABORTED",
] as const;

function* checkBitmaps(
  { bitmaps, isComplete }: Qcow2Index,
  { onProgress }: AllBitsOptions,
): Plan<Omit<CheckSummary, "counts">, Finding> {
  for (const bitmap of bitmaps) for (const problem of bitmap.problems()) yield* put(findingOf(problem, false));
  const scratch = new Scratch();
  const total = bitmaps.reduce((sum, { problem, bitCount }) => (problem === undefined ? sum + bitCount : sum), 0);
  let done = 0;
  for (const bitmap of bitmaps) {
    if (bitmap.problem !== undefined) continue;
    const before = done;
    const progress = (bits: number): void => onProgress?.(before + bits, total);
    yield* mapPut(checkData(bitmap.map(), scratch, progress), (found) => ({ ...found, repairable: false }));
    done += bitmap.bitCount;
  }
  return { complete: isComplete };
}
