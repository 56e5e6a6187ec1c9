/** Returns 16 random bytes, as QDB files have them for ids. */
export function randomId(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(16));
}
