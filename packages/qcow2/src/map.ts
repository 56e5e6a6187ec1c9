import type { BitmapShape, ClusterKind, ClusterMap } from "@qdb/format";
import type { TableEntries } from "./table-entries.ts";

/** The cluster map of a bitmap, over its table in the file. Bits behind the last one are not checked: qcow2 requires 0, QEMU accepts others. */
export class Qcow2ClusterMap implements ClusterMap {
  readonly shape: BitmapShape;
  readonly bitCount: number;
  readonly label: string;
  readonly clusterSize: number;
  readonly count: number;
  readonly #entries: TableEntries;

  constructor(bitmap: Pick<ClusterMap, "shape" | "bitCount" | "label">, entries: TableEntries, clusterSize: number) {
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

  /** Never finds a problem: qcow2 has no checksums. */
  verify(): undefined {
    return undefined;
  }
}
