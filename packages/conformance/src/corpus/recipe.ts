// Makes the bytes of a file from its recipe. This code knows nothing of QDB, so that a bug of an implementation cannot be repeated in the
// files that test it.
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { messageOf } from "../text/messages.ts";
import type { Part, Recipe } from "./manifest.ts";
import { SparseBytes } from "./sparse-bytes.ts";

/** How the recipe of a vector differs from the recipe of its parent. */
export interface Change {
  readonly patch?: readonly Part[];
  /** New length in bytes. If it is less than the parent's, the file is truncated after parts and seals are written. */
  readonly length?: number | string;
  /** Seals that replace those of the parent. */
  readonly seals?: readonly Part[];
  /** The parent's seals that are left out, named by their comments without the `# `. */
  readonly unseal?: readonly string[];
}

/** Makes the bytes of a recipe. @throws {Error} for an unknown operation or a wrong argument; the message quotes the part */
export function materialise(recipe: Recipe): SparseBytes {
  const bytes = new SparseBytes(numberOf(recipe.length));
  for (const part of [...recipe.parts, ...(recipe.seals ?? [])]) {
    try {
      writePart(bytes, part);
    } catch (error) {
      throw new Error(`recipe part ${JSON.stringify(part)}: ${messageOf(error)}`);
    }
  }
  return recipe.cut === undefined ? bytes : bytes.cut(numberOf(recipe.cut));
}

/**
 * Returns the recipe of a child: the parts of the parent, the patch, then the seals.
 * @throws {Error} if `unseal` names a seal that the parent does not have
 */
export function changed(parent: Recipe, change: Change): Recipe {
  const left = new Set(change.unseal ?? []);
  const seals = (change.seals ?? parent.seals ?? []).filter((seal) => {
    const remark = seal.at(-1);
    return !(isText(remark) && left.delete(remark.replace(/^# /, "")));
  });
  if (left.size > 0) throw new Error(`no seal is called ${[...left].join(", ")}`);
  const parts = [...parent.parts, ...(change.patch ?? [])];
  const { length = parent.cut } = change;
  if (length === undefined) return { length: parent.length, parts, seals };
  if (numberOf(length) >= numberOf(parent.length)) return { length, parts, seals };
  return { length: parent.length, cut: length, parts, seals };
}

/**
 * Reads a length or an offset: a number, or a string with a decimal or `0x` number.
 * @throws {Error} for anything that is not an integer from 0 to 2^53-1
 */
function numberOf(value: number | string | undefined): number {
  const number = isText(value) ? Number(BigInt(value)) : value;
  if (number === undefined || !Number.isSafeInteger(number) || number < 0)
    throw new Error(`${value} is no number here`);
  return number;
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

/** Operations that write an unsigned integer, with its width in bytes. */
const INTEGERS: Readonly<Record<string, number>> = { u8: 1, u16: 2, u32: 4, u64: 8 };

/** Writes what one part describes. @throws {Error} as {@link materialise} */
function writePart(bytes: SparseBytes, part: Part): void {
  const [at, op, ...rest] = part;
  const remark = rest.at(-1);
  const args = isText(remark) && remark.startsWith("# ") ? rest.slice(0, -1) : rest;
  const offset = numberOf(at);
  const text = (): string => {
    const [value] = args;
    if (!isText(value)) throw new Error("a text is due");
    return value;
  };
  const width = INTEGERS[String(op)];
  if (width !== undefined) {
    bytes.write(offset, integer(args[0], width));
    return;
  }
  switch (op) {
    case "hex":
      bytes.write(offset, hexBytes(text()));
      return;
    case "text":
      bytes.write(offset, new TextEncoder().encode(text()));
      return;
    case "fill":
      bytes.fill(offset, numberOf(args[0]), numberOf(args[1]));
      return;
    case "repeat": {
      const piece = hexBytes(text());
      const count = numberOf(args[1]);
      for (let time = 0; time < count; time++) bytes.write(offset + time * piece.length, piece);
      return;
    }
    case "copy":
      bytes.write(offset, bytes.read(numberOf(args[0]), numberOf(args[1])));
      return;
    case "crc32":
      bytes.write(offset, checksum(bytes, offset, numberOf(args[0]), numberOf(args[1])));
      return;
    case "random":
      bytes.write(offset, randomBytes(text(), numberOf(args[1])));
      return;
    default:
      throw new Error(`there is no operation ${op}`);
  }
}

/** Encodes an unsigned integer, big-endian. @throws {Error} if it does not fit in `width` bytes */
function integer(value: number | string | undefined, width: number): Uint8Array {
  if (value === undefined) throw new Error("a value is due");
  const number = BigInt(value);
  if (number < 0n || number >= 1n << BigInt(8 * width)) throw new Error(`${value} does not fit in ${width} bytes`);
  return hexBytes(number.toString(16).padStart(2 * width, "0"));
}

function hexBytes(text: string): Uint8Array {
  const digits = text.replace(/\s/g, "");
  if (!/^([0-9a-fA-F]{2})*$/.test(digits)) throw new Error("hex digits, two a byte, are due");
  return Uint8Array.from(digits.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
}

/** Computes the CRC-32 (IEEE) of a range, big-endian. The four bytes at `at`, where the checksum is stored, count as zero. */
function checksum(bytes: SparseBytes, at: number, from: number, length: number): Uint8Array {
  const range = bytes.read(from, length);
  for (let byte = Math.max(at, from); byte < Math.min(at + 4, from + length); byte++) range[byte - from] = 0;
  return integer(crc32(range), 4);
}

/** Returns the first `length` bytes of the concatenation of SHA-256(seed, n) for n = 0, 1, 2 and so on; n is a u32, big-endian. */
function randomBytes(seed: string, length: number): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(length / 32) * 32);
  for (let block = 0; block * 32 < length; block++) {
    bytes.set(createHash("sha256").update(seed).update(integer(block, 4)).digest(), block * 32);
  }
  return bytes.subarray(0, length);
}
