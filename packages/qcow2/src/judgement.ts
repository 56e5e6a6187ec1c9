import { type ByteRange, isQdbError, type Plan, type Problem, type QdbError } from "@qdb/format";
import type { Judgement, Qcow2Bitmap } from "./bitmap.ts";
import { BitmapTables } from "./bitmap-tables.ts";
import { markGuestClusters } from "./guest-clusters.ts";
import type { Qcow2Header } from "./header.ts";
import { type Image, placeProblem } from "./image.ts";
import { BITMAP_TABLE_ENTRY, OffsetTable } from "./offset-table.ts";
import { Refcounts } from "./refcounts.ts";
import { StructureReader } from "./structure-reader.ts";
import { describeFinding, FINDING, type FoundClusters, findingIn, WatchedClusters } from "./watched-clusters.ts";

/** The structures that the clusters of bitmaps are checked against. */
export interface Surroundings {
  readonly header: Qcow2Header;
  readonly image: Image;
  /** Where the bitmap directory is. */
  readonly directory: ByteRange;
  /** Where the encryption header is, if there is one. */
  readonly encryption: ByteRange | undefined;
}

/**
 * Checks that each cluster of a bitmap, valid or not, has one owner and the refcount 1. Two bitmaps that share a cluster are both
 * in error, because it is unknown which of them wrote it last. Reads the bitmap tables, the refcount table, the refcounts of the
 * clusters concerned, the snapshot table, L1 tables and L2 tables, each byte once.
 * @throws {QdbError} what the source throws. An error in these structures is not thrown: it becomes the problem of every bitmap
 */
export function* judge(surroundings: Surroundings, bitmaps: readonly Qcow2Bitmap[]): Plan<Judgement> {
  const { header, image, directory, encryption } = surroundings;
  const reader = new StructureReader(image.fileSize, image.fileSize - directory.length);
  try {
    const tables = yield* readTables(image, bitmaps, reader);
    const references = tables.references(image.fileSize);
    references.pushClusters(directory, image.clusterSize, image.fileSize);
    const watched = new WatchedClusters(references.toArray(), image.clusterSize);
    for (const owner of image.owners) watched.mark(owner, owner.finding);
    if (encryption !== undefined) watched.mark(encryption, FINDING.encryptionHeader);
    yield* markGuestClusters(header, watched, reader);
    yield* new Refcounts(header, watched, reader).mark();
    return new ClusterJudgement(surroundings, tables, watched.found(), bitmaps);
  } catch (error) {
    if (!isQdbError(error, "BAD_FIELD", "MISALIGNED", "OUT_OF_BOUNDS", "OVERLAP", "LIMIT")) throw error;
    return new NoJudgement(error);
  }
}

/** Reads the tables of all bitmaps. Those of bitmaps in error count too: they own their clusters all the same. */
function* readTables(image: Image, bitmaps: readonly Qcow2Bitmap[], reader: StructureReader): Plan<BitmapTables> {
  const { clusterSize, fileSize } = image;
  const offsets = new Float64Array(bitmaps.length);
  const lengths = new Float64Array(bitmaps.length);
  for (const [index, { table }] of bitmaps.entries()) {
    // A misplaced table still claims its clusters: round its offset down, and keep the whole entries inside the file.
    const offset = Math.floor(table.offset / clusterSize) * clusterSize;
    const length = Math.min(table.offset + table.length, fileSize) - offset;
    if (table.length === 0 || offset === 0 || length < BITMAP_TABLE_ENTRY.size) continue;
    offsets[index] = offset;
    lengths[index] = Math.floor(length / BITMAP_TABLE_ENTRY.size) * BITMAP_TABLE_ENTRY.size;
  }
  return yield* BitmapTables.read(offsets, lengths, clusterSize, reader);
}

/** Stand in for the index of an invalid table entry: no entry is invalid; the table itself is. */
const NOTHING = -1;
const TABLE = -2;

class ClusterJudgement implements Judgement {
  readonly #image: Image;
  readonly #directory: ByteRange;
  readonly #tables: BitmapTables;
  readonly #found: FoundClusters;
  /** For each bitmap, the index of its first invalid table entry. Only numbers: a hostile image can have 65535 invalid bitmaps. */
  readonly #wrong: Int32Array;

  constructor(
    { image, directory }: Surroundings,
    tables: BitmapTables,
    found: FoundClusters,
    bitmaps: readonly Qcow2Bitmap[],
  ) {
    this.#image = image;
    this.#directory = directory;
    this.#tables = tables;
    this.#found = found;
    this.#wrong = Int32Array.from(bitmaps, (bitmap) =>
      bitmap.entryProblem === undefined ? this.#firstWrong(bitmap) : NOTHING,
    );
  }

  problemOf(bitmap: Qcow2Bitmap): Problem | undefined {
    const directory = this.#overlap(this.#directory, "the bitmap directory", {
      structure: "bitmap directory",
      offset: this.#directory.offset,
      bitmap: bitmap.label,
    });
    if (directory !== undefined) return directory;
    const wrong = this.#wrong[bitmap.index];
    if (wrong === undefined) throw new RangeError(`the image has no bitmap ${bitmap.index}`);
    if (wrong === NOTHING) return undefined;
    if (wrong === TABLE) return this.#tableProblem(bitmap);
    return this.#entryProblem(bitmap, this.entriesOf(bitmap), wrong);
  }

  entriesOf(bitmap: Qcow2Bitmap): OffsetTable {
    return new OffsetTable(this.#tables.bytesOf(bitmap.table));
  }

  #firstWrong(bitmap: Qcow2Bitmap): number {
    // Skip the entries of a shared table: thousands of bitmaps may share it.
    if (this.#tableProblem(bitmap) !== undefined) return TABLE;
    const entries = this.entriesOf(bitmap);
    for (let entry = 0; entry < entries.count; entry++) {
      if (this.#entryProblem(bitmap, entries, entry) !== undefined) return entry;
    }
    return NOTHING;
  }

  #tableProblem(bitmap: Qcow2Bitmap): Problem | undefined {
    return this.#overlap(bitmap.table, "the bitmap table", bitmap.where("bitmapTableOffset"));
  }

  /** Checks a table entry: reserved bits, place of the cluster, owner of the cluster, in this order. */
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

/** The result where the check failed: no bitmap of the image can be used. */
class NoJudgement implements Judgement {
  readonly #error: QdbError;

  constructor(error: QdbError) {
    this.#error = error;
  }

  problemOf({ label }: Qcow2Bitmap): Problem {
    const { code, message, where } = this.#error;
    return { code, message, where: { ...where, bitmap: label } };
  }

  entriesOf(bitmap: Qcow2Bitmap): never {
    throw new RangeError(`the table of ${bitmap.label} was not read`);
  }
}
