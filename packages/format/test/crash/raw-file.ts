// A file as bytes, taken apart and put together by the tables of spec/qdb.md and nothing of the library.
import { crc32 } from "node:zlib";

/** A bitmap's entry in the table. */
export interface RawEntry {
  readonly name: string;
  /** File offset of the entry. */
  readonly at: number;
  readonly l1Offset: number;
  readonly l1Size: number;
  readonly l1Checksum: number;
  readonly bits: number;
}

/** What an L1 entry says. */
export interface RawCluster {
  readonly descriptor: bigint;
  readonly offset: number;
  readonly checksum: number;
}

const OFFSET_BITS = 0x00ff_ffff_ffff_fe00n;

/** Which header a reader takes: the primary, with an equal mirror or another one; or the mirror. A draft has but one. */
export function headersOf(bytes: Uint8Array): "equal" | "different" | "mirror" {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint32(0) === 0x51444200 && view.getUint32(24) === 28 && view.getUint32(28) === 0) return "equal";
  const area = bytes.slice(0, 4096);
  area.fill(0, 68, 72);
  if (view.getUint32(0) !== 0x51444200 || crc32(area) !== view.getUint32(68)) return "mirror";
  const mirror = Math.max(4096, 2 ** view.getUint32(8));
  return Buffer.compare(bytes.subarray(0, 4096), bytes.subarray(mirror, mirror + 4096)) === 0 ? "equal" : "different";
}

/** A file whose header and table can be walked; bytes are changed in place. */
export class RawFile {
  readonly bytes: Uint8Array;
  readonly isDraft: boolean;
  readonly clusterSize: number;
  readonly entries: readonly RawEntry[];
  /** Where structures other than header and mirror begin. */
  readonly floor: number;
  readonly tableOffset: number;
  readonly tableSize: number;
  readonly #view: DataView;

  /** `headerAt` is where the header to go by is: 0, or the place of the mirror. */
  constructor(bytes: Uint8Array, headerAt = 0) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.isDraft = this.#view.getUint32(headerAt + 24) === 28;
    this.clusterSize = 2 ** this.#view.getUint32(headerAt + 8);
    this.floor = this.isDraft ? this.clusterSize : 2 * this.mirror;
    this.tableOffset = Number(this.#view.getBigUint64(headerAt + 16));
    const entries: RawEntry[] = [];
    let at = this.tableOffset;
    for (let left = this.#view.getUint32(headerAt + 12); left > 0; left--) {
      const entry = this.#entryAt(at);
      entries.push(entry);
      at += Math.ceil((40 + this.#view.getUint32(at + 36) + this.#view.getUint16(at + 26)) / 8) * 8;
    }
    this.entries = entries;
    this.tableSize = at - this.tableOffset;
  }

  /** File offset of the mirror. */
  get mirror(): number {
    return Math.max(this.clusterSize, 4096);
  }

  #entryAt(at: number): RawEntry {
    const view = this.#view;
    const extra = view.getUint32(at + 36);
    const nameAt = at + 40 + extra;
    const granularity = view.getUint32(at + 12);
    return {
      name: Buffer.from(this.bytes.subarray(nameAt, nameAt + view.getUint16(at + 26))).toString(),
      at,
      l1Offset: Number(view.getBigUint64(at)),
      l1Size: view.getUint32(at + 8),
      l1Checksum: view.getUint32(at + 28),
      bits: Math.ceil(Number(view.getBigUint64(at + 16)) / granularity),
    };
  }

  /** Length of an L1 area in bytes. */
  areaLength({ l1Size }: RawEntry): number {
    return this.isDraft ? l1Size * 8 : Math.ceil((l1Size * 12) / 8) * 8;
  }

  /** Whether an L1 area is there and matches its checksum. */
  hasArea(entry: RawEntry): boolean {
    const { l1Offset, l1Checksum } = entry;
    const end = l1Offset + this.areaLength(entry);
    if (l1Offset < this.floor || end > this.bytes.length) return false;
    return this.isDraft || crc32(this.bytes.subarray(l1Offset, end)) === l1Checksum;
  }

  cluster(entry: RawEntry, number: number): RawCluster {
    const at = entry.l1Offset + number * 8;
    const descriptor = this.#view.getBigUint64(at);
    const checksum = this.isDraft ? 0 : this.#view.getUint32(entry.l1Offset + entry.l1Size * 8 + number * 4);
    return { descriptor, offset: Number(descriptor & OFFSET_BITS), checksum };
  }

  setCluster(entry: RawEntry, number: number, { descriptor, checksum }: Omit<RawCluster, "offset">): void {
    this.#view.setBigUint64(entry.l1Offset + number * 8, descriptor);
    if (!this.isDraft) this.#view.setUint32(entry.l1Offset + entry.l1Size * 8 + number * 4, checksum);
  }

  setU16(at: number, value: number): void {
    this.#view.setUint16(at, value);
  }

  setU32(at: number, value: number): void {
    this.#view.setUint32(at, value);
  }

  setU64(at: number, value: number): void {
    this.#view.setBigUint64(at, BigInt(value));
  }

  /** Makes every checksum from the L1 areas given up to the header right, in the primary and in the mirror. */
  seal(areas: readonly RawEntry[]): void {
    if (this.isDraft) return;
    for (const entry of areas) {
      const area = this.bytes.subarray(entry.l1Offset, entry.l1Offset + this.areaLength(entry));
      this.#view.setUint32(entry.at + 28, crc32(area));
    }
    const table = this.bytes.subarray(this.tableOffset, this.tableOffset + this.tableSize);
    this.#view.setUint32(64, this.tableSize === 0 ? 0 : crc32(table));
    this.#view.setUint32(68, 0);
    this.#view.setUint32(68, crc32(this.bytes.subarray(0, 4096)));
    this.bytes.copyWithin(this.mirror, 0, 4096);
  }

  /** The bits of a bitmap, where every checksum from its entry down proves them; in draft form, where they can be read. */
  proven(entry: RawEntry): Uint8Array | undefined {
    const length = Math.ceil(entry.bits / 8);
    const needed = Math.ceil(length / this.clusterSize);
    if (entry.l1Size !== needed) return undefined;
    const bits = new Uint8Array(needed * this.clusterSize);
    if (needed > 0 && !this.hasArea(entry)) return undefined;
    for (let number = 0; number < needed; number++) {
      const { descriptor, offset, checksum } = this.cluster(entry, number);
      const at = number * this.clusterSize;
      if ((descriptor & 3n) === 2n && !this.isDraft) bits.fill(0xff, at, at + this.clusterSize);
      if ((descriptor & 3n) !== 0n || descriptor === 0n) continue;
      if (offset % this.clusterSize !== 0 || offset < this.floor || offset + this.clusterSize > this.bytes.length)
        return undefined;
      const data = this.bytes.subarray(offset, offset + this.clusterSize);
      if (!this.isDraft && crc32(data) !== checksum) return undefined;
      bits.set(data, at);
    }
    const result = bits.slice(0, length);
    if (entry.bits % 8 !== 0) result[length - 1]! &= (1 << (entry.bits % 8)) - 1;
    return result;
  }

  /**
   * Names of the bitmaps with a reference to a cluster that another reference names too. Not all of them are in error for that: a
   * reference behind the end of the file owns nothing before the file is longer, nor does one in an L1 area that shares its place.
   */
  twins(): ReadonlySet<string> {
    const named = new Map<number, string[]>();
    const note = (offset: number, length: number, name: string): void => {
      for (let at = offset; at < offset + length; at += this.clusterSize)
        named.set(at, [...(named.get(at) ?? []), name]);
    };
    note(0, this.floor, "");
    note(this.tableOffset, this.tableSize, "");
    for (const entry of this.entries) {
      note(entry.l1Offset, this.areaLength(entry), entry.name);
      if (!this.hasArea(entry)) continue;
      for (let number = 0; number < entry.l1Size; number++) {
        const { offset } = this.cluster(entry, number);
        if (offset !== 0) note(offset, this.clusterSize, entry.name);
      }
    }
    return new Set([...named.values()].filter((names) => names.length > 1).flat());
  }

  /** Every place where a structure of the file stands. */
  structures(): { readonly what: "table" | "area" | "data"; readonly offset: number; readonly length: number }[] {
    const found: { what: "table" | "area" | "data"; offset: number; length: number }[] = [];
    if (this.tableSize > 0) found.push({ what: "table", offset: this.tableOffset, length: this.tableSize });
    for (const entry of this.entries) {
      if (entry.l1Size === 0) continue;
      found.push({ what: "area", offset: entry.l1Offset, length: this.areaLength(entry) });
      if (!this.hasArea(entry)) continue;
      for (let number = 0; number < entry.l1Size; number++) {
        const { offset } = this.cluster(entry, number);
        if (offset !== 0) found.push({ what: "data", offset, length: this.clusterSize });
      }
    }
    return found;
  }
}
