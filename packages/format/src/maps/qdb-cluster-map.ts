import type { BitmapShape } from "../bitmap/shape.ts";
import type { ClusterMap } from "../bits/cluster-map.ts";
import type { Problem } from "../errors.ts";
import { fileOffset } from "../layout/numbers.ts";
import type { Crc32 } from "../ports/digest.ts";
import type { BitmapEntry } from "../records/bitmap-entry.ts";
import type { Form } from "../records/header.ts";
import {
  type ClusterKind,
  hasReservedBits,
  isContradictory,
  L1_CHECKSUM,
  L1_ENTRY,
  L1Runs,
  l1AreaSize,
  l1EntryOffset,
  l1Kind,
  l1Offset,
  l1Problem,
  l1RunEnd,
} from "../records/l1.ts";

/** The runs of fewer entries are not kept, but found each time. */
const MIN_RUNS = 64;

/** Properties of a file that all cluster maps of the file share. */
export interface MapContext {
  readonly form: Form;
  /** Bytes per cluster. */
  readonly clusterSize: number;
  readonly crc32: Crc32;
}

/**
 * The cluster map of a QDB bitmap: its table entry and its L1 area. L1 entries are decoded on access, since an L1 area can have a million.
 * The class has few fields, since a file can have 65,535 bitmaps.
 */
export class QdbClusterMap implements ClusterMap {
  readonly entry: BitmapEntry;
  readonly count: number;
  readonly #view: DataView;
  readonly #start: number;
  readonly #context: MapContext;
  #runs: L1Runs | undefined;

  /** The L1 area begins at byte `start` of `view`. Several L1 areas may be in one view, since each view takes memory. */
  constructor(entry: BitmapEntry, view: DataView, start: number, context: MapContext) {
    this.entry = entry;
    this.count = entry.l1Size;
    this.#view = view;
    this.#start = start;
    this.#context = context;
  }

  /** Returns a map of the same L1 area for another table entry: that of the bitmap in the next generation. */
  withEntry(entry: BitmapEntry): QdbClusterMap {
    return new QdbClusterMap(entry, this.#view, this.#start, this.#context);
  }

  get label(): string {
    return this.entry.label;
  }

  get shape(): BitmapShape {
    return this.entry.decodeShape();
  }

  get bitCount(): number {
    return this.entry.bitCount;
  }

  get clusterSize(): number {
    return this.#context.clusterSize;
  }

  /** File offset of the L1 area in bytes; 0 if the bitmap has no L1 area. */
  get areaOffset(): number {
    return fileOffset(this.entry.decodeFields().l1TableOffset);
  }

  /** The bytes of the L1 area, as a view: they are not copied. */
  get areaBytes(): Uint8Array {
    const { buffer, byteOffset } = this.#view;
    return new Uint8Array(buffer, byteOffset + this.#start, l1AreaSize(this.count, this.#context.form));
  }

  /** The padding after the checksums of the L1 area. In draft form it is empty. */
  get areaPadding(): Uint8Array {
    const checksums = this.#context.form === "full" ? this.count * L1_CHECKSUM.size : 0;
    return this.areaBytes.subarray(this.count * L1_ENTRY.size + checksums);
  }

  kind(cluster: number): ClusterKind {
    return l1Kind(this.#view, this.#start + l1EntryOffset(cluster, this.count));
  }

  /**
   * Returns the file offset in the L1 entry of a cluster, in bytes; 0 if the entry has no offset. A preallocated cluster has an offset too.
   */
  offset(cluster: number): number {
    return l1Offset(this.#view, this.#start + l1EntryOffset(cluster, this.count));
  }

  /**
   * Returns the CRC-32 that the L1 area has for a cluster; undefined in draft form, which has no checksums.
   * @throws {RangeError} if `cluster` is past the last cluster
   */
  checksum(cluster: number): number | undefined {
    if (this.#context.form === "draft") return undefined;
    const { count } = this;
    // The checksums follow the entries: a checksum is this many bytes after its entry.
    const distance = (count - cluster) * L1_ENTRY.size + cluster * L1_CHECKSUM.size;
    return this.#view.getUint32(this.#start + l1EntryOffset(cluster, count) + distance);
  }

  /**
   * Returns the cluster after the run that begins with `cluster`, at most `end`: clusters that read the same and are not stored, or that are
   * stored one behind the other.
   */
  runEnd(cluster: number, end: number = this.count): number {
    const { count, clusterSize } = this;
    if (count < MIN_RUNS) return l1RunEnd(this.#view, this.#start, cluster, Math.min(end, count), clusterSize);
    this.#runs ??= new L1Runs(this.#view, this.#start, count, clusterSize);
    return Math.min(end, this.#runs.end(cluster));
  }

  /** Returns the CRC-32s of all clusters, as big-endian numbers; undefined in draft form, which has no checksums. */
  get checksums(): DataView | undefined {
    if (this.#context.form === "draft") return undefined;
    const { buffer, byteOffset } = this.#view;
    const { count } = this;
    return new DataView(buffer, byteOffset + this.#start + count * L1_ENTRY.size, count * L1_CHECKSUM.size);
  }

  /** Whether reserved bits are set in the L1 entry of a cluster. Bit 1 is reserved unless `allOnes`, the all-ones feature, is on. */
  hasReservedBits(cluster: number, allOnes: boolean): boolean {
    return hasReservedBits(this.#view, this.#start + l1EntryOffset(cluster, this.count), allOnes);
  }

  /** Whether the L1 entry of a cluster has bit 1, "reads as ones", together with bit 0 or a file offset, which the format forbids. */
  isContradictory(cluster: number): boolean {
    return isContradictory(this.#view, this.#start + l1EntryOffset(cluster, this.count));
  }

  verify(cluster: number, bytes: Uint8Array): Problem | undefined {
    const expected = this.checksum(cluster);
    if (expected === undefined || this.#context.crc32(bytes) === expected) return undefined;
    const offset = this.offset(cluster);
    const problem = l1Problem(
      "BAD_CHECKSUM",
      this.label,
      this.areaOffset,
      cluster,
      `the data cluster at ${offset} does not match its checksum; qdb check -r makes its range dirty`,
    );
    return { ...problem, where: { ...problem.where, structure: "data cluster", offset } };
  }
}
