// Prints the extents of a bitmap of an open file, in memory of fixed size. A program that only reads extents does not carry this.
import { RunCollector } from "./bitmap/runs.ts";
import type { BitmapShape } from "./bitmap/shape.ts";
import { type BitVisitor, show } from "./bits/cluster-windows.ts";
import { visitBits } from "./bits/read-bits.ts";
import { Scratch } from "./bits/scratch.ts";
import { maxMemoryOf, memoryOf, type VerifiedBits, verifiedBitsPlan } from "./bits/verified-bits.ts";
import { ExtentPrinter } from "./extents/extent-printer.ts";
import { askBeforeBits } from "./open/before-bits.ts";
import { refuseMirror } from "./open/header-source.ts";
import type { QdbIndex } from "./open/qdb-index.ts";
import type { RunOptions } from "./ports/drivers.ts";
import type { Plan } from "./ports/plan.ts";
import { streamTask } from "./ports/task.ts";
import { sameBitmap } from "./read-stored.ts";
import type { StoredBitmap } from "./stored-bitmap.ts";

/** Maximum number of bytes of bits that are held in memory until all are verified (spec §7.4). Those of a larger map are read twice instead. */
const MAX_HELD_BYTES = 8 * 1024 * 1024;
/** Maximum size in bytes of the pieces that are printed. */
const PIECE_BYTES = 2 * 1024 * 1024;

/** What {@link printExtents} prints. */
export interface PrintOptions extends RunOptions {
  /** `json`: the JSON of nbdinfo; `human`: its table. */
  readonly format: "json" | "human";
  /** Where to begin, in bytes of the disk. Nothing is printed from the end of the disk on. */
  readonly start: bigint;
  /** How many bytes of the disk are printed at most; undefined for all up to its end. */
  readonly maxLength: bigint | undefined;
}

/** Bits are verified before a visitor receives them. */
const VERIFYING: BitVisitor = { pushWords: () => undefined, pushDirty: () => undefined, pushClean: () => undefined };

/**
 * Prints the extents of a bitmap, dirty and clean. `take` receives the text in pieces, which it must not keep. It receives nothing before all
 * bits to be printed are verified: text cannot be taken back. The call starts over if a writer commits before that.
 * @throws {QdbError} as `StoredBitmap.extents`; what `take` throws
 */
export async function printExtents(
  bitmap: StoredBitmap,
  take: (bytes: Uint8Array) => void,
  options: PrintOptions,
): Promise<void> {
  const { reader, entry } = bitmap;
  let printer = new ExtentPrinter(take, bitmap, { format: options.format });
  let isVerified = false;
  const plan = function* (index: QdbIndex): Plan<void, VerifiedBits> {
    refuseMirror(index, reader.options, entry.label);
    const map = yield* reader.readMap(index, sameBitmap(index, entry));
    const { shape } = map;
    const { start, end } = rangeOf(shape, options);
    // A writer may have changed the shape since the handle was made.
    printer = new ExtentPrinter(take, shape, { format: options.format, start, end, pieceBytes: PIECE_BYTES });
    const within = { offset: start, length: end - start };
    isVerified = maxMemoryOf(map, within) > MAX_HELD_BYTES;
    if (isVerified) yield* visitBits(map, VERIFYING, { within });
    yield* verifiedBitsPlan(map, within, isVerified ? new Scratch() : undefined);
  };
  const sizeOf = (bits: VerifiedBits): number => (isVerified ? Number.POSITIVE_INFINITY : memoryOf(bits));
  const permit = (index: QdbIndex): void | PromiseLike<void> => askBeforeBits(reader.options, sameBitmap(index, entry));
  const collector = new RunCollector((runs) => printer.push({ runs }));
  let endBit = 0;
  const bits = reader.stream(plan, sizeOf, { signal: options.signal, holdBytes: MAX_HELD_BYTES, permit });
  for await (const { pieces, range } of streamTask(bits)) {
    for (const piece of pieces) show(piece, collector);
    endBit = range.end;
  }
  for (const runs of collector.finish(endBit)) printer.push({ runs });
  printer.finish();
}

/** Returns which part of a disk is printed. */
function rangeOf({ size }: BitmapShape, { start, maxLength }: PrintOptions): { start: bigint; end: bigint } {
  const first = start < size ? start : size;
  return { start: first, end: maxLength === undefined || first + maxLength > size ? size : first + maxLength };
}
