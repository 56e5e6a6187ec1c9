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

/** Extents, asked which of them hold an offset; those that overlap answer together. */
export class Extents {
  readonly #starts: Float64Array;
  readonly #ends: Float64Array;
  readonly #positions: readonly (readonly number[])[];

  constructor(extents: readonly Extent[]) {
    const merged: { start: number; end: number; positions: number[] }[] = [];
    const sorted = extents.map((extent, position) => ({ ...extent, position })).filter((extent) => extent.length > 0);
    sorted.sort((a, b) => a.offset - b.offset);
    for (const { offset, length, position } of sorted) {
      const last = merged.at(-1);
      if (last === undefined || offset >= last.end) {
        merged.push({ start: offset, end: offset + length, positions: [position] });
      } else {
        last.end = Math.max(last.end, offset + length);
        last.positions.push(position);
      }
    }
    this.#starts = Float64Array.from(merged, ({ start }) => start);
    this.#ends = Float64Array.from(merged, ({ end }) => end);
    this.#positions = merged.map(({ positions }) => positions);
  }

  /** Places (in the list given) of the extents around an offset; none when nothing holds it. */
  at(offset: number): readonly number[] {
    const after = lowerBound(this.#starts, offset + 1);
    return after > 0 && offset < (this.#ends[after - 1] ?? 0) ? (this.#positions[after - 1] ?? []) : [];
  }
}
