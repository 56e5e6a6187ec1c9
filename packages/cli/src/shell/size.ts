import { QdbError, quote } from "@qdb/format";
import { itemAt } from "@qdb/format/internal";

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

/** Formats a size with at most three digits, in the style of qemu-img: `16 GiB`. */
export function shortSize(bytes: bigint): string {
  let power = 0;
  // The next unit is used from 1000 on, so that there are never four digits before the point.
  while (power < POWERS.length && bytes >= 1000n << BigInt(10 * power)) power++;
  const value = Number(bytes) / 1024 ** power;
  const unit = power === 0 ? "B" : `${POWERS.charAt(power - 1)}iB`;
  return `${threeDigits(value)} ${unit}`;
}

/** Rounds a number to three significant digits as %.3g of printf does, ties to even. The number must be 0 or from 0.9 to 1000. */
function threeDigits(value: number): number {
  const scale = value < 1 ? 1000 : value < 10 ? 100 : value < 100 ? 10 : 1;
  const scaled = value * scale;
  const below = Math.floor(scaled);
  return (scaled - below === 0.5 ? below + (below % 2) : Math.round(scaled)) / scale;
}

/** Formats a size in the style of qemu-img info: `16 GiB (17179869184 bytes)`. */
export function longSize(bytes: bigint): string {
  return `${shortSize(bytes)} (${bytes} bytes)`;
}

/** Formats a share as a percentage with three digits. 0 and 100 are only shown if they are exact. */
export function percent(part: bigint, whole: bigint): string {
  if (part === 0n) return "0 %";
  if (part === whole) return "100 %";
  const value = (Number(part) / Number(whole)) * 100;
  if (value < 0.01) return "< 0.01 %";
  return value > 99.9 ? "> 99.9 %" : `${Number(value.toPrecision(3))} %`;
}
