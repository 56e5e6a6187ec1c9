import { isQdbError, type Problem, QdbError } from "../errors.ts";
import { alignUp, fileOffset } from "../layout/numbers.ts";
import { type Crc32, type Digests, crc32 as ownCrc32 } from "../ports/digest.ts";
import { mapPut, type Plan, put, read, readEach } from "../ports/plan.ts";
import { mirrorOffset } from "../records/header.ts";
import { isZero, type TlvWalk } from "../records/tlv.ts";
import { checkEntry, checkExtensions, nameTwins } from "./check-records.ts";
import type { QdbClusterMap } from "./cluster-map.ts";
import { type Finding, finding, findingOf, type Severity, type SeverityCounts } from "./findings.ts";
import { validateHeader, validateIdentity, walkExtensions } from "./header-rules.ts";
import { layoutOf } from "./layout.ts";
import { type MappedBitmap, readMaps } from "./maps.ts";
import { isGoodArea, type OpenedHeader, openHeader, readArea } from "./open.ts";
import { indexOf, type QdbIndex } from "./qdb-index.ts";
import { l1Reference, readTable, validateEntries } from "./table.ts";
import { type Window, windows } from "./windows.ts";

export type { Finding, FindingCode, Severity, SeverityCounts } from "./findings.ts";

/** What a check came to. */
export interface CheckSummary {
  readonly counts: SeverityCounts;
  /** False when an error of the file kept check from looking at everything. */
  readonly complete: boolean;
}

/**
 * Looks at every rule of a file and puts out every finding; nothing that is wrong with the file is thrown, but what keeps
 * it from being looked at at all.
 * @throws {QdbError} BAD_MAGIC, UNSUPPORTED_VERSION, UNSUPPORTED_FEATURE
 */
export function* checkPlan(fileSize: number, digests: Digests = {}): Plan<CheckSummary, Finding> {
  const counts: Record<Severity, number> = { corrupt: 0, unsafe: 0, leak: 0, noncanonical: 0, info: 0 };
  const complete = yield* mapPut(checkFile(fileSize, digests), (found) => {
    counts[found.severity]++;
    return found;
  });
  return { counts, complete };
}

function* checkFile(fileSize: number, digests: Digests): Plan<boolean, Finding> {
  const crc32 = digests.crc32 ?? ownCrc32;
  let opened: OpenedHeader;
  try {
    opened = yield* openHeader(fileSize, crc32);
  } catch (error) {
    return yield* giveUp(error, "BAD_MAGIC", "UNSUPPORTED_VERSION");
  }
  validateIdentity(opened, (problem) => {
    throw QdbError.from(problem);
  });
  yield* checkHeaderCopies(opened, fileSize, crc32);
  const problems: Problem[] = [];
  const usable = validateHeader(opened, fileSize, (problem) => problems.push(problem));
  const walk: TlvWalk | undefined = usable ? walkExtensions(opened, (problem) => problems.push(problem)) : undefined;
  for (const problem of problems) yield* put(findingOf(problem, false));
  if (walk === undefined) return false;
  for (const found of checkExtensions(opened, walk)) yield* put(found);
  const layout = layoutOf(opened.header, opened.form, fileSize);
  let index: QdbIndex;
  try {
    index = indexOf(opened, layout, walk.items, yield* readTable(opened.header, layout, crc32, opened.table));
  } catch (error) {
    return yield* giveUp(error);
  }
  for (const { problem } of validateEntries(index.table.entries, layout)) yield* put(findingOf(problem, false));
  for (const entry of index.table.entries) for (const found of checkEntry(entry)) yield* put(found);
  for (const found of nameTwins(index.table.entries)) yield* put(found);
  yield* checkBits(index, digests);
  return true;
}

/** Ends a check at an error of the file; what the caller names, and what is no error of the file, is thrown. */
function* giveUp(error: unknown, ...thrown: readonly QdbError["code"][]): Plan<boolean, Finding> {
  if (!(error instanceof QdbError) || thrown.includes(error.code)) throw error;
  if (isQdbError(error, "IO", "SHORT_READ", "ABORTED", "SOURCE_CHANGED")) throw error;
  yield* put(findingOf(error, false));
  return false;
}

/** A damaged primary, a draft's lack of protection, a mirror that is bad or differs. */
function* checkHeaderCopies(opened: OpenedHeader, fileSize: number, crc32: Crc32): Plan<void, Finding> {
  if (opened.form === "draft") {
    yield* put(
      finding("UNPROTECTED", "info", "draft form has no checksums: damage of its bits cannot be found", {
        structure: "header",
        offset: 0,
      }),
    );
    return;
  }
  if (opened.offset !== 0) {
    const message = `the header is damaged; its mirror at ${opened.offset} was used; qdb check -r restores it`;
    yield* put(finding("BAD_CHECKSUM", "corrupt", message, { structure: "header", offset: 0 }, true));
    return;
  }
  const offset = mirrorOffset(2 ** opened.header.clusterBits);
  const mirror = yield* readArea(offset, fileSize);
  if (mirror.length === opened.bytes.length && mirror.every((byte, at) => byte === opened.bytes[at])) return;
  const what = isGoodArea(mirror, crc32)
    ? "differs from the header: a commit that never happened"
    : "is damaged or missing";
  yield* put(
    finding("MIRROR", "info", `the mirror ${what}; the header itself is good`, { structure: "mirror", offset }, true),
  );
}

/** L1 areas, data clusters, and what lies behind the last of them. */
function* checkBits(index: QdbIndex, digests: Digests): Plan<void, Finding> {
  // Two owners of one cluster: nothing tells whose it is, so nothing may write.
  const mapped = yield* mapPut(readMaps(index, index.table.entries, digests), ({ problem }) =>
    findingOf(problem, problem.code !== "OVERLAP"),
  );
  for (const { map } of mapped) if (map !== undefined) yield* checkData(map);
  yield* checkEnd(index, mapped);
}

function* checkData(map: QdbClusterMap): Plan<void, Finding> {
  if (!isZero(map.area.padding)) {
    const offset = map.areaOffset + map.area.bytes.length - map.area.padding.length;
    yield* put(
      finding("PADDING", "noncanonical", "the padding of the L1 area is not zero", {
        structure: "L1 area",
        offset,
        bitmap: map.label,
      }),
    );
  }
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
  }
}

/** The stored clusters of a window, each with its bytes or the error of reading them. */
function* readClusters(map: QdbClusterMap, window: Window): Plan<Iterable<readonly [number, Uint8Array | QdbError]>> {
  try {
    return window.stored(yield* read(window.ranges));
  } catch (error) {
    if (!isQdbError(error, "IO", "SHORT_READ")) throw error;
  }
  const clusters = window.storedClusters();
  const pieces = yield* readEach(clusters.map((cluster) => ({ offset: map.offset(cluster), length: map.clusterSize })));
  return clusters.map((cluster, at) => [cluster, pieces[at] ?? new Uint8Array(0)] as const);
}

function hasTail(map: QdbClusterMap, cluster: number, bytes: Uint8Array): boolean {
  const validBits = map.bits - cluster * map.clusterSize * 8;
  if (validBits >= bytes.length * 8) return false;
  const whole = Math.floor(validBits / 8);
  return (
    !isZero(bytes.subarray(Math.ceil(validBits / 8))) ||
    (validBits % 8 !== 0 && (bytes[whole] ?? 0) >> (validBits % 8) !== 0)
  );
}

/** File offset behind the last cluster that something owns; undefined when an L1 area could not be read. */
export function endOfUse(index: QdbIndex, mapped: readonly MappedBitmap[]): number | undefined {
  const { clusterSize } = index;
  let end = index.floor;
  const use = (offset: number, length: number): void => {
    end = Math.max(end, alignUp(offset + length, clusterSize));
  };
  if (index.table.bytes.length > 0) use(fileOffset(index.header.bitmapsOffset), index.table.bytes.length);
  for (const { entry, map } of mapped) {
    if (map === undefined) return undefined;
    if (map.count > 0) use(map.areaOffset, l1Reference(entry, index).length);
    for (let cluster = 0; cluster < map.count; cluster++) {
      const offset = map.area.offset(cluster);
      if (offset !== 0) use(offset, clusterSize);
    }
  }
  return end;
}

function* checkEnd(index: QdbIndex, mapped: readonly MappedBitmap[]): Plan<void, Finding> {
  const end = endOfUse(index, mapped);
  if (end === undefined || index.fileSize <= end) return;
  const message = `${index.fileSize - end} bytes behind the last cluster in use belong to nothing; qdb check -r cuts them off`;
  yield* put(finding("LEAK", "leak", message, { structure: "file", offset: end }));
}
