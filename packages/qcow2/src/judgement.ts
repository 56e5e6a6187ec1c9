import { type ByteRange, isQdbError, type Plan, type Problem, type QdbError } from "@qdb/format";
import type { Judgement, Qcow2Bitmap } from "./bitmap.ts";
import { BitmapTables } from "./bitmap-tables.ts";
import { markGuestClusters } from "./guest-clusters.ts";
import type { Qcow2Header } from "./header.ts";
import { type Image, placeProblem } from "./image.ts";
import { StructureReader } from "./reader.ts";
import { Refcounts } from "./refcounts.ts";
import { BITMAP_TABLE_ENTRY, TableEntries } from "./table-entries.ts";
import { describeFinding, FINDING, type FoundClusters, findingIn, WatchedClusters } from "./watched-clusters.ts";

/** What the clusters of bitmaps are judged by. */
export interface Surroundings {
  readonly header: Qcow2Header;
  readonly image: Image;
  /** Where the bitmap directory is. */
  readonly directory: ByteRange;
  /** Where the encryption header is, if there is one. */
  readonly encryption: ByteRange | undefined;
}

/**
 * Looks through an image: the clusters of all its bitmaps, usable or not, must have one owner, and the refcount 1. Two bitmaps that
 * share a cluster are both wrong: which of them it was written for last cannot be told. Reads the bitmap tables, the refcount table
 * and the refcounts of the clusters concerned, snapshot table, L1 tables and L2 tables: each byte once.
 * @throws {QdbError} what the source throws; what keeps it from seeing who owns which cluster is the problem of every bitmap
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

/** Reads the tables of all bitmaps: those that are refused own their clusters too. */
function* readTables(image: Image, bitmaps: readonly Qcow2Bitmap[], reader: StructureReader): Plan<BitmapTables> {
  const { clusterSize, fileSize } = image;
  const offsets = new Float64Array(bitmaps.length);
  const lengths = new Float64Array(bitmaps.length);
  for (const [index, { table }] of bitmaps.entries()) {
    // A table at an impossible place still claims the clusters there: whole entries, as many as the file has.
    const offset = Math.floor(table.offset / clusterSize) * clusterSize;
    const length = Math.min(table.offset + table.length, fileSize) - offset;
    if (table.length === 0 || offset === 0 || length < BITMAP_TABLE_ENTRY.size) continue;
    offsets[index] = offset;
    lengths[index] = Math.floor(length / BITMAP_TABLE_ENTRY.size) * BITMAP_TABLE_ENTRY.size;
  }
  return yield* BitmapTables.read(offsets, lengths, clusterSize, reader);
}

/** In place of the number of a wrong table entry: no entry is wrong; the table itself is. */
const NOTHING = -1;
const TABLE = -2;

class ClusterJudgement implements Judgement {
  readonly #image: Image;
  readonly #directory: ByteRange;
  readonly #tables: BitmapTables;
  readonly #found: FoundClusters;
  /** Of each bitmap, its first wrong table entry: a number each, since a hostile image has tens of thousands of wrong bitmaps. */
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

  entriesOf(bitmap: Qcow2Bitmap): TableEntries {
    return new TableEntries(this.#tables.bytesOf(bitmap.table));
  }

  #firstWrong(bitmap: Qcow2Bitmap): number {
    // A table that others share is not gone through: thousands may share it.
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

  /** The rules of a table entry, in order: reserved bits, place, owner of the cluster. */
  #entryProblem(bitmap: Qcow2Bitmap, entries: TableEntries, entry: number): Problem | undefined {
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

/** Where the image could not be looked through: no bitmap of it is to be believed. */
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
