import { type Bitmap, type BitmapInit, QdbError, quote } from "@qdb/format";
import { isGranularity, percent, shortSize } from "@qdb/format/internal";
import type { Call } from "../shell/command.ts";
import { parseSize } from "../shell/size.ts";

/** A bitmap that a command makes and stores in a file. */
export type NewBitmap = BitmapInit & { readonly bits: Bitmap; readonly enabled: boolean };

/** Returns the value of --granularity in bytes; undefined if it is not given. @throws {QdbError} USAGE */
export function granularityOf(call: Pick<Call, "value">): number | undefined {
  const text = call.value("granularity");
  return text === undefined ? undefined : parseGranularity(text, "--granularity");
}

/** Parses a granularity in bytes; `option` names the option in messages. @throws {QdbError} USAGE */
export function parseGranularity(text: string, option: string): number {
  const granularity = Number(parseSize(text, option));
  if (isGranularity(granularity)) return granularity;
  throw new QdbError("USAGE", `${option} ${quote(text)} is no power of two from 512 to 2G`);
}

/** Returns one line about a new bitmap: `"daily": 256 KiB of 16 MiB dirty (1.56 %), granularity 64 KiB, enabled`. */
export function newBitmapLine({ name, bits, enabled, inUse }: NewBitmap): string {
  const dirty = bits.dirtyBytes();
  const share = bits.size === 0n ? "" : ` (${percent(dirty, bits.size)})`;
  const facts = [
    inUse === true
      ? `${shortSize(bits.size)}, in use: its bits cannot be used`
      : `${shortSize(dirty)} of ${shortSize(bits.size)} dirty${share}`,
    `granularity ${shortSize(BigInt(bits.granularity))}`,
    ...(enabled ? ["enabled"] : []),
  ];
  return `${quote(name)}: ${facts.join(", ")}`;
}
