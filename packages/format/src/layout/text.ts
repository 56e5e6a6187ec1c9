import { byteAt } from "../elements.ts";
import { QdbError } from "../errors.ts";
import { quote } from "../quote.ts";

const encoder = new TextEncoder();
// ignoreBOM keeps a leading U+FEFF: without it two names of different bytes could decode to the same text.
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Returns the UTF-8 bytes of a text. @throws {QdbError} USAGE if it has a lone surrogate, which the encoder would replace by U+FFFD */
export function encodeUtf8(text: string): Uint8Array {
  if (!hasLoneSurrogate(text)) return encoder.encode(text);
  throw new QdbError("USAGE", `${quote(text.slice(0, 80))} holds a lone surrogate, which UTF-8 cannot hold`);
}

/** Returns the number of bytes that follow the first byte of a UTF-8 character; -1 if no character begins with that byte. */
export function following(first: number): number {
  if (first < 0x80) return 0;
  if (first < 0xc2) return -1;
  if (first < 0xe0) return 1;
  if (first < 0xf0) return 2;
  return first < 0xf5 ? 3 : -1;
}

/** Whether bytes are well-formed UTF-8. A TextDecoder reports bytes that are not by an exception, which takes a hundred times as long. */
export function isUtf8(bytes: Uint8Array): boolean {
  return utf8Length(bytes) === bytes.length;
}

/** Returns the number of bytes before the first character that is not well-formed UTF-8, or is cut by the end of the bytes. */
export function utf8Length(bytes: Uint8Array): number {
  let at = 0;
  while (at < bytes.length) {
    const first = byteAt(bytes, at);
    const more = following(first);
    if (more < 0 || at + more >= bytes.length) return at;
    for (let place = 1; place <= more; place++) if ((byteAt(bytes, at + place) & 0xc0) !== 0x80) return at;
    if (more >= 2) {
      // The second byte shows overlong forms, surrogates, and code points above U+10FFFF.
      const second = byteAt(bytes, at + 1);
      if ((first === 0xe0 && second < 0xa0) || (first === 0xed && second > 0x9f)) return at;
      if ((first === 0xf0 && second < 0x90) || (first === 0xf4 && second > 0x8f)) return at;
    }
    at += 1 + more;
  }
  return at;
}

/** Returns the text of UTF-8 bytes; undefined if the bytes are not UTF-8. The text is not normalised, and a BOM is kept. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  return isUtf8(bytes) ? strict.decode(bytes) : undefined;
}

/** Whether a text has a surrogate that is not part of a pair, which UTF-8 cannot represent. */
export function hasLoneSurrogate(text: string): boolean {
  return /\p{Cs}/u.test(text);
}

/** Returns bytes as hex digits, in lower case. */
export function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

/** Returns the bytes of a text of hex digits in upper or lower case; undefined if the text is anything else. */
export function fromHex(text: string): Uint8Array | undefined {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) return undefined;
  const result = new Uint8Array(text.length / 2);
  for (let index = 0; index < result.length; index++)
    result[index] = Number.parseInt(text.slice(index * 2, index * 2 + 2), 16);
  return result;
}

/** Returns 16 bytes as a UUID in the form 8-4-4-4-12, in lower case. The bytes are in the order of the text (spec §1). */
export function toUuid(bytes: Uint8Array): string {
  return toHex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** Returns the 16 bytes of a UUID. @throws {QdbError} USAGE if the text is not a UUID of the form 8-4-4-4-12 */
export function fromUuid(text: string): Uint8Array {
  const match = /^([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})$/i.exec(text);
  const value = match === null ? undefined : fromHex(match.slice(1).join(""));
  if (value === undefined) throw new QdbError("USAGE", `${JSON.stringify(text)} is no UUID (8-4-4-4-12 hex digits)`);
  return value;
}

/** Returns a 32-bit value as 8 hex digits. */
export function hex32(value: number): string {
  return value.toString(16).padStart(8, "0");
}

/** Returns a 64-bit value as `0x` and 16 hex digits. */
export function hex64(value: bigint): string {
  return `0x${value.toString(16).padStart(16, "0")}`;
}
