import { QdbError } from "@qdb/format";
import { lowerBound, NumberList, numberAt } from "@qdb/format/internal";

/** Where clusters may be allocated. All numbers are cluster numbers. */
export interface FreeClusters {
  /** Clusters inside the file to which nothing refers and whose refcount is 0, in ascending order. */
  readonly inside: Float64Array;
  /** The first cluster after all to which anything refers or that any refcount counts, and after the end of the file. */
  readonly end: number;
  /** The first cluster that cannot be allocated because the file cannot grow; Infinity for a file that can. */
  readonly limit: number;
  /** Clusters from `end` on to which a damaged bitmap refers, in ascending order. They are never allocated. */
  readonly named: Float64Array;
}

/** Allocates free clusters of an image. Each cluster is allocated at most once. */
export class ClusterSpace {
  readonly #clusterSize: number;
  readonly #starts: Float64Array;
  readonly #ends: Float64Array;
  readonly #allocated = new NumberList();
  /** For each number of clusters that was allocated before, the first run that can be long enough: runs only become shorter. */
  readonly #firstRuns = new Map<number, number>();

  constructor(free: FreeClusters, clusterSize: number) {
    this.#clusterSize = clusterSize;
    const starts = new NumberList();
    const ends = new NumberList();
    for (const [start, end] of runsOf(free)) {
      starts.push(start);
      ends.push(end);
    }
    this.#starts = starts.array();
    this.#ends = ends.array();
  }

  /**
   * Allocates `length` bytes, rounded up to whole clusters, in one piece. Returns the file offset.
   * @throws {QdbError} LIMIT if there is no free piece of that length, which happens on a device only
   */
  allocate(length: number): number {
    const count = Math.ceil(length / this.#clusterSize);
    for (let run = this.#firstRuns.get(count) ?? 0; run < this.#starts.length; run++) {
      const start = numberAt(this.#starts, run);
      if (start + count > numberAt(this.#ends, run)) continue;
      this.#starts[run] = start + count;
      this.#firstRuns.set(count, run);
      for (let cluster = start; cluster < start + count; cluster++) this.#allocated.push(cluster);
      return start * this.#clusterSize;
    }
    const message = `the image has no free space of ${count * this.#clusterSize} bytes, and a device cannot grow; make the device larger`;
    throw new QdbError("LIMIT", message, { structure: "file" });
  }

  /** The clusters that were allocated so far, in the order of their allocation. */
  allocated(): Float64Array {
    return this.#allocated.array();
  }
}

function* runsOf({ inside, end, limit, named }: FreeClusters): Generator<readonly [start: number, end: number], void> {
  for (let at = 0, next = 0; at < inside.length; at = next) {
    const start = numberAt(inside, at);
    for (next = at + 1; inside[next] === start + next - at; next++);
    yield [start, start + next - at];
  }
  let start = end;
  for (let at = lowerBound(named, end); at < named.length; at++) {
    const cluster = numberAt(named, at);
    if (cluster > start && start < limit) yield [start, Math.min(cluster, limit)];
    start = Math.max(start, cluster + 1);
  }
  if (start < limit) yield [start, limit];
}
