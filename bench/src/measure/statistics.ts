import { itemAt, numberAt } from "@qdb/format/internal";

/** The median and the quartiles of some numbers. */
export interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

/** Returns the median and the quartiles, interpolated between neighbours. @throws {RangeError} if there are no numbers */
export function spreadOf(numbers: readonly number[]): Spread {
  const sorted = Float64Array.from(numbers).sort();
  const at = (share: number): number => {
    const place = share * (sorted.length - 1);
    const low = Math.floor(place);
    const part = place - low;
    const value = numberAt(sorted, low);
    return part === 0 ? value : value + part * (numberAt(sorted, low + 1) - value);
  };
  return { median: at(0.5), low: at(0.25), high: at(0.75) };
}

/** Returns the spread of the ratios of times that were taken in the same round. */
export function ratioOf(times: readonly number[], others: readonly number[]): Spread {
  if (times.length !== others.length) throw new RangeError("the times are not pairs");
  return spreadOf(times.map((time, round) => time / itemAt(others, round)));
}
