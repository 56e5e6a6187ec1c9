import { type AnySource, QdbError } from "@qdb/format";
import { decodeUtf8, type RunOptions, readRange, run } from "@qdb/format/container";
import { readQcow2Parts } from "../bitmaps/qcow2-index.ts";
import { DATA_FILE_NAME, extensionsEnd, extensionsIn } from "../image/extensions.ts";
import { AUTOCLEAR_RAW_DATA, INCOMPATIBLE, type Qcow2Header } from "../image/header.ts";
import { MAX_L1_SIZE } from "../image/limits.ts";
import { OffsetTable } from "../image/offset-table.ts";

/** Bit 62 of an L2 entry: the cluster is compressed. */
const COMPRESSED_HIGH = 0x40000000;
/** Bit 0 of an L2 entry: the cluster reads as zeros, whatever its offset. */
const ZERO_LOW = 1;

/** The data that the guest of an image sees, as far as it lies in the image or in a raw data file. Images are not cached, but for one L2 table. */
export class GuestReader {
  /** Length of the disk in bytes. */
  readonly size: bigint;
  readonly #source: AnySource;
  readonly #data: AnySource | undefined;
  readonly #clusterSize: number;
  readonly #l1: OffsetTable;
  #l2: { readonly offset: number; readonly table: OffsetTable } | undefined;

  private constructor(header: Qcow2Header, source: AnySource, data: AnySource | undefined, l1: OffsetTable) {
    this.size = header.size;
    this.#source = source;
    this.#data = data;
    this.#clusterSize = 2 ** header.clusterBits;
    this.#l1 = l1;
  }

  /**
   * Opens the data of an image. `openDataFile` opens the external data file by its name in the image; it is called if there is one, and the
   * caller closes it.
   * @throws {QdbError} NOT_SUPPORTED for an image with a backing file, encryption, extended L2 entries, or a data file that is not raw; as
   * `readQcow2Index`; LIMIT or OUT_OF_BOUNDS for the L1 table; what `openDataFile` throws
   */
  static async open(
    source: AnySource,
    openDataFile: (name: string) => AnySource | Promise<AnySource>,
    options: RunOptions = {},
  ): Promise<GuestReader> {
    const { header, area, image } = await run(readQcow2Parts(source.size), source, options);
    refuseUnreadable(header);
    const length = header.l1Size * 8;
    const offset = Number(header.l1TableOffset);
    const where = { structure: "L1 table", offset };
    if (length > MAX_L1_SIZE)
      throw new QdbError("LIMIT", `the L1 table has ${length} bytes, at most ${MAX_L1_SIZE} are read`, where);
    if (offset + length > image.fileSize)
      throw new QdbError("OUT_OF_BOUNDS", "the L1 table runs past the end of the file", where);
    const l1 = length === 0 ? new Uint8Array(0) : await run(readRange(offset, length), source, options);
    const isExternal = (header.incompatibleFeatures & INCOMPATIBLE.externalDataFile) !== 0n;
    const data = isExternal ? await openDataFile(nameOfDataFile(header, area)) : undefined;
    return new GuestReader(header, source, data, new OffsetTable(l1));
  }

  /**
   * Returns the bytes of a range of the disk, which lies inside it.
   * @throws {QdbError} NOT_SUPPORTED for a compressed cluster; MISALIGNED or OUT_OF_BOUNDS for a table entry; what the sources throw
   */
  async read(offset: number, length: number, options: RunOptions = {}): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const at = offset + done;
      const inCluster = at % this.#clusterSize;
      const part = Math.min(length - done, this.#clusterSize - inCluster);
      const place = await this.#placeOf(at - inCluster, options);
      if (place !== undefined) bytes.set(await this.#readData(place + inCluster, part, options), done);
      done += part;
    }
    return bytes;
  }

  /** Returns the file offset of the cluster at a place of the disk; undefined if it reads as zeros. */
  async #placeOf(guest: number, options: RunOptions): Promise<number | undefined> {
    const cluster = guest / this.#clusterSize;
    const perTable = this.#clusterSize / 8;
    const index = Math.floor(cluster / perTable);
    const where = { structure: "L2 table entry", offset: guest };
    if (index >= this.#l1.count)
      throw new QdbError("OUT_OF_BOUNDS", `the L1 table has ${this.#l1.count} entries, too few for the disk`, where);
    const table = await this.#tableAt(this.#l1.offset(index), options);
    if (table === undefined) return undefined;
    const entry = cluster % perTable;
    if ((table.high(entry) & COMPRESSED_HIGH) !== 0)
      throw new QdbError(
        "NOT_SUPPORTED",
        "the image has compressed clusters; convert it to raw with qemu-img convert",
        where,
      );
    if ((table.low(entry) & ZERO_LOW) !== 0) return undefined;
    const offset = table.offset(entry);
    if (offset % this.#clusterSize !== 0)
      throw new QdbError("MISALIGNED", `data of the guest is at ${offset}, no multiple of the cluster size`, where);
    // In a raw data file, the cluster at offset 0 is the first one of the disk.
    if (this.#data !== undefined) return table.high(entry) === 0 && table.low(entry) === 0 ? undefined : guest;
    return offset === 0 ? undefined : offset;
  }

  async #tableAt(offset: number, options: RunOptions): Promise<OffsetTable | undefined> {
    if (offset === 0) return undefined;
    if (this.#l2?.offset === offset) return this.#l2.table;
    const where = { structure: "L2 table", offset };
    if (offset % this.#clusterSize !== 0) throw new QdbError("MISALIGNED", `an L2 table is at ${offset}`, where);
    if (offset + this.#clusterSize > this.#source.size)
      throw new QdbError("OUT_OF_BOUNDS", "an L2 table runs past the end of the file", where);
    const table = new OffsetTable(await run(readRange(offset, this.#clusterSize), this.#source, options));
    this.#l2 = { offset, table };
    return table;
  }

  async #readData(offset: number, length: number, options: RunOptions): Promise<Uint8Array> {
    const source = this.#data ?? this.#source;
    if (offset + length <= source.size) return run(readRange(offset, length), source, options);
    // A file may end inside its last cluster: the rest of it reads as zeros. A cluster that is missing whole is no such case.
    const start = offset - (offset % this.#clusterSize);
    if (start >= source.size) {
      const message = `data of the guest is at ${start}, past the end of the file at ${source.size}`;
      throw new QdbError("OUT_OF_BOUNDS", message, { structure: "data cluster", offset: start });
    }
    const bytes = new Uint8Array(length);
    const inside = source.size - offset;
    if (inside > 0) bytes.set(await run(readRange(offset, inside), source, options));
    return bytes;
  }
}

function refuseUnreadable(header: Qcow2Header): void {
  const refuse = (what: string): QdbError =>
    new QdbError(
      "NOT_SUPPORTED",
      `the data of an image with ${what} is not read here; convert it to raw with qemu-img convert`,
    );
  if (header.backingFileOffset !== 0n) throw refuse("a backing file");
  if (header.cryptMethod !== 0) throw refuse("encryption");
  const { incompatibleFeatures, autoclearFeatures } = header;
  if ((incompatibleFeatures & INCOMPATIBLE.extendedL2) !== 0n) throw refuse("extended L2 entries");
  const isExternal = (incompatibleFeatures & INCOMPATIBLE.externalDataFile) !== 0n;
  if (isExternal && (autoclearFeatures & AUTOCLEAR_RAW_DATA) === 0n)
    throw refuse("an external data file that is not raw");
}

function nameOfDataFile(header: Qcow2Header, area: Uint8Array): string {
  for (const { type, data } of extensionsIn(area, header.headerLength, extensionsEnd(header))) {
    if (type !== DATA_FILE_NAME) continue;
    const name = decodeUtf8(data);
    if (name !== undefined) return name;
  }
  throw new QdbError("BAD_FIELD", "the image has an external data file, but not its name in UTF-8", {
    structure: "header extension",
  });
}
