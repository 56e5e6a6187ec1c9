// Prints a bitmap of an open file, as extents or as plain bits, in memory of fixed size. A program that only reads extents does not carry this.
import { RunCollector } from "./bitmap/runs.ts";
import type { BitmapShape } from "./bitmap/shape.ts";
import type { BitsReader } from "./bits/bits-reader.ts";
import type { ClusterMap } from "./bits/cluster-map.ts";
import { type BitVisitor, show } from "./bits/cluster-windows.ts";
import { visitBits } from "./bits/read-bits.ts";
import { Scratch } from "./bits/scratch.ts";
import { maxMemoryOf, memoryOf, type VerifiedBits, verifiedBitsPlan } from "./bits/verified-bits.ts";
import { BitsPrinter } from "./extents/bits-printer.ts";
import { ExtentPrinter } from "./extents/extent-printer.ts";
import type { LongCallOptions } from "./ports/long-call.ts";
import type { Plan } from "./ports/plan.ts";

/** Maximum number of bytes of bits that are held in memory until all are verified (spec §7.4). Those of a larger range are read twice instead. */
const MAX_HELD_BYTES = 8 * 1024 * 1024;
/** Maximum size in bytes of the pieces that are printed. */
const PIECE_BYTES = 2 * 1024 * 1024;

/** What {@link printExtents} prints. */
export interface PrintOptions extends LongCallOptions {
  /** `json`: the JSON of nbdinfo; `human`: its table. */
  readonly format: "json" | "human";
  /** Where to begin, in bytes of the disk; the default is 0. Nothing is printed from the end of the disk on. */
  readonly start?: bigint | undefined;
  /** How many bytes of the disk are printed at most; undefined for all up to its end. */
  readonly maxLength?: bigint | undefined;
}

/** Receives what is printed, in pieces, which it must not keep. */
export type TakeBytes = (bytes: Uint8Array) => void;

/**
 * Prints the extents of a bitmap, dirty and clean. `take` receives nothing before all bits to be printed are verified: text cannot be taken
 * back. The call starts over if a writer commits before that. Progress counts bits, those that are read twice twice.
 * @throws {QdbError} as `StoredBitmap.extents`; what `take` throws
 */
export function printExtents(bits: BitsReader, take: TakeBytes, options: PrintOptions): Promise<void> {
  return printVerified(bits, options, (shape) => {
    const { start, end } = rangeOf(shape, options);
    const { format } = options;
    const printer = new ExtentPrinter(take, shape, { format, start, end, pieceBytes: PIECE_BYTES });
    const visitor = new RunCollector((runs) => printer.push({ runs }));
    const finish = (endBit: number): void => {
      for (const runs of visitor.finish(endBit)) printer.push({ runs });
      printer.finish();
    };
    return { within: { offset: start, length: end - start }, visitor, finish };
  });
}

/**
 * Prints the bits of a bitmap as plain bytes: ceil(bits / 8) of them, least significant bit first, zero after the last bit. `take` receives
 * nothing before all bits are verified, as that of {@link printExtents}.
 * @throws {QdbError} as `StoredBitmap.extents`; what `take` throws
 */
export function printBits(bits: BitsReader, take: TakeBytes, options: LongCallOptions): Promise<void> {
  return printVerified(bits, options, (shape) => {
    const visitor = new BitsPrinter(take);
    return {
      within: { offset: 0n, length: shape.size },
      visitor,
      finish: (endBit) => visitor.finish(endBit),
    };
  });
}

/** Prints the bits of a part of the disk, which are shown to `visitor`. */
interface Print {
  readonly within: { readonly offset: bigint; readonly length: bigint };
  readonly visitor: BitVisitor;
  /** Called after the last bit, with the index of the bit that follows it. */
  finish(endBit: number): void;
}

/** Bits are verified before a visitor receives them. */
const VERIFYING: BitVisitor = { pushWords: () => undefined, pushDirty: () => undefined, pushClean: () => undefined };

/** Verifies bits, and then shows them. A writer may have changed the shape since the reader was made, so `begin` is called with what is read. */
async function printVerified(
  bits: BitsReader,
  { signal, onProgress }: LongCallOptions,
  begin: (shape: BitmapShape) => Print,
): Promise<void> {
  let print = begin(bits.shape);
  let isVerified = false;
  const plan = function* (map: ClusterMap): Plan<void, VerifiedBits> {
    print = begin(map.shape);
    const { within } = print;
    isVerified = maxMemoryOf(map, within) > MAX_HELD_BYTES;
    const verified = (done: number, total: number): void => onProgress?.(done, 2 * total);
    if (isVerified) yield* visitBits(map, VERIFYING, { within, onProgress: verified });
    yield* verifiedBitsPlan(map, within, isVerified ? new Scratch() : undefined);
  };
  const sizeOf = (verified: VerifiedBits): number => (isVerified ? Number.POSITIVE_INFINITY : memoryOf(verified));
  let lastBit = 0;
  for await (const verified of bits.stream(plan, sizeOf, { signal, holdBytes: MAX_HELD_BYTES })) {
    const { pieces, range, endBit } = verified;
    for (const piece of pieces) show(piece, print.visitor);
    lastBit = range.end;
    const total = range.end - range.first;
    const done = endBit - range.first;
    onProgress?.(isVerified ? total + done : done, isVerified ? 2 * total : total);
  }
  print.finish(lastBit);
}

/** Returns which part of a disk is printed. */
function rangeOf({ size }: BitmapShape, { start = 0n, maxLength }: PrintOptions): { start: bigint; end: bigint } {
  const first = start < size ? start : size;
  return { start: first, end: maxLength === undefined || first + maxLength > size ? size : first + maxLength };
}
