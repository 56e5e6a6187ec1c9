import { numberAt } from "./elements.ts";

/**
 * Capacity of the first array of a {@link NumberList}. Each further array has twice the capacity of the one before, up to
 * {@link MAX_CAPACITY}.
 */
const FIRST_CAPACITY = 256;
const MAX_CAPACITY = 2 ** 18;

/** A list of numbers that grows as needed. It takes 8 bytes for each number, since a hostile file can name millions of clusters. */
export class NumberList {
  #full: Float64Array[] = [];
  #last = new Float64Array(0);
  #used = 0;

  push(value: number): void {
    if (this.#used === this.#last.length) {
      if (this.#used > 0) this.#full.push(this.#last);
      this.#last = new Float64Array(Math.min(Math.max(this.#last.length * 2, FIRST_CAPACITY), MAX_CAPACITY));
      this.#used = 0;
    }
    this.#last[this.#used++] = value;
  }

  /** Returns all numbers in one array, in which the list keeps them: sorting the array sorts the list. */
  array(): Float64Array {
    const [first] = this.#full;
    if (first !== undefined && this.#full.length === 1 && this.#used === 0) return first;
    const parts = [...this.#full, this.#last.subarray(0, this.#used)];
    const all = new Float64Array(parts.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    this.#full = [all];
    this.#last = new Float64Array(0);
    this.#used = 0;
    return all;
  }
}

/** Returns the index of the first number in `sorted` that is not less than `value`; the length of `sorted` if all are less. */
export function lowerBound(sorted: Float64Array, value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (numberAt(sorted, middle) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
