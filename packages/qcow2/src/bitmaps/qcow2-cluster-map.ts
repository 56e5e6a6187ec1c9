import type { BitmapShape } from "@qdb/format";
import type { ClusterKind, ClusterMap } from "@qdb/format/container";
import type { OffsetTable } from "../image/offset-table.ts";

/**
 * The cluster map of a bitmap, made of its bitmap table. Padding bits after the last bit are not checked, because QEMU accepts ones there
 * although qcow2 requires zeros.
 */
export class Qcow2ClusterMap implements ClusterMap {
  readonly shape: BitmapShape;
  readonly bitCount: number;
  readonly label: string;
  readonly clusterSize: number;
  readonly count: number;
  readonly #entries: OffsetTable;

  constructor(bitmap: Pick<ClusterMap, "shape" | "bitCount" | "label">, entries: OffsetTable, clusterSize: number) {
    this.shape = bitmap.shape;
    this.bitCount = bitmap.bitCount;
    this.label = bitmap.label;
    this.clusterSize = clusterSize;
    this.count = entries.count;
    this.#entries = entries;
  }

  kind(cluster: number): ClusterKind {
    if (this.#entries.offset(cluster) !== 0) return "data";
    return this.#entries.readsAsOnes(cluster) ? "ones" : "zeros";
  }

  offset(cluster: number): number {
    return this.#entries.offset(cluster);
  }

  runEnd(cluster: number, end: number): number {
    const kind = this.kind(cluster);
    const step = kind === "data" ? this.clusterSize : 0;
    const first = this.offset(cluster);
    let next = cluster + 1;
    while (next < end && this.kind(next) === kind && this.offset(next) === first + (next - cluster) * step) next++;
    return next;
  }

  /** Always undefined, because qcow2 has no checksums to verify. */
  verify(): undefined {
    return undefined;
  }
}
