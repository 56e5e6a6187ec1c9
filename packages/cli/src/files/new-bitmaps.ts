import { type Bitmap, type BitmapRecords, type BitmapShape, bytesSource, QdbError, quote } from "@qdb/format";
import { type BitSource, type Plan, run } from "@qdb/format/container";
import { isGranularity, percent, shortSize } from "@qdb/format/internal";
import type { Call } from "../shell/command.ts";
import { parseSize } from "../shell/size.ts";

/** A bitmap that a command makes and stores in a file. Bits that are no `Bitmap` are read as they are stored. */
export interface NewBitmap extends BitmapRecords {
  readonly name: string;
  readonly bits: Bitmap | BitSource;
  readonly enabled: boolean;
  /** Whether its bits cannot be used. */
  readonly inUse?: boolean;
}

/** The bitmaps that a command makes, and what has to be read for their bits. */
export interface NewBitmaps {
  /**
   * Runs a plan that reads their bits. It is run again, with other bitmaps, if what they are read from changes meanwhile.
   * @throws {QdbError} as reading the bitmaps; what the plan throws
   */
  run<T>(plan: (bitmaps: readonly NewBitmap[]) => Plan<T>): Promise<T>;
}

/** A bitmap that was stored. */
export interface StoredBitmap {
  readonly name: string;
  readonly shape: BitmapShape;
  /** Number of dirty bytes. */
  readonly dirty: bigint;
  readonly enabled: boolean;
  readonly inUse?: boolean | undefined;
}

/** The source of plans that read nothing but memory and temporary files. */
export const NOTHING = bytesSource(new Uint8Array(0));

/** Returns bitmaps that are read already. */
export function readBitmaps(bitmaps: readonly NewBitmap[], { signal }: Pick<Call, "signal">): NewBitmaps {
  return { run: (plan) => run(plan(bitmaps), NOTHING, { signal }) };
}

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
export function newBitmapLine({ name, shape, dirty, enabled, inUse }: StoredBitmap): string {
  const { size, granularity } = shape;
  const share = size === 0n ? "" : ` (${percent(dirty, size)})`;
  const facts = [
    inUse === true
      ? `${shortSize(size)}, in use: its bits cannot be used`
      : `${shortSize(dirty)} of ${shortSize(size)} dirty${share}`,
    `granularity ${shortSize(BigInt(granularity))}`,
    ...(enabled ? ["enabled"] : []),
  ];
  return `${quote(name)}: ${facts.join(", ")}`;
}
