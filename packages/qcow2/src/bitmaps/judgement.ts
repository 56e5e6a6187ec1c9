import { type ByteRange, isQdbError, type Problem, type QdbError } from "@qdb/format";
import type { Plan } from "@qdb/format/container";
import { pushClusters } from "../image/cluster-ranges.ts";
import { markGuestClusters } from "../image/guest-clusters.ts";
import type { Qcow2Header } from "../image/header.ts";
import { type Image, type Owner, placeProblem } from "../image/image.ts";
import { BITMAP_TABLE_ENTRY, OffsetTable } from "../image/offset-table.ts";
import { Refcounts } from "../image/refcounts.ts";
import { StructureReader } from "../image/structure-reader.ts";
import { describeFinding, FINDING, type FoundClusters, findingIn, WatchedClusters } from "../image/watched-clusters.ts";
import type { Judgement, Qcow2Bitmap } from "./bitmap.ts";
import { BitmapTables } from "./bitmap-tables.ts";

/** The structures against which the clusters of bitmaps are checked. */
export interface Surroundings {
  readonly header: Qcow2Header;
  readonly image: Image;
  /** The range of the bitmap directory in the file. */
  readonly directory: ByteRange;
  /** The range of the encryption header in the file; undefined if there is none. */
  readonly encryption: ByteRange | undefined;
}

/** Who owns the clusters of bitmaps. */
export interface Owners {
  readonly tables: BitmapTables;
  /** The clusters of bitmaps, of their tables and of the directory that have a finding, and candidates for which one was made. */
  readonly found: FoundClusters;
  /** The number of the cluster after the last one to which any structure of the image refers. */
  readonly end: number;
}

/**
 * Checks that each cluster of a bitmap has exactly one owner and the refcount 1. Bitmaps in error are included, because they own clusters
 * too. Two bitmaps that share a cluster are both in error, because it is unknown which of them wrote it last. Reads the bitmap tables, the
 * refcount table, the refcounts of the clusters concerned, the snapshot table, L1 tables and L2 tables, each byte once.
 * @throws {QdbError} what the source throws. An error in these structures is not thrown: it becomes the problem of every bitmap
 */
export function* judge(surroundings: Surroundings, bitmaps: readonly Qcow2Bitmap[]): Plan<Judgement> {
  try {
    return new ClusterJudgement(surroundings, yield* findOwners(surroundings, bitmaps), bitmaps);
  } catch (error) {
    if (!isQdbError(error, "BAD_FIELD", "MISALIGNED", "OUT_OF_BOUNDS", "OVERLAP", "LIMIT")) throw error;
    return new FailedJudgement(error);
  }
}

/**
 * Looks for the owners of all clusters of bitmaps, as {@link judge} does, and of other clusters: `others`, whose numbers are in ascending
 * order and none of which belongs to a bitmap. A cluster with no owner and the refcount 0 has the finding `isFree`. A cluster of header,
 * refcount table or refcount blocks has that as its finding, unless the guest or a snapshot refers to it too: then it has theirs.
 * @throws {QdbError} BAD_FIELD, MISALIGNED, OUT_OF_BOUNDS, OVERLAP or LIMIT if a structure cannot be read; what the source throws
 */
export function* findOwners(
  { header, image, directory, encryption }: Surroundings,
  bitmaps: readonly Qcow2Bitmap[],
  others: Iterable<number> = [],
): Plan<Owners> {
  const reader = new StructureReader(image.fileSize, image.fileSize - directory.length);
  const tables = yield* readTables(image, bitmaps, reader);
  const references = tables.references(image.fileSize);
  pushClusters(references, directory, image.clusterSize, image.fileSize);
  for (const cluster of others) references.push(cluster);
  const watched = new WatchedClusters(references.array(), image.clusterSize);
  const isOfGuest = ({ finding }: Owner): boolean => finding === FINDING.l1Table || finding === FINDING.snapshotTable;
  for (const owner of image.owners) if (isOfGuest(owner)) watched.mark(owner, owner.finding);
  if (encryption !== undefined) watched.mark(encryption, FINDING.encryptionHeader);
  yield* markGuestClusters(header, watched, reader);
  for (const owner of image.owners) if (!isOfGuest(owner)) watched.mark(owner, owner.finding);
  yield* new Refcounts(header, watched, reader).mark();
  return { tables, found: watched.found(), end: watched.end };
}

/** Reads the tables of all bitmaps. Those of bitmaps in error are read too, because they own clusters. */
export function* readTables(
  image: Image,
  bitmaps: readonly Qcow2Bitmap[],
  reader: StructureReader,
): Plan<BitmapTables> {
  const { clusterSize, fileSize } = image;
  const offsets = new Float64Array(bitmaps.length);
  const lengths = new Float64Array(bitmaps.length);
  for (const [index, { table }] of bitmaps.entries()) {
    // A misaligned table still claims its clusters: its offset is rounded down, and only whole entries inside the file are read.
    const offset = Math.floor(table.offset / clusterSize) * clusterSize;
    const length = Math.min(table.offset + table.length, fileSize) - offset;
    if (table.length === 0 || offset === 0 || length < BITMAP_TABLE_ENTRY.size) continue;
    offsets[index] = offset;
    lengths[index] = Math.floor(length / BITMAP_TABLE_ENTRY.size) * BITMAP_TABLE_ENTRY.size;
  }
  return yield* BitmapTables.read(offsets, lengths, clusterSize, reader);
}

/** Used in place of the index of an invalid table entry: no entry is invalid (-1), or the table as a whole is (-2). */
const NO_INVALID_ENTRY = -1;
const INVALID_TABLE = -2;

/** The result of a check that succeeded. */
export class ClusterJudgement implements Judgement {
  readonly isComplete = true;
  readonly #image: Image;
  readonly #directory: ByteRange;
  readonly #tables: BitmapTables;
  readonly #found: FoundClusters;
  /**
   * For each bitmap, the index of its first invalid table entry. Problems are described only when asked for: a hostile image can have
   * 65,535 invalid bitmaps.
   */
  readonly #firstInvalid: Int32Array;

  constructor(
    { image, directory }: Surroundings,
    { tables, found }: Pick<Owners, "tables" | "found">,
    bitmaps: readonly Qcow2Bitmap[],
  ) {
    this.#image = image;
    this.#directory = directory;
    this.#tables = tables;
    this.#found = found;
    this.#firstInvalid = Int32Array.from(bitmaps, (bitmap) =>
      bitmap.placeProblem === undefined ? this.#findFirstInvalid(bitmap) : NO_INVALID_ENTRY,
    );
  }

  problemOf(bitmap: Qcow2Bitmap): Problem | undefined {
    const first = this.problemsOf(bitmap).next();
    return first.done === true ? undefined : first.value;
  }

  *problemsOf(bitmap: Qcow2Bitmap): Generator<Problem, void> {
    const directory = this.#overlap(this.#directory, "the bitmap directory", {
      structure: "bitmap directory",
      offset: this.#directory.offset,
      bitmap: bitmap.label,
    });
    if (directory !== undefined) yield directory;
    const invalid = this.#firstInvalid[bitmap.index];
    if (invalid === undefined) throw new RangeError(`the image has no bitmap ${bitmap.index}`);
    if (invalid === NO_INVALID_ENTRY) return;
    if (invalid === INVALID_TABLE) {
      const table = this.#tableProblem(bitmap);
      if (table !== undefined) yield table;
      return;
    }
    const entries = this.entriesOf(bitmap);
    for (let entry = invalid; entry < entries.count; entry++) {
      const problem = this.#entryProblem(bitmap, entries, entry);
      if (problem !== undefined) yield problem;
    }
  }

  entriesOf(bitmap: Qcow2Bitmap): OffsetTable {
    return new OffsetTable(this.#tables.bytesOf(bitmap.table));
  }

  #findFirstInvalid(bitmap: Qcow2Bitmap): number {
    // The entries of a table with a problem are not checked: thousands of bitmaps may share one table.
    if (this.#tableProblem(bitmap) !== undefined) return INVALID_TABLE;
    const entries = this.entriesOf(bitmap);
    for (let entry = 0; entry < entries.count; entry++) {
      if (this.#entryProblem(bitmap, entries, entry) !== undefined) return entry;
    }
    return NO_INVALID_ENTRY;
  }

  #tableProblem(bitmap: Qcow2Bitmap): Problem | undefined {
    return this.#overlap(bitmap.table, "the bitmap table", bitmap.where("bitmapTableOffset"));
  }

  /** Checks a table entry: first its reserved bits, then the offset of its cluster, then the owner of that cluster. */
  #entryProblem(bitmap: Qcow2Bitmap, entries: OffsetTable, entry: number): Problem | undefined {
    const offset = entries.offset(entry);
    if (offset === 0 && !entries.hasReservedBits(entry)) return undefined;
    const where = {
      structure: BITMAP_TABLE_ENTRY.name,
      field: "entry",
      offset: bitmap.table.offset + entry * BITMAP_TABLE_ENTRY.size,
      bitmap: bitmap.label,
    };
    if (entries.hasReservedBits(entry)) {
      const message = `bitmap table entry ${entry}: bits that must be 0 are set (1-8, 56-63, or bit 0 beside an offset)`;
      return { code: "RESERVED_NOT_ZERO", message, where };
    }
    const cluster = { offset, length: this.#image.clusterSize };
    const what = `the data cluster of bitmap table entry ${entry}`;
    return placeProblem(what, cluster, this.#image, where) ?? this.#overlap(cluster, what, where);
  }

  #overlap(range: ByteRange, what: string, where: Problem["where"]): Problem | undefined {
    const found = findingIn(this.#found, range, this.#image.clusterSize);
    if (found === undefined) return undefined;
    return { code: "OVERLAP", message: `${what} ${describeFinding(found.finding, found.offset)}`, where };
  }
}

/** The result if the check failed: every bitmap has the error of the check as its problem. */
class FailedJudgement implements Judgement {
  readonly isComplete = false;
  readonly #error: QdbError;

  constructor(error: QdbError) {
    this.#error = error;
  }

  problemOf({ label }: Qcow2Bitmap): Problem {
    const { code, message, where } = this.#error;
    return { code, message, where: { ...where, bitmap: label } };
  }

  *problemsOf(bitmap: Qcow2Bitmap): Generator<Problem, void> {
    yield this.problemOf(bitmap);
  }

  entriesOf(bitmap: Qcow2Bitmap): never {
    throw new RangeError(`the table of ${bitmap.label} was not read`);
  }
}
