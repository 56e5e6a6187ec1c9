import { QdbError, quote } from "@qdb/format";
import { itemAt, shortSize } from "@qdb/format/internal";

const POWERS = "KMGTPE";
const SIZE = /^([0-9]+)([kmgtpe]?)$/i;

/**
 * Parses a size in bytes: digits, optionally followed by k, M, G, T, P or E, in either case, for a power of 1024. The result is exact at
 * any size. `option` is the name of the option in messages.
 * @throws {QdbError} USAGE
 */
export function parseSize(text: string, option: string): bigint {
  const match = SIZE.exec(text);
  if (match === null) {
    throw new QdbError(
      "USAGE",
      `${option} ${quote(text)} is no size: write bytes, or a number with k, M, G, T or P (1024), as in 64K`,
    );
  }
  const unit = itemAt(match, 2).toUpperCase();
  // The index of "" is 0 too, like that of K, so a size without a unit is a case of its own.
  return BigInt(itemAt(match, 1)) << BigInt(unit === "" ? 0 : 10 * (POWERS.indexOf(unit) + 1));
}

/** Formats a size in the style of qemu-img info: `16 GiB (17179869184 bytes)`. */
export function longSize(bytes: bigint): string {
  return `${shortSize(bytes)} (${bytes} bytes)`;
}
