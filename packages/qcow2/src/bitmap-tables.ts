import { type ByteRange, type Plan, QdbError } from "@qdb/format";
import { itemAt, numberAt } from "@qdb/format/internal";
import { MAX_TABLES_SIZE } from "./limits.ts";
import { NumberList } from "./numbers.ts";
import type { StructureReader } from "./reader.ts";
import { TableEntries } from "./table-entries.ts";

/** Tables of bitmaps that share a cluster, as one range; or a table that has its clusters alone. */
interface Area extends ByteRange {
  readonly isShared: boolean;
}

/** Bytes of a run of areas, which are in the order of the file. */
export class BitmapTables {
  readonly #areas: readonly Area[];
  /** Where each area begins in `#bytes`. */
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
   * Reads the tables of bitmaps: all of them, each byte once, whatever is wrong with the bitmaps. `offsets` and `lengths` are in
   * bytes; a length of 0 stands for a bitmap without a table. What lies outside the file is left out.
   * @throws {QdbError} LIMIT when they are larger than {@link MAX_TABLES_SIZE} together; OVERLAP as {@link StructureReader}
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

  /** The bytes of a table that lies inside the file at a cluster's offset. */
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

  /** The numbers of all clusters that tables and their entries refer to, once for each reference; those outside the file are left out. */
  references(fileSize: number): NumberList {
    const references = new NumberList();
    const add = (range: ByteRange): void => references.pushClusters(range, this.#clusterSize, fileSize);
    for (const area of this.#areas) {
      add(area);
      // The second reference is that of the other tables in it.
      if (area.isShared) add(area);
    }
    const entries = new TableEntries(this.#bytes);
    for (let entry = 0; entry < entries.count; entry++) {
      const offset = entries.offset(entry);
      if (offset !== 0) add({ offset, length: this.#clusterSize });
    }
    return references;
  }
}

/** The areas of the file that tables lie in. Each has whole entries: tables start at clusters. */
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
