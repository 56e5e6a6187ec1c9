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

/** The result of a check, apart from its findings. */
export interface CheckSummary {
  /** Number of findings of each severity. */
  readonly counts: SeverityCounts;
  /** Whether the whole file was checked; false if an error kept the check from some of the header extensions, the table or the L1 areas. */
  readonly complete: boolean;
  /** Which copy of the header was used; absent if neither could be used. */
  readonly headerSource?: HeaderSource;
}

/** Options of a check. */
export interface CheckOptions extends Pick<BitOptions, "onProgress"> {
  /** Whether the file cannot be cut, since it is a block device. Space past the last cluster in use is no leak then. */
  readonly fixedSize?: boolean | undefined;
  /** The primary, if it was read before: it is not read again. @internal */
  readonly primary?: AreaRead | undefined;
  /** Receives the findings, so that they can be listed again after the check. @internal */
  readonly keptFindings?: FileFindings | undefined;
}

/**
 * Checks every rule of a file and puts out every finding. Errors of the file are findings too, except for those that are thrown because
 * they keep the file from being checked.
 * @throws {QdbError} BAD_MAGIC if this is no QDB file; UNSUPPORTED_VERSION, UNSUPPORTED_FEATURE if the file needs a version or an
 * incompatible feature that the library does not know; IO, SHORT_READ if the header or the bitmap table cannot be read
 */
export function* checkPlan(
  fileSize: number,
  digests: Digests = {},
  options: CheckOptions = {},
): Plan<CheckSummary, Finding> {
  return yield* countFindings(checkFile(fileSize, digests, options));
}

/** Puts out the findings of a check, and returns its summary with their numbers. */
export function* countFindings(check: Plan<Omit<CheckSummary, "counts">, Finding>): Plan<CheckSummary, Finding> {
  const counts: Record<Severity, number> = { corrupt: 0, unsafe: 0, leak: 0, noncanonical: 0, info: 0 };
  const summary = yield* mapPut(check, (found) => {
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
    opened = yield* openHeader(fileSize, crc32, options.primary);
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
  const geometry = geometryOf(opened.header, opened.form, fileSize);
  let index: QdbIndex;
  try {
    index = indexOf(
      opened,
      geometry,
      walk?.items ?? [],
      yield* readTable(opened.header, geometry, crc32, opened.table),
    );
  } catch (error) {
    findings.header = header.map(unrepairable);
    for (const found of findings.header) yield* put(found);
    return { complete: yield* endCheck(error, findings), headerSource };
  }
  const mapped = yield* loadMaps(index, index.table.entries, digests);
  // Writers refuse such a file, so that none of its findings is repairable. This must be known before the first finding is put out.
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
 * Ends a check that met an error: puts the error out as the last finding, and returns false, since the check is not complete. Errors with
 * one of the codes in `thrown` are thrown instead, and so are errors of reading, of a change of the source, and of an abort.
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

/** Returns the finding, made not repairable. */
function unrepairable(found: Finding): Finding {
  return { ...found, repairable: false };
}

/**
 * Compares the two copies of the header. Returns a finding if the primary is damaged (BAD_CHECKSUM), if the mirror is damaged or differs
 * (MIRROR), or if the file is in draft form, which has no mirror and no checksums (UNPROTECTED).
 */
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
  // Without a valid cluster size, the offset of the mirror is unknown.
  if (!isClusterBits(opened.header.clusterBits)) return [];
  const offset = mirrorOffset(2 ** opened.header.clusterBits);
  const mirror = yield* readArea(offset, fileSize);
  if (equalBytes(mirror.bytes, opened.bytes)) return [];
  const message = `the mirror ${describeMirror(mirror, crc32)}; the header itself is good`;
  return [finding("MIRROR", "info", message, { structure: "mirror", offset }, true)];
}

/** Describes a mirror whose bytes differ from those of the primary. */
function describeMirror({ bytes, unread }: AreaRead, crc32: Crc32): string {
  if (unread !== undefined) return `cannot be read: ${unread.message}`;
  return isGoodArea(bytes, crc32) ? "differs from the header: a commit that never happened" : "is damaged or missing";
}

/** Finds space past the last range in use (LEAK). Finds nothing if a bitmap has no cluster map, since it may own that space. */
function checkEnd(index: QdbIndex, mapped: readonly MappedBitmap[]): readonly Finding[] {
  if (!areAllMapped(mapped)) return [];
  const end = endOfUse(index, mapped);
  if (index.fileSize <= end) return [];
  const message = `${index.fileSize - end} bytes after the last block in use belong to nothing; qdb check -r cuts them off`;
  return [finding("LEAK", "leak", message, { structure: "file", offset: end })];
}
