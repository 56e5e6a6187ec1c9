// The bytes of single data clusters.
import { wordsOfBytes } from "../bitmap/bit-bytes.ts";
import { byteAt } from "../elements.ts";

/** Returns a copy of the bytes of a cluster that keeps the first `bitCount` bits; all bits after them are zero. */
export function trimmed(bytes: Uint8Array, bitCount: number): Uint8Array {
  const whole = Math.floor(bitCount / 8);
  const result = new Uint8Array(bytes.length);
  result.set(bytes.subarray(0, whole));
  if (bitCount % 8 !== 0) result[whole] = byteAt(bytes, whole) & ((1 << (bitCount % 8)) - 1);
  return result;
}

/** Returns a cluster whose first `bitCount` bits are ones; all bits after them are zero. */
export function onesCluster(clusterSize: number, bitCount = clusterSize * 8): Uint8Array {
  return trimmed(new Uint8Array(clusterSize).fill(0xff), bitCount);
}

/** Whether the first `validBits` bits of a cluster are ones, and the bits after them in the same byte are zeros (spec §4). */
export function isOnes(bytes: Uint8Array, validBits: number): boolean {
  const whole = Math.floor(validBits / 8);
  for (let index = 0; index < whole; index++) if (bytes[index] !== 0xff) return false;
  const rest = validBits % 8;
  return rest === 0 || bytes[whole] === (1 << rest) - 1;
}

/** Returns the first bits of a cluster as words, for reading only. Bits past them need not be zero in the file. @throws {Error} if bytes are missing */
export function wordsOfCluster(bytes: Uint8Array, clusterSize: number, bitCount: number): Uint32Array {
  if (bytes.length !== clusterSize)
    throw new Error(`a cluster of ${clusterSize} bytes was answered with ${bytes.length} bytes`);
  return wordsOfBytes(bytes.subarray(0, Math.ceil(bitCount / 8)), 0, bitCount);
}
