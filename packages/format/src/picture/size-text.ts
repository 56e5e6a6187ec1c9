const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/** Formats a size in bytes with at most three digits, in the style of qemu-img: `16 GiB`. */
export function shortSize(bytes: bigint): string {
  let power = 0;
  // The next unit is used from 1000 on, so that there are never four digits before the point.
  while (power < UNITS.length - 1 && bytes >= 1000n << BigInt(10 * power)) power++;
  return `${threeDigits(Number(bytes) / 1024 ** power)} ${UNITS[power]}`;
}

/** Rounds a number to three significant digits as %.3g of printf does, ties to even. The number must be 0 or from 0.9 to 1000. */
function threeDigits(value: number): number {
  const scale = value < 1 ? 1000 : value < 10 ? 100 : value < 100 ? 10 : 1;
  const scaled = value * scale;
  const below = Math.floor(scaled);
  return (scaled - below === 0.5 ? below + (below % 2) : Math.round(scaled)) / scale;
}

/** Formats a share as a percentage with three digits. 0 and 100 are only shown if they are exact. */
export function percent(part: bigint, whole: bigint): string {
  if (part === 0n) return "0 %";
  if (part === whole) return "100 %";
  const value = (Number(part) / Number(whole)) * 100;
  if (value < 0.01) return "< 0.01 %";
  return value > 99.9 ? "> 99.9 %" : `${Number(value.toPrecision(3))} %`;
}
