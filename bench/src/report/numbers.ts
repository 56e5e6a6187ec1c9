import type { Spread } from "../measure/statistics.ts";

/** Returns a number with as many digits as say something: 0.034, 1.52, 15.2, 152. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(value < 1 ? 2 : 3)));
}

/** Returns the quartiles as text. */
export function quartiles({ low, high }: Spread): string {
  return `${short(low)}–${short(high)}`;
}

/** Returns nanoseconds as milliseconds. */
export function milliseconds(nanoseconds: number): string {
  return short(nanoseconds / 1e6);
}

/** Returns bytes as MiB; a question mark if they are not known. */
export function mebibytes(bytes: number | undefined): string {
  return bytes === undefined ? "?" : String(Math.round(bytes / 2 ** 20));
}
