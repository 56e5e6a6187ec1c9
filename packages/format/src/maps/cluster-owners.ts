import { alignUp } from "../layout/numbers.ts";

/** A run of bytes that a structure owns, whole clusters. */
export interface Extent {
  readonly offset: number;
  readonly length: number;
}

/** Whether sorted numbers hold a value. */
function holds(sorted: Float64Array, value: number): boolean {
  const at = lowerBound(sorted, value);
  return at < sorted.length && sorted[at] === value;
}

/** First place whose number is not below the value. */
function lowerBound(sorted: Float64Array, value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? 0) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Tells of each number whether it occurs twice or more. Sorts what it is given: hostile files repeat millions of offsets. */
export function duplicates(numbers: Float64Array): (value: number) => boolean {
  numbers.sort();
  let used = 0;
  for (let index = 1; index < numbers.length; index++) {
    const value = numbers[index] ?? 0;
    // Written over what was compared already: the repeated values need no space of their own.
    if (value === numbers[index - 1] && (used === 0 || numbers[used - 1] !== value)) numbers[used++] = value;
  }
  if (used === 0) return () => false;
  // A copy, so that what was compared can be freed.
  const twice = numbers.slice(0, used);
  return (value) => holds(twice, value);
}

/** Extents, asked which of them hold an offset; those that overlap, even through others, are one group and answer together. */
export class Extents {
  readonly #offsets: Float64Array;
  /** Of each group: how many extents it has, its first byte, the end of its last. Plain numbers: hostile files have tens of thousands. */
  readonly #sizes: Uint32Array;
  readonly #starts: Float64Array;
  readonly #ends: Float64Array;

  /** Offsets and lengths in bytes; an extent owns whole clusters, one of length 0 none. */
  constructor(offsets: Float64Array, lengths: Float64Array, clusterSize: number) {
    const at = (position: number): number => offsets[position] ?? 0;
    const order = new Uint32Array(offsets.length).map((_, position) => position).filter((one) => lengths[one] !== 0);
    order.sort((a, b) => at(a) - at(b));
    const sizes = new Uint32Array(order.length);
    const starts = new Float64Array(order.length);
    const ends = new Float64Array(order.length);
    let last = -1;
    for (const position of order) {
      const end = at(position) + alignUp(lengths[position] ?? 0, clusterSize);
      if (last < 0 || at(position) >= (ends[last] ?? 0)) starts[++last] = at(position);
      ends[last] = Math.max(ends[last] ?? 0, end);
      sizes[last] = (sizes[last] ?? 0) + 1;
    }
    this.#offsets = offsets;
    this.#sizes = sizes.subarray(0, last + 1);
    this.#starts = starts.subarray(0, last + 1);
    this.#ends = ends.subarray(0, last + 1);
  }

  /** Number of groups. */
  get groups(): number {
    return this.#sizes.length;
  }

  /** The group around an offset; -1 when nothing holds it. */
  groupAt(offset: number): number {
    const group = lowerBound(this.#starts, offset + 1) - 1;
    return group >= 0 && offset < (this.#ends[group] ?? 0) ? group : -1;
  }

  /** Whether a run of bytes shares one with an extent. */
  touches(offset: number, length: number): boolean {
    const group = lowerBound(this.#starts, offset + length) - 1;
    return group >= 0 && offset < (this.#ends[group] ?? 0);
  }

  /** The group of an extent, by its place in the list given; its length must not be 0. */
  groupOf(position: number): number {
    return this.groupAt(this.#offsets[position] ?? 0);
  }

  /** Whether an extent shares a byte with another one: in a group of several each does. */
  isShared(position: number): boolean {
    return (this.#sizes[this.groupOf(position)] ?? 0) > 1;
  }
}
