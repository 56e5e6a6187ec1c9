/** Returns a view of bytes as words, to compare four bytes at a time; undefined if their offset or length is not a multiple of 4. */
function words(bytes: Uint8Array): Uint32Array | undefined {
  if (bytes.byteOffset % 4 !== 0 || bytes.length % 4 !== 0) return undefined;
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}

function equalItems(a: Uint8Array | Uint32Array, b: Uint8Array | Uint32Array): boolean {
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}

/** Whether two arrays have the same length and the same bytes. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  const aWords = words(a);
  const bWords = words(b);
  return aWords !== undefined && bWords !== undefined ? equalItems(aWords, bWords) : equalItems(a, b);
}

/** Whether all bytes are zero. */
export function isZero(bytes: Uint8Array): boolean {
  const items = words(bytes) ?? bytes;
  for (let index = 0; index < items.length; index++) if (items[index] !== 0) return false;
  return true;
}
