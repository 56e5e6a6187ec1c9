/** What the bits of a bitmap look like. `last` has one dirty bit in each 64 KiB, the last one: a search for dirty bits reads all of it. */
export type Pattern = "random" | "clustered" | "last";

/** Two bitmaps of one kind, which are measured. */
export interface Cell {
  /** Size of the bits in MiB. */
  readonly mebibytes: number;
  /** Share of dirty bits, 0..1. */
  readonly density: number;
  readonly pattern: Pattern;
}

/** Number of bits. */
export function bitsOf({ mebibytes }: Cell): number {
  return mebibytes * 2 ** 23;
}

/** A text that names the cell, such as `32 MiB, 1 % clustered`. */
export function nameOf({ mebibytes, density, pattern }: Cell): string {
  if (pattern === "last") return `${mebibytes} MiB, one bit in 64 KiB`;
  const percent = Number((density * 100).toPrecision(3));
  return `${mebibytes} MiB, ${percent} % ${pattern}`;
}

/** The shares of dirty bits that are compared. */
export const DENSITIES = [0.001, 0.01, 0.1, 0.5] as const;
