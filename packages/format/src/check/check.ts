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
import { type Finding, finding, findingOf, type Severity, type SeverityCounts } from "./findings.ts";
import { SeenFile } from "./seen-file.ts";

export type { Finding, FindingCode, Severity, SeverityCounts } from "./findings.ts";

/** What a check came to. */
export interface CheckSummary {
  readonly counts: SeverityCounts;
  /** False when an error of the file kept check from looking at everything. */
  readonly complete: boolean;
  /** Which copy of the header was used; absent where none could be. */
  readonly headerSource?: HeaderSource;
}

/** What a check takes. */
export interface CheckOptions extends Pick<BitOptions, "onProgress"> {
  /** Whether the file's length is not its own to choose, as a device's: what lies behind the last cluster is no leak then. */
  readonly fixedSize?: boolean | undefined;
  /** Is filled with what is found, to be gone through again once the check has ended. @internal */
  readonly seen?: SeenFile | undefined;
}

/**
 * Looks at every rule of a file and puts out every finding; nothing that is wrong with the file is thrown, but what keeps
 * it from being looked at at all.
 * @throws {QdbError} BAD_MAGIC, UNSUPPORTED_VERSION, UNSUPPORTED_FEATURE; IO, SHORT_READ
 */
export function* checkPlan(
  fileSize: number,
  digests: Digests = {},
  options: CheckOptions = {},
): Plan<CheckSummary, Finding> {
  const counts: Record<Severity, number> = { corrupt: 0, unsafe: 0, leak: 0, noncanonical: 0, info: 0 };
  const seen = yield* mapPut(checkFile(fileSize, digests, options), (found) => {
    counts[found.severity]++;
    return found;
  });
  return { counts, ...seen };
}

function* checkFile(
  fileSize: number,
  digests: Digests,
  options: CheckOptions,
): Plan<Omit<CheckSummary, "counts">, Finding> {
  const crc32 = digests.crc32 ?? ownCrc32;
  let opened: OpenedHeader;
  try {
    opened = yield* openHeader(fileSize, crc32);
  } catch (error) {
    return { complete: yield* giveUp(error, options.seen ?? new SeenFile(), "BAD_MAGIC", "UNSUPPORTED_VERSION") };
  }
  const headerSource = sourceOf(opened);
  validateIdentity(opened, (problem) => {
    throw QdbError.from(problem);
  });
  const copies = yield* checkHeaderCopies(opened, fileSize, crc32);
  const problems: Problem[] = [];
  const findable = validateHeader(opened, fileSize, (problem) => problems.push(problem));
  const walk = findable.extensions ? walkExtensions(opened, (problem) => problems.push(problem)) : undefined;
  const heads = [...copies, ...problems.map((problem) => findingOf(problem, false))];
  if (walk !== undefined) heads.push(...checkExtensions(opened, walk));
  const seen = options.seen ?? new SeenFile();
  if (!findable.table) {
    seen.heads = heads.map(unrepairable);
    for (const found of seen.heads) yield* put(found);
    return { complete: false, headerSource };
  }
  const layout = geometryOf(opened.header, opened.form, fileSize);
  let index: QdbIndex;
  try {
    index = indexOf(opened, layout, walk?.items ?? [], yield* readTable(opened.header, layout, crc32, opened.table));
  } catch (error) {
    seen.heads = heads.map(unrepairable);
    for (const found of seen.heads) yield* put(found);
    return { complete: yield* giveUp(error, seen), headerSource };
  }
  const mapped = yield* loadMaps(index, index.table.entries, digests);
  // What a writer refuses it cannot repair: that must be known before the first finding says that it can be.
  const refused = problems.length > 0 || index.form === "draft" || index.header.generation === MAX_GENERATION;
  seen.heads = refused ? heads.map(unrepairable) : heads;
  for (const found of seen.heads) yield* put(found);
  const bitmaps = new BitmapCheck(index, mapped, { refused, keep: options.seen !== undefined });
  seen.bitmaps = bitmaps;
  yield* mapPut(bitmaps.run(options.onProgress), ({ finding: found }) => found);
  if (options.fixedSize !== true) {
    const ends = checkEnd(index, mapped);
    seen.ends = refused ? ends.map(unrepairable) : ends;
    for (const found of seen.ends) yield* put(found);
  }
  return { complete: walk?.isBroken === false && areAllMapped(mapped), headerSource };
}

/** Ends a check at an error of the file; what the caller names, and what is no error of the file, is thrown. */
function* giveUp(error: unknown, seen: SeenFile, ...thrown: readonly QdbError["code"][]): Plan<boolean, Finding> {
  if (!(error instanceof QdbError) || thrown.includes(error.code)) throw error;
  if (isQdbError(error, "IO", "SHORT_READ", "ABORTED", "SOURCE_CHANGED")) throw error;
  const end = findingOf(error, false);
  seen.ends = [end];
  yield* put(end);
  return false;
}

function unrepairable(found: Finding): Finding {
  return { ...found, repairable: false };
}

/** A damaged primary, a draft's lack of protection, a mirror that is bad or differs. */
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
  // Where the mirror is nobody knows then.
  if (!isClusterBits(opened.header.clusterBits)) return [];
  const offset = mirrorOffset(2 ** opened.header.clusterBits);
  const mirror = yield* readArea(offset, fileSize);
  if (equalBytes(mirror.bytes, opened.bytes)) return [];
  const message = `the mirror ${wrongMirror(mirror, crc32)}; the header itself is good`;
  return [finding("MIRROR", "info", message, { structure: "mirror", offset }, true)];
}

function wrongMirror({ bytes, unread }: AreaRead, crc32: Crc32): string {
  if (unread !== undefined) return `cannot be read: ${unread.message}`;
  return isGoodArea(bytes, crc32) ? "differs from the header: a commit that never happened" : "is damaged or missing";
}

function checkEnd(index: QdbIndex, mapped: readonly MappedBitmap[]): readonly Finding[] {
  if (!areAllMapped(mapped)) return [];
  const end = endOfUse(index, mapped);
  if (index.fileSize <= end) return [];
  const message = `${index.fileSize - end} bytes behind the last block in use belong to nothing; qdb check -r cuts them off`;
  return [finding("LEAK", "leak", message, { structure: "file", offset: end })];
}
