// Writes digits and short texts directly into bytes. A map can be hundreds of megabytes long, and building it from strings takes seconds
// more.

/** Writes a number at an offset of a buffer and returns the offset after it. */
export type PutNumber = (at: number, value: number) => number;

const E4 = 10_000;
/** The four ASCII digits of each number below 10000, packed into one big-endian word. Made when it is first needed. */
let fourDigits: Int32Array | undefined;

function makeFourDigits(): Int32Array {
  return Int32Array.from({ length: E4 }, (_, value) => {
    const digit = (unit: number): number => 0x30 + (Math.floor(value / unit) % 10);
    return (digit(1000) << 24) | (digit(100) << 16) | (digit(10) << 8) | digit(1);
  });
}

/**
 * Returns a function that writes whole numbers from 0 to 2^53 - 1 in decimal. It may also overwrite up to three bytes after the number. It
 * is a closure, because V8 treats the variables of a closure as constants; that is twice as fast as a class.
 */
export function decimalWriter(view: DataView): PutNumber {
  const E8 = 100_000_000;
  fourDigits ??= makeFourDigits();
  const quads = fourDigits;

  // `| 0` truncates a number, and makes V8 keep it as a 32-bit integer. All numbers but the parameter of the returned function are below
  // 2^31.

  /** Writes a number below 10000 without leading zeros. */
  const putStart: PutNumber = (at, value) => {
    const digits = value < 100 ? (value < 10 ? 1 : 2) : value < 1000 ? 3 : 4;
    view.setInt32(at, (quads[value] as number) << (32 - 8 * digits));
    return at + digits;
  };

  const putBelowE8: PutNumber = (at, value) => {
    if (value < E4) return putStart(at, value);
    const high = (value / E4) | 0;
    const next = putStart(at, high);
    view.setInt32(next, quads[value - high * E4] as number);
    return next + 4;
  };

  return (at, value) => {
    if (value < E8) return putBelowE8(at, value | 0);
    // The quotient is below 2^27. Its distance from a whole number is 0 or at least 1e-8, and the rounding error of the division is smaller
    // than that. So truncation gives the exact quotient.
    const high = (value / E8) | 0;
    const low = (value - high * E8) | 0;
    const next = putBelowE8(at, high);
    const middle = (low / E4) | 0;
    view.setInt32(next, quads[middle] as number);
    view.setInt32(next + 4, quads[low - middle * E4] as number);
    return next + 8;
  };
}

/** Returns the number of decimal digits of a whole number; 10 if it has more than 10. */
export function decimalDigits(value: number): number {
  if (value >= 1e9) return 10;
  if (value < 1e4) return value < 100 ? (value < 10 ? 1 : 2) : value < 1000 ? 3 : 4;
  if (value < 1e7) return value < 1e6 ? (value < 1e5 ? 5 : 6) : 7;
  return value < 1e8 ? 8 : 9;
}

/** Writes an ASCII text at an offset of a buffer, and returns the offset after it. */
export function putText(bytes: Uint8Array, at: number, text: string): number {
  for (let index = 0; index < text.length; index++) bytes[at + index] = text.charCodeAt(index);
  return at + text.length;
}

/**
 * Returns the bytes of an ASCII text as big-endian doubles, so that eight bytes can be written at once. The bytes of a NaN could change
 * when it is copied, but ASCII bytes never form a NaN.
 */
export function wordsOf(text: string): Float64Array {
  const view = new DataView(new ArrayBuffer(Math.ceil(text.length / 8) * 8));
  for (let index = 0; index < text.length; index++) view.setUint8(index, text.charCodeAt(index));
  return Float64Array.from({ length: view.byteLength / 8 }, (_, word) => view.getFloat64(word * 8));
}
