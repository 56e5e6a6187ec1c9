import { randomUUID } from "node:crypto";
import { type Bitmap, type BitmapContents, type Edits, encodeRecord, FLAG, QdbError, quote } from "@qdb/format";
import { encodeUtf8, isBitmapName, isGranularity, MAX_NAME_SIZE } from "@qdb/format/internal";
import type { Call } from "../shell/command.ts";
import { parseSize, percent, shortSize } from "../shell/size.ts";

/** A bitmap that a command makes and stores in a file. */
export interface NewBitmap {
  readonly name: string;
  readonly bits: Bitmap;
  readonly isEnabled: boolean;
  /** Whether the bits may be outdated (flag `in_use`). Such a bitmap is listed, but its bits cannot be read (spec §3, Flags). */
  readonly isInUse: boolean;
  /** Extra-data records other than the id and the creation time. */
  readonly records: BitmapContents["extraData"];
}

/** Refuses an invalid bitmap name (spec §3). @throws {QdbError} USAGE */
export function requireBitmapName(name: string): string {
  const bytes = encodeUtf8(name);
  if (isBitmapName(bytes)) return name;
  const size = bytes.length;
  throw new QdbError(
    "USAGE",
    `${size > 80 ? `a name of ${size} bytes` : quote(name)} can be no bitmap's: it takes 1 to ${MAX_NAME_SIZE} bytes`,
  );
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

/** Returns a bitmap as content of a new file. */
export function contentsOf(bitmap: NewBitmap): BitmapContents {
  return { ...storedForm(bitmap), nameBytes: encodeUtf8(bitmap.name) };
}

/** Returns a bitmap as it is added to a file: with a new id and the current time as its creation time. */
export function storedForm({ name, bits, isEnabled, isInUse, records }: NewBitmap): Parameters<Edits["add"]>[0] {
  return {
    name,
    flags: (isEnabled ? FLAG.enabled : 0) | (isInUse ? FLAG.in_use : 0),
    extraData: [
      ...records,
      encodeRecord({ kind: "id", uuid: randomUUID() }),
      encodeRecord({ kind: "created", ns: BigInt(Date.now()) * 1_000_000n }),
    ],
    bits,
  };
}

/** Returns one line about a new bitmap: `"daily": 256 KiB of 16 MiB dirty (1.56 %), granularity 64 KiB, enabled`. */
export function newBitmapLine({ name, bits, isEnabled, isInUse }: NewBitmap): string {
  const dirty = bits.dirtyBytes();
  const share = bits.size === 0n ? "" : ` (${percent(dirty, bits.size)})`;
  const facts = [
    isInUse
      ? `${shortSize(bits.size)}, in use: its bits cannot be used`
      : `${shortSize(dirty)} of ${shortSize(bits.size)} dirty${share}`,
    `granularity ${shortSize(BigInt(bits.granularity))}`,
    ...(isEnabled ? ["enabled"] : []),
  ];
  return `${quote(name)}: ${facts.join(", ")}`;
}
