import { numberAt, wordAt } from "../elements.ts";
import { alignUp } from "../layout/numbers.ts";
import { lowerBound } from "../number-list.ts";

/**
 * A list of ranges of a file, each owned by one structure. Ranges that overlap, directly or through other ranges, form a group. A look-up
 * by file offset finds the group, not the single range.
 */
export class OwnedRanges {
  readonly #offsets: Float64Array;
  readonly #lengths: Float64Array;
  /**
   * For each group, in the order of offsets: number of ranges, first byte, end of the last range. Typed arrays, since a file can have
   * 65,536 groups.
   */
  readonly #sizes: Uint32Array;
  readonly #starts: Float64Array;
  readonly #ends: Float64Array;

  /**
   * `offsets` and `lengths` are in bytes, one pair for each range. A range owns whole clusters, so that its length is rounded up. A range
   * of length 0 owns nothing.
   */
  constructor(offsets: Float64Array, lengths: Float64Array, clusterSize: number) {
    const order = new Uint32Array(offsets.length).map((_, at) => at).filter((at) => lengths[at] !== 0);
    order.sort((a, b) => numberAt(offsets, a) - numberAt(offsets, b));
    const sizes = new Uint32Array(order.length);
    const starts = new Float64Array(order.length);
    const ends = new Float64Array(order.length);
    let last = -1;
    for (const at of order) {
      const start = numberAt(offsets, at);
      const end = start + alignUp(numberAt(lengths, at), clusterSize);
      if (last < 0 || start >= numberAt(ends, last)) starts[++last] = start;
      ends[last] = Math.max(numberAt(ends, last), end);
      sizes[last] = wordAt(sizes, last) + 1;
    }
    this.#offsets = offsets;
    this.#lengths = lengths;
    this.#sizes = sizes.subarray(0, last + 1);
    this.#starts = starts.subarray(0, last + 1);
    this.#ends = ends.subarray(0, last + 1);
  }

  /** Returns the file offset of the range of index `at`, in bytes. */
  offset(at: number): number {
    return numberAt(this.#offsets, at);
  }

  /** Returns the length of the range of index `at` in bytes, not rounded up. */
  length(at: number): number {
    return numberAt(this.#lengths, at);
  }

  /** Number of groups. */
  get groups(): number {
    return this.#sizes.length;
  }

  /** Returns the index of the group that owns the byte at a file offset; -1 if no range owns that byte. */
  groupAt(offset: number): number {
    const group = lowerBound(this.#starts, offset + 1) - 1;
    return group >= 0 && offset < numberAt(this.#ends, group) ? group : -1;
  }

  /** Passes the index of each group that owns bytes in the range [start, end) of the file to `visit`. */
  eachGroup(start: number, end: number, visit: (group: number) => void): void {
    for (let group = lowerBound(this.#starts, end) - 1; group >= 0 && numberAt(this.#ends, group) > start; group--)
      visit(group);
  }

  /** Whether the bytes [offset, offset + length) of the file overlap a range of the list. */
  overlaps(offset: number, length: number): boolean {
    const group = lowerBound(this.#starts, offset + length) - 1;
    return group >= 0 && offset < numberAt(this.#ends, group);
  }

  /** Whether the range of index `at` overlaps another range. The length of the range must not be 0. */
  isShared(at: number): boolean {
    return wordAt(this.#sizes, this.groupAt(this.offset(at))) > 1;
  }
}
