// Bits as bytes of 0 and 1, and as files store them.

/** How a bitmap divides its disk. */
export interface Shape {
  /** Bytes of the disk. */
  readonly size: number;
  /** Bytes a bit. */
  readonly granularity: number;
}

export const EMPTY: Uint8Array = new Uint8Array(0);

/** Number of bits. */
export function granules({ size, granularity }: Shape): number {
  return Math.ceil(size / granularity);
}

/** The bits of a bitmap that touch bit `at` of another granularity. */
export function touching(source: Shape & { readonly bits: Uint8Array }, granularity: number, at: number): Uint8Array {
  const start = at * granularity;
  const end = Math.min(start + granularity, source.size);
  return source.bits.subarray(Math.floor(start / source.granularity), Math.ceil(end / source.granularity));
}

const packs = new WeakMap<Uint8Array, Uint8Array>();

/** Bits as a file stores them: bit n in byte n / 8, least significant first. Kept, since bits are not changed in place. */
export function pack(bits: Uint8Array): Uint8Array {
  const known = packs.get(bits);
  if (known !== undefined) return known;
  const bytes = new Uint8Array(Math.ceil(bits.length / 8));
  for (let bit = bits.indexOf(1); bit >= 0; bit = bits.indexOf(1, bit + 1)) bytes[bit >> 3]! |= 1 << (bit & 7);
  packs.set(bits, bytes);
  return bytes;
}

/** The other way round. */
export function unpack(bytes: Uint8Array, count: number): Uint8Array {
  const bits = new Uint8Array(count);
  for (let bit = 0; bit < count; bit++) bits[bit] = (bytes[bit >> 3]! >> (bit & 7)) & 1;
  return bits;
}

/** Whether every bit of the second is in the first; both as a file stores them. */
export function covers(bytes: Uint8Array, needed: Uint8Array): boolean {
  if (bytes.length !== needed.length) return false;
  for (let at = 0; at < needed.length; at++) if ((needed[at]! & ~bytes[at]!) !== 0) return false;
  return true;
}

/** Whether bytes are equal. */
export function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
