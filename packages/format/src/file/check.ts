import { isQdbError, type Problem, QdbError } from "../errors.ts";
import { equalBytes, isZero } from "../layout/bytes.ts";
import { MAX_CLUSTER_BITS, MAX_GENERATION, MIN_CLUSTER_BITS } from "../limits.ts";
import { type Crc32, type Digests, crc32 as ownCrc32 } from "../ports/digest.ts";
import { mapPut, type Plan, put } from "../ports/plan.ts";
import type { BitmapEntry } from "../records/bitmap-entry.ts";
import { mirrorOffset } from "../records/header.ts";
import type { BitOptions } from "./bits.ts";
import { checkEntry, checkExtensions, nameTwins } from "./check-records.ts";
import type { QdbClusterMap } from "./cluster-map.ts";
import { hasTail, readClusters } from "./clusters.ts";
import { type Finding, finding, findingOf, isPlaceProblem, type Severity, type SeverityCounts } from "./findings.ts";
import { allMapped, endOfUse } from "./free-space.ts";
import { validateHeader, validateIdentity, walkExtensions } from "./header-rules.ts";
import { layoutOf } from "./layout.ts";
import { type LoadedMaps, loadMaps, type MappedBitmap } from "./maps.ts";
import { type HeaderSource, sourceOf } from "./mirror.ts";
import { type AreaRead, isGoodArea, type OpenedHeader, openHeader, readArea } from "./open.ts";
import { indexOf, type QdbIndex } from "./qdb-index.ts";
import { readTable } from "./table.ts";
import { windows } from "./windows.ts";

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
    return { complete: yield* giveUp(error, "BAD_MAGIC", "UNSUPPORTED_VERSION") };
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
  if (!findable.table) {
    for (const found of heads) yield* put({ ...found, repairable: false });
    return { complete: false, headerSource };
  }
  const layout = layoutOf(opened.header, opened.form, fileSize);
  let index: QdbIndex;
  try {
    index = indexOf(opened, layout, walk?.items ?? [], yield* readTable(opened.header, layout, crc32, opened.table));
  } catch (error) {
    for (const found of heads) yield* put({ ...found, repairable: false });
    return { complete: yield* giveUp(error), headerSource };
  }
  const maps = yield* loadMaps(index, index.table.entries, digests);
  // What a writer refuses it cannot repair: that must be known before the first finding says that it can be.
  const refused = problems.length > 0 || index.form === "draft" || index.header.generation === MAX_GENERATION;
  const said = (found: Finding): Finding => (refused ? { ...found, repairable: false } : found);
  for (const found of heads) yield* put(said(found));
  const mapped = yield* mapPut(checkBitmaps(index, maps, options), said);
  if (options.fixedSize !== true) yield* mapPut(checkEnd(index, mapped), said);
  return { complete: walk?.isBroken === false && allMapped(mapped), headerSource };
}

/** The findings of table entries and of what they lead to. */
function* checkBitmaps(
  index: QdbIndex,
  maps: LoadedMaps,
  { onProgress }: CheckOptions,
): Plan<readonly MappedBitmap[], Finding> {
  const { problems, table } = index;
  const said = (found: Finding, entry: BitmapEntry): Finding =>
    problems.isBeyondRepair(entry.index) ? { ...found, repairable: false } : found;
  for (const entry of table.entries) {
    for (const problem of problems.all(entry.index)) {
      yield* put(said(findingOf(problem, isPlaceProblem(problem)), entry));
    }
  }
  for (const entry of table.entries) for (const found of checkEntry(entry)) yield* put(said(found, entry));
  for (const found of nameTwins(table.entries)) yield* put(found);
  for (const { entry, problem } of maps.problems()) yield* put(said(findingOf(problem, true), entry));
  const mapped = maps.bitmaps();
  const total = mapped.reduce((sum, { map }) => sum + (map?.bits ?? 0), 0);
  let before = 0;
  for (const { entry, map, area } of mapped) {
    if (area !== undefined) for (const found of checkPadding(area)) yield* put(said(found, entry));
    if (map === undefined) continue;
    const progress = (bits: number): void => onProgress?.(before + bits, total);
    yield* mapPut(checkData(map, progress), (found) => said(found, entry));
    before += map.bits;
  }
  return mapped;
}

/** Ends a check at an error of the file; what the caller names, and what is no error of the file, is thrown. */
function* giveUp(error: unknown, ...thrown: readonly QdbError["code"][]): Plan<boolean, Finding> {
  if (!(error instanceof QdbError) || thrown.includes(error.code)) throw error;
  if (isQdbError(error, "IO", "SHORT_READ", "ABORTED", "SOURCE_CHANGED")) throw error;
  yield* put(findingOf(error, false));
  return false;
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
  if (opened.header.clusterBits < MIN_CLUSTER_BITS || opened.header.clusterBits > MAX_CLUSTER_BITS) return [];
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

function* checkPadding(map: QdbClusterMap): Generator<Finding, void> {
  if (isZero(map.area.padding)) return;
  const offset = map.areaOffset + map.area.bytes.length - map.area.padding.length;
  const where = { structure: "L1 area", offset, bitmap: map.label };
  yield finding("PADDING", "noncanonical", "the padding of the L1 area is not zero", where);
}

function* checkData(map: QdbClusterMap, progress: (bits: number) => void): Plan<void, Finding> {
  for (const window of windows(map)) {
    for (const [cluster, bytes] of yield* readClusters(map, window)) {
      const offset = map.offset(cluster);
      const where = { structure: "data cluster", offset, bitmap: map.label };
      if (bytes instanceof QdbError) {
        yield* put(
          findingOf({ code: bytes.code, message: `the data cluster cannot be read: ${bytes.message}`, where }, true),
        );
        continue;
      }
      const problem = map.verify(cluster, bytes);
      if (problem !== undefined) yield* put(findingOf(problem, true));
      else if (hasTail(map, cluster, bytes)) {
        yield* put(finding("TAIL", "noncanonical", "the data cluster is not zero behind the bitmap's last bit", where));
      }
    }
    progress(window.endBit);
  }
}

function* checkEnd(index: QdbIndex, mapped: readonly MappedBitmap[]): Plan<void, Finding> {
  if (!allMapped(mapped)) return;
  const end = endOfUse(index, mapped);
  if (index.fileSize <= end) return;
  const message = `${index.fileSize - end} bytes behind the last block in use belong to nothing; qdb check -r cuts them off`;
  yield* put(finding("LEAK", "leak", message, { structure: "file", offset: end }));
}
