import fc from "fast-check";

/** Runs are the same each time, so that a failure reproduces; QDB_SEED looks elsewhere. A failure prints its seed and path. */
const seed = Number(process.env.QDB_SEED ?? 20141114);

/** Options of a property: so many runs from the pinned seed. */
export function runs(numRuns: number): { readonly seed: number; readonly numRuns: number } {
  return { seed, numRuns: numRuns * Number(process.env.QDB_RUNS ?? 1) };
}

export { fc };
