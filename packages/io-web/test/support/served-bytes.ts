/** Returns bytes of the file that servers of the tests have, of which each place has others. */
export function servedBytes(offset: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => ((offset + at) * 31) ^ ((offset + at) >> 8));
}

/** Length of that file. */
export const SERVED_LENGTH = 300_000;
