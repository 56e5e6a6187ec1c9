import type { BitmapShape } from "../bitmap/shape.ts";
import type { ClusterMap } from "../bits/cluster-map.ts";
import type { Problem } from "../errors.ts";
import type { Crc32 } from "../ports/digest.ts";
import type { BitmapEntry } from "../records/bitmap-entry.ts";
import { type ClusterKind, type L1Area, l1Problem } from "../records/l1.ts";

/** The cluster map of a QDB bitmap, over an L1 area that was validated. */
export class QdbClusterMap implements ClusterMap {
  readonly entry: BitmapEntry;
  readonly area: L1Area;
  readonly areaOffset: number;
  readonly clusterSize: number;
  readonly count: number;
  readonly #crc32: Crc32;
  #bitCount: number | undefined;

  constructor(entry: BitmapEntry, area: L1Area, areaOffset: number, clusterSize: number, crc32: Crc32) {
    this.entry = entry;
    this.area = area;
    this.areaOffset = areaOffset;
    this.clusterSize = clusterSize;
    this.count = area.count;
    this.#crc32 = crc32;
  }

  get bitCount(): number {
    this.#bitCount ??= this.entry.bitCount;
    return this.#bitCount;
  }

  get shape(): BitmapShape {
    const { size, granularity } = this.entry.fields;
    return { size, granularity };
  }

  get label(): string {
    return this.entry.label;
  }

  kind(cluster: number): ClusterKind {
    return this.area.kind(cluster);
  }

  offset(cluster: number): number {
    return this.area.offset(cluster);
  }

  verify(cluster: number, bytes: Uint8Array): Problem | undefined {
    const expected = this.area.checksum(cluster);
    if (expected === undefined || this.#crc32(bytes) === expected) return undefined;
    const problem = l1Problem(
      "BAD_CHECKSUM",
      this.label,
      this.areaOffset,
      cluster,
      `the data cluster at ${this.offset(cluster)} does not match its checksum; qdb check -r makes its range dirty`,
    );
    return { ...problem, where: { ...problem.where, structure: "data cluster", offset: this.offset(cluster) } };
  }
}
