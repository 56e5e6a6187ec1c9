// Makes the bytes of a vector from its recipe. This file knows nothing of QDB, so a bug of an implementation cannot be
// repeated in the files that test it.
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import type { Part, Recipe } from "./manifest.ts";
import { isText, numberOf, Pages } from "./pages.ts";

/** How the recipe of a vector differs from the recipe of its parent. */
export interface Change {
  readonly patch?: readonly Part[];
  /** New length in bytes. Below the parent's, the file is truncated after parts and seals are written. */
  readonly length?: number | string;
  /** Used instead of the parent's seals. */
  readonly seals?: readonly Part[];
  /** Comments of the parent's seals that are left out, without the `# `. */
  readonly unseal?: readonly string[];
}

/** Makes the bytes of a recipe. @throws {Error} for an unknown operation or a wrong argument; the message names the part */
export function materialise(recipe: Recipe): Pages {
  const pages = new Pages(numberOf(recipe.length));
  for (const part of [...recipe.parts, ...(recipe.seals ?? [])]) {
    try {
      lay(pages, part);
    } catch (error) {
      throw new Error(`recipe part ${JSON.stringify(part)}: ${error instanceof Error ? error.message : error}`);
    }
  }
  return recipe.cut === undefined ? pages : pages.cut(numberOf(recipe.cut));
}

/** The recipe of a child: the parent's parts, the patch over them, then the seals. @throws {Error} when `unseal` names a seal that the parent does not have */
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

/** Operations that write an unsigned integer, with its width in bytes. */
const INTEGERS: Readonly<Record<string, number>> = { u8: 1, u16: 2, u32: 4, u64: 8 };

function lay(pages: Pages, part: Part): void {
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
    pages.write(offset, integer(args[0], width));
    return;
  }
  switch (op) {
    case "hex":
      pages.write(offset, hexBytes(text()));
      return;
    case "text":
      pages.write(offset, new TextEncoder().encode(text()));
      return;
    case "fill":
      pages.fill(offset, numberOf(args[0]), numberOf(args[1]));
      return;
    case "repeat": {
      const piece = hexBytes(text());
      const count = numberOf(args[1]);
      for (let time = 0; time < count; time++) pages.write(offset + time * piece.length, piece);
      return;
    }
    case "copy":
      pages.write(offset, pages.read(numberOf(args[0]), numberOf(args[1])));
      return;
    case "crc32":
      pages.write(offset, checksum(pages, offset, numberOf(args[0]), numberOf(args[1])));
      return;
    case "random":
      pages.write(offset, randomBytes(text(), numberOf(args[1])));
      return;
    default:
      throw new Error(`there is no operation ${op}`);
  }
}

/** An unsigned integer, big-endian. */
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

/** CRC-32 (IEEE) of a range, big-endian. The four bytes at `at` count as zero. */
function checksum(pages: Pages, at: number, from: number, length: number): Uint8Array {
  const bytes = pages.read(from, length);
  for (let byte = Math.max(at, from); byte < Math.min(at + 4, from + length); byte++) bytes[byte - from] = 0;
  return integer(crc32(bytes), 4);
}

/** Blocks of SHA-256(seed, block number as u32 big-endian), one after the other. */
function randomBytes(seed: string, length: number): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(length / 32) * 32);
  for (let block = 0; block * 32 < length; block++) {
    bytes.set(createHash("sha256").update(seed).update(integer(block, 4)).digest(), block * 32);
  }
  return bytes.subarray(0, length);
}
