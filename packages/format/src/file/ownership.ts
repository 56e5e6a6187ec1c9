/** A run of bytes that a structure owns, whole clusters. */
export interface Extent {
  readonly offset: number;
  readonly length: number;
}

/** Places (in the list given) of the extents that share a byte with another one. Empty extents share none. */
export function overlapping(extents: readonly Extent[]): ReadonlySet<number> {
  const order = extents.map((_, position) => position).filter((position) => (extents[position]?.length ?? 0) > 0);
  const at = (position: number | undefined): Extent => extents[position ?? 0] ?? { offset: 0, length: 0 };
  order.sort((a, b) => at(a).offset - at(b).offset);
  const lost = new Set<number>();
  let reach = -1;
  let reacher = -1;
  for (const position of order) {
    const { offset, length } = at(position);
    if (offset < reach) {
      lost.add(position);
      lost.add(reacher);
    }
    if (offset + length > reach) {
      reach = offset + length;
      reacher = position;
    }
  }
  return lost;
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
  const twice = numbers.subarray(0, used);
  return used === 0 ? () => false : (value) => holds(twice, value);
}

/** Extents, asked which of them hold an offset; those that overlap, even through others, are one group and answer together. */
export class Extents {
  /** Places in the list given, by offset; a group's stand together. Plain numbers: hostile files have tens of thousands. */
  readonly #order: Uint32Array;
  /** Of each group: where its places begin in the order, its first byte, the end of its last. */
  readonly #firsts: Uint32Array;
  readonly #starts: Float64Array;
  readonly #ends: Float64Array;

  constructor(extents: readonly Extent[]) {
    const at = (position: number): Extent => extents[position] ?? { offset: 0, length: 0 };
    this.#order = Uint32Array.from(extents.keys()).filter((position) => at(position).length > 0);
    this.#order.sort((a, b) => at(a).offset - at(b).offset);
    const firsts = new Uint32Array(this.#order.length);
    const starts = new Float64Array(this.#order.length);
    const ends = new Float64Array(this.#order.length);
    let groups = 0;
    for (const [place, position] of this.#order.entries()) {
      const { offset, length } = at(position);
      const end = ends[groups - 1] ?? 0;
      if (groups > 0 && offset < end) {
        ends[groups - 1] = Math.max(end, offset + length);
        continue;
      }
      firsts[groups] = place;
      starts[groups] = offset;
      ends[groups] = offset + length;
      groups++;
    }
    this.#firsts = firsts.subarray(0, groups);
    this.#starts = starts.subarray(0, groups);
    this.#ends = ends.subarray(0, groups);
  }

  /** The group around an offset; -1 when nothing holds it. */
  groupAt(offset: number): number {
    const group = lowerBound(this.#starts, offset + 1) - 1;
    return group >= 0 && offset < (this.#ends[group] ?? 0) ? group : -1;
  }

  /** Places (in the list given) of the extents of a group. */
  positions(group: number): Uint32Array {
    return this.#order.subarray(this.#firsts[group], this.#firsts[group + 1]);
  }
}
