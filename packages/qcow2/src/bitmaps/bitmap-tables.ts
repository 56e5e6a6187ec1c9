import { type ByteRange, QdbError } from "@qdb/format";
import type { Plan } from "@qdb/format/container";
import { itemAt, NumberList, numberAt } from "@qdb/format/internal";
import { pushClusters } from "../image/cluster-ranges.ts";
import { MAX_TABLES_SIZE } from "../image/limits.ts";
import { OffsetTable } from "../image/offset-table.ts";
import type { StructureReader } from "../image/structure-reader.ts";

/** A range of the file that holds one bitmap table, or several tables that share a cluster. */
interface Area extends ByteRange {
  readonly isShared: boolean;
}

/** The bytes of all bitmap tables of an image. They are kept by area, in ascending order of the file offset. */
export class BitmapTables {
  readonly #areas: readonly Area[];
  /** For each area, the index of its first byte in `#bytes`. */
  readonly #starts: Float64Array;
  readonly #bytes: Uint8Array;
  readonly #clusterSize: number;

  private constructor(areas: readonly Area[], clusterSize: number) {
    this.#areas = areas;
    this.#starts = new Float64Array(areas.length);
    this.#clusterSize = clusterSize;
    let total = 0;
    for (const [place, { length }] of areas.entries()) {
      this.#starts[place] = total;
      total += length;
    }
    if (total > MAX_TABLES_SIZE) {
      throw new QdbError(
        "LIMIT",
        `the bitmap tables of the image have ${total} bytes together, at most ${MAX_TABLES_SIZE} are read`,
      );
    }
    this.#bytes = new Uint8Array(total);
  }

  /**
   * Reads all bitmap tables, each byte of the file once, also the tables of bitmaps in error. `offsets` and `lengths` are in bytes and have
   * one element for each bitmap; a length of 0 means that the bitmap has no table. The ranges must lie inside the file.
   * @throws {QdbError} LIMIT if the tables together are longer than {@link MAX_TABLES_SIZE}; OVERLAP as {@link StructureReader}
   */
  static *read(
    offsets: Float64Array,
    lengths: Float64Array,
    clusterSize: number,
    reader: StructureReader,
  ): Plan<BitmapTables> {
    const tables = new BitmapTables([...areasOf(offsets, lengths, clusterSize)], clusterSize);
    let at = 0;
    yield* reader.readEach(tables.#areas, (bytes) => {
      tables.#bytes.set(bytes, at);
      at += bytes.length;
    });
    return tables;
  }

  /** Returns the bytes of a table that was read. @throws {RangeError} for a range that does not lie inside one area */
  bytesOf({ offset, length }: ByteRange): Uint8Array {
    if (length === 0) return this.#bytes.subarray(0, 0);
    let low = 0;
    let high = this.#areas.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (itemAt(this.#areas, middle).offset <= offset) low = middle + 1;
      else high = middle;
    }
    const area = this.#areas[low - 1];
    const start = this.#starts[low - 1];
    if (area === undefined || start === undefined || offset + length > area.offset + area.length)
      throw new RangeError(`no table of ${length} bytes was read at ${offset}`);
    return this.#bytes.subarray(start + offset - area.offset, start + offset - area.offset + length);
  }

  /**
   * Returns the numbers of the clusters that hold tables, and of those that table entries refer to. A number occurs once for each
   * reference. Clusters past the end of the file are left out.
   */
  references(fileSize: number): NumberList {
    const references = new NumberList();
    const add = (range: ByteRange): void => pushClusters(references, range, this.#clusterSize, fileSize);
    for (const area of this.#areas) {
      add(area);
      // Two references are enough to mark the clusters of shared tables as shared, however many tables share them.
      if (area.isShared) add(area);
    }
    const entries = new OffsetTable(this.#bytes);
    for (let entry = 0; entry < entries.count; entry++) {
      const offset = entries.offset(entry);
      if (offset !== 0) add({ offset, length: this.#clusterSize });
    }
    return references;
  }
}

/** Joins tables that share a cluster into one area. Tables begin at cluster boundaries here, so each area holds whole entries. */
function* areasOf(offsets: Float64Array, lengths: Float64Array, clusterSize: number): Generator<Area, void> {
  const at = (position: number): number => numberAt(offsets, position);
  const order = new Uint32Array(offsets.length).map((_, position) => position).filter((one) => lengths[one] !== 0);
  order.sort((a, b) => at(a) - at(b));
  let area: { offset: number; length: number; isShared: boolean } | undefined;
  for (const position of order) {
    const offset = at(position);
    const length = numberAt(lengths, position);
    if (area !== undefined && offset < Math.ceil((area.offset + area.length) / clusterSize) * clusterSize) {
      area.isShared = true;
      area.length = Math.max(area.length, offset + length - area.offset);
      continue;
    }
    if (area !== undefined) yield area;
    area = { offset, length, isShared: false };
  }
  if (area !== undefined) yield area;
}
