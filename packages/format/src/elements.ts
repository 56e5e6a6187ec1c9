// Elements of lists and typed arrays. An index past the end is a bug of this library, and throws: a missing element that read as
// zero would be a clean bit, an offset of 0 or a checksum of 0. One function for each kind of array keeps hot loops fast.

function missing(index: number, length: number): never {
  throw new RangeError(`element ${index} of ${length} was asked for`);
}

/** An element of a list. @throws {RangeError} past its end */
export function itemAt<T>(items: readonly T[], index: number): T {
  const item = items[index];
  // A list may hold undefined itself.
  if (item === undefined && !(index in items)) missing(index, items.length);
  return item as T;
}

/** A byte. @throws {RangeError} past the end of the bytes */
export function byteAt(bytes: Uint8Array, index: number): number {
  const byte = bytes[index];
  return byte === undefined ? missing(index, bytes.length) : byte;
}

/** A 32-bit word. @throws {RangeError} past the end of the words */
export function wordAt(words: Uint32Array, index: number): number {
  const word = words[index];
  return word === undefined ? missing(index, words.length) : word;
}

/** A number: a file offset, a length or a count. @throws {RangeError} past the end of the numbers */
export function numberAt(numbers: Float64Array, index: number): number {
  const number = numbers[index];
  return number === undefined ? missing(index, numbers.length) : number;
}

/** A 64-bit number. @throws {RangeError} past the end of the numbers */
export function bigintAt(numbers: BigUint64Array, index: number): bigint {
  const number = numbers[index];
  return number === undefined ? missing(index, numbers.length) : number;
}
