// Bitmaps of files in plain loops, to compare with what programs have made.

/** A bitmap: its bits, the least significant bit of a byte first, and how much of a disk a bit stands for. */
export interface PlainBitmap {
  /** Bytes a bit. */
  readonly granularity: number;
  readonly bits: Buffer;
}

/** The bitmaps of a file by name. */
export type PlainBitmaps = ReadonlyMap<string, PlainBitmap>;

/** Returns the bits that are in at least one of two bitmaps. */
export function union(a: Buffer, b: Buffer): Buffer {
  const result = Buffer.from(a);
  for (let index = 0; index < result.length; index++) result[index] = (a[index] as number) | (b[index] as number);
  return result;
}

/** Calls `take` with each dirty bit, in ascending order. */
function eachDirty(bits: Buffer, take: (bit: number) => void): void {
  for (let index = 0; index < bits.length; index++)
    for (let byte = bits[index] as number; byte !== 0; byte &= byte - 1)
      take(index * 8 + 31 - Math.clz32(byte & -byte));
}

/** Returns the number of dirty bits. */
export function countOf(bits: Buffer): number {
  let count = 0;
  eachDirty(bits, () => count++);
  return count;
}

/** Returns bits of another granularity: whatever is touched by a dirty bit is dirty. */
export function regranulated({ bits, granularity }: PlainBitmap, target: number): PlainBitmap {
  const length = (bits.length * granularity) / target;
  const result = Buffer.alloc(length);
  const mark = (bit: number): void => {
    const index = Math.floor(bit / 8);
    result[index] = (result[index] as number) | (1 << (bit % 8));
  };
  const finer = granularity / target;
  if (finer > 1)
    eachDirty(bits, (bit) => {
      for (let part = 0; part < finer; part++) mark(bit * finer + part);
    });
  else eachDirty(bits, (bit) => mark(Math.floor(bit * finer)));
  return { granularity: target, bits: result };
}

/** @throws {Error} if bitmaps are not the ones that they should be. Their bits may have zeros behind their end. */
export function requireSame(actual: PlainBitmaps, expected: PlainBitmaps): void {
  const names = (bitmaps: PlainBitmaps): string => [...bitmaps.keys()].sort().join(", ");
  if (names(actual) !== names(expected)) throw new Error(`has the bitmaps ${names(actual)}, not ${names(expected)}`);
  for (const [name, { granularity, bits }] of expected) {
    const found = actual.get(name);
    if (found?.granularity !== granularity) throw new Error(`${name} has the granularity ${found?.granularity}`);
    const rest = found.bits.subarray(bits.length);
    if (!found.bits.subarray(0, bits.length).equals(bits) || rest.some((byte) => byte !== 0))
      throw new Error(`${name} has other bits`);
  }
}
