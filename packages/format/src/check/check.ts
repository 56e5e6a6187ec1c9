import type { BitOptions } from "../bits/read-bits.ts";
import { isQdbError, type Problem, QdbError } from "../errors.ts";
import { equalBytes } from "../layout/bytes.ts";
import { isClusterBits, MAX_GENERATION } from "../limits.ts";
import { endOfUse } from "../maps/generation-space.ts";
import { loadMaps } from "../maps/load-maps.ts";
import { areAllMapped, type MappedBitmap } from "../maps/mapped-bitmap.ts";
import { readTable } from "../open/bitmap-table.ts";
import { type AreaRead, isGoodArea, type OpenedHeader, openHeader, readArea } from "../open/choose-header.ts";
import { geometryOf } from "../open/geometry.ts";
import { validateHeader, validateIdentity, walkExtensions } from "../open/header-rules.ts";
import { type HeaderSource, sourceOf } from "../open/header-source.ts";
import { indexOf, type QdbIndex } from "../open/qdb-index.ts";
import { type Crc32, type Digests, crc32 as ownCrc32 } from "../ports/digest.ts";
import { mapPut, type Plan, put } from "../ports/plan.ts";
import { mirrorOffset } from "../records/header.ts";
import { BitmapCheck } from "./check-bitmaps.ts";
import { checkExtensions } from "./check-records.ts";
import { FileFindings } from "./file-findings.ts";
import { type Finding, finding, findingOf, type Severity, type SeverityCounts } from "./findings.ts";

export type { Finding, FindingCode, Severity, SeverityCounts } from "./findings.ts";

/** The result of a check, beside its findings. */
export interface CheckSummary {
  /** Number of findings of each severity. */
  readonly counts: SeverityCounts;
  /** False if an error of the file kept the check from reaching everything. */
  readonly complete: boolean;
  /** Which copy of the header was used; absent if none could be. */
  readonly headerSource?: HeaderSource;
}

/** Options of a check. */
export interface CheckOptions extends Pick<BitOptions, "onProgress"> {
  /** Whether the file cannot be cut, since it is a block device: space behind the last used cluster is then no leak. */
  readonly fixedSize?: boolean | undefined;
  /** Keeps the findings, so that they can be listed again after the check. @internal */
  readonly keptFindings?: FileFindings | undefined;
}

/**
 * Checks every rule of a file and puts out every finding. An error of the file is a finding too; it is thrown only if nothing could be
 * checked because of it.
 * @throws {QdbError} BAD_MAGIC, UNSUPPORTED_VERSION, UNSUPPORTED_FEATURE; IO, SHORT_READ
 */
export function* checkPlan(
  fileSize: number,
  digests: Digests = {},
  options: CheckOptions = {},
): Plan<CheckSummary, Finding> {
  const counts: Record<Severity, number> = { corrupt: 0, unsafe: 0, leak: 0, noncanonical: 0, info: 0 };
  const summary = yield* mapPut(checkFile(fileSize, digests, options), (found) => {
    counts[found.severity]++;
    return found;
  });
  return { counts, ...summary };
}

function* checkFile(
  fileSize: number,
  digests: Digests,
  options: CheckOptions,
): Plan<Omit<CheckSummary, "counts">, Finding> {
  const crc32 = digests.crc32 ?? ownCrc32;
  const findings = options.keptFindings ?? new FileFindings();
  let opened: OpenedHeader;
  try {
    opened = yield* openHeader(fileSize, crc32);
  } catch (error) {
    return { complete: yield* endCheck(error, findings, "BAD_MAGIC", "UNSUPPORTED_VERSION") };
  }
  const headerSource = sourceOf(opened);
  validateIdentity(opened, (problem) => {
    throw QdbError.from(problem);
  });
  const copies = yield* checkHeaderCopies(opened, fileSize, crc32);
  const problems: Problem[] = [];
  const findable = validateHeader(opened, fileSize, (problem) => problems.push(problem));
  const walk = findable.extensions ? walkExtensions(opened, (problem) => problems.push(problem)) : undefined;
  const header = [...copies, ...problems.map((problem) => findingOf(problem, false))];
  if (walk !== undefined) header.push(...checkExtensions(opened, walk));
  if (!findable.table) {
    findings.header = header.map(unrepairable);
    for (const found of findings.header) yield* put(found);
    return { complete: false, headerSource };
  }
  const layout = geometryOf(opened.header, opened.form, fileSize);
  let index: QdbIndex;
  try {
    index = indexOf(opened, layout, walk?.items ?? [], yield* readTable(opened.header, layout, crc32, opened.table));
  } catch (error) {
    findings.header = header.map(unrepairable);
    for (const found of findings.header) yield* put(found);
    return { complete: yield* endCheck(error, findings), headerSource };
  }
  const mapped = yield* loadMaps(index, index.table.entries, digests);
  // A file that writers refuse cannot be repaired. This must be known before the first finding is put out.
  const refused = problems.length > 0 || index.form === "draft" || index.header.generation === MAX_GENERATION;
  findings.header = refused ? header.map(unrepairable) : header;
  for (const found of findings.header) yield* put(found);
  const bitmaps = new BitmapCheck(index, mapped, { refused, keep: options.keptFindings !== undefined });
  findings.bitmaps = bitmaps;
  yield* mapPut(bitmaps.run(options.onProgress), ({ finding: found }) => found);
  if (options.fixedSize !== true) {
    const end = checkEnd(index, mapped);
    findings.end = refused ? end.map(unrepairable) : end;
    for (const found of findings.end) yield* put(found);
  }
  return { complete: walk?.isBroken === false && areAllMapped(mapped), headerSource };
}

/**
 * Ends a check at an error of the file, which becomes the last finding. Errors with one of the codes `thrown`, and errors that are not of
 * the file itself, are thrown. Returns false, since the check is not complete.
 */
function* endCheck(
  error: unknown,
  findings: FileFindings,
  ...thrown: readonly QdbError["code"][]
): Plan<false, Finding> {
  if (!(error instanceof QdbError) || thrown.includes(error.code)) throw error;
  if (isQdbError(error, "IO", "SHORT_READ", "ABORTED", "SOURCE_CHANGED")) throw error;
  const end = findingOf(error, false);
  findings.end = [end];
  yield* put(end);
  return false;
}

/** The same finding, not repairable. */
function unrepairable(found: Finding): Finding {
  return { ...found, repairable: false };
}

/** Compares the two copies of the header. Findings: the primary is damaged, the mirror is damaged or differs, a draft has no checksums. */
function* checkHeaderCopies(opened: OpenedHeader, fileSize: number, crc32: Crc32): Plan<readonly Finding[]> {
  if (opened.form === "draft") {
    const message = "draft form has no checksums: damage of its bits cannot be found";
    return [finding("UNPROTECTED", "info", message, { structure: "header", offset: 0 })];
  }
  if (opened.offset !== 0) {
    const { unread } = opened.primary;
    const what = unread === undefined ? "is damaged" : `cannot be read: ${unread.message}`;
    const message = `the header ${what}; its mirror at ${opened.offset} was used; qdb check -r restores it`;
    return [finding("BAD_CHECKSUM", "corrupt", message, { structure: "header", offset: 0 }, true)];
  }
  // The place of the mirror depends on the cluster size.
  if (!isClusterBits(opened.header.clusterBits)) return [];
  const offset = mirrorOffset(2 ** opened.header.clusterBits);
  const mirror = yield* readArea(offset, fileSize);
  if (equalBytes(mirror.bytes, opened.bytes)) return [];
  const message = `the mirror ${describeMirror(mirror, crc32)}; the header itself is good`;
  return [finding("MIRROR", "info", message, { structure: "mirror", offset }, true)];
}

/** What is wrong with a mirror that has other bytes than the header. */
function describeMirror({ bytes, unread }: AreaRead, crc32: Crc32): string {
  if (unread !== undefined) return `cannot be read: ${unread.message}`;
  return isGoodArea(bytes, crc32) ? "differs from the header: a commit that never happened" : "is damaged or missing";
}

/** Finds space behind everything that is used. */
function checkEnd(index: QdbIndex, mapped: readonly MappedBitmap[]): readonly Finding[] {
  if (!areAllMapped(mapped)) return [];
  const end = endOfUse(index, mapped);
  if (index.fileSize <= end) return [];
  const message = `${index.fileSize - end} bytes behind the last block in use belong to nothing; qdb check -r cuts them off`;
  return [finding("LEAK", "leak", message, { structure: "file", offset: end })];
}
