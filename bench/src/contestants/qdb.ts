import { randomBytes } from "node:crypto";
import zlib from "node:zlib";
import { Bitmap, bytesSource, QdbFile, readBitmap } from "@qdb/format";
import { crc32, imageBytes, newFile, writeImage } from "@qdb/format/container";
import { wordAt } from "@qdb/format/internal";
import type { Input } from "./input.ts";
import { countAfterChange, Hash, type Operations, operation } from "./operation.ts";

const GRANULARITY = 65536;
/** Bits of 64 KiB. */
const PAGE_BITS = 2 ** 19;

function shapeOf(bitCount: number): { readonly size: bigint; readonly granularity: number } {
  return { size: BigInt(bitCount) * BigInt(GRANULARITY), granularity: GRANULARITY };
}

/** Stores a bitmap in the bytes of a new QDB file. */
export function saved(bits: Bitmap): Uint8Array {
  const file = newFile({ bitmaps: [{ name: "a", bits }] }, { randomId: () => new Uint8Array(randomBytes(16)) });
  return imageBytes(writeImage(file, { crc32: zlib.crc32 }));
}

async function loaded(bytes: Uint8Array): Promise<Bitmap> {
  const file = await QdbFile.open(bytesSource(bytes), { digests: { crc32: zlib.crc32 } });
  return readBitmap(file.bitmap("a"));
}

/** QDB: `Bitmap` in memory, and a file in memory. */
export function qdbOperations(input: Input): Operations {
  const shape = shapeOf(input.bitCount);
  const load = (name: "a" | "b"): Bitmap => Bitmap.fromBytes(input.bytes(name), shape);
  const a = load("a");
  let other: Bitmap | undefined;
  const b = (): Bitmap => {
    other ??= load("b");
    return other;
  };
  const target = a.clone();
  // The target keeps its memory, as the other contestants' do.
  const reset = (): void => {
    target.subtract(b());
    target.merge(a);
  };
  const ofTarget = (begin: () => void) => ({
    reset: begin,
    answer: () => countOf(target),
    fullAnswer: () => hashOf(target),
  });
  return {
    build() {
      const runs = input.runs("a");
      const build = (): Bitmap => {
        const bits = Bitmap.clean(shape);
        for (let at = 0; at < runs.length; at += 2)
          bits.markBits({ first: wordAt(runs, at), end: wordAt(runs, at + 1) + 1 });
        return bits;
      };
      return operation(build, RESULT);
    },
    or: () => operation(() => target.merge(b()), ofTarget(reset)),
    andnot: () => operation(() => target.subtract(b()), ofTarget(reset)),
    count: () =>
      countAfterChange(
        () => a.count(),
        () => toggleFirst(a),
      ),
    runs: () => operation(() => countRuns(a), { fullAnswer: () => hashOf(a) }),
    zero: () => operation(() => firstOfPages(a)),
    coarsen: () => operation(() => a.regranulate(2 * GRANULARITY), RESULT),
    refine() {
      const bits = input.bitCount / 2;
      const half = Bitmap.fromBytes(input.bytes("a").subarray(0, bits / 8), shapeOf(bits));
      return operation(() => half.regranulate(GRANULARITY / 2), RESULT);
    },
    test() {
      const places = input.places();
      return operation(() => {
        let dirty = 0;
        for (let at = 0; at < places.length; at++) if (a.isDirty(wordAt(places, at))) dirty++;
        return dirty;
      });
    },
    mark() {
      const places = input.places();
      const mark = (): void => {
        for (let at = 0; at < places.length; at++) {
          const first = wordAt(places, at);
          target.markBits({ first, end: first + 1 });
        }
      };
      return operation(
        mark,
        ofTarget(() => target.intersect(a)),
      );
    },
    save: () => operation(() => saved(a), { answer: () => countOf(a) }),
    load() {
      const bytes = saved(a);
      return operation(() => loaded(bytes), RESULT);
    },
    crc32() {
      const bytes = input.bytes("a");
      return operation(() => crc32(bytes));
    },
  };
}

/** The answers of an operation that makes a bitmap. It is freed then, as by a program that makes many. */
const RESULT = { answer: freeing(countOf), fullAnswer: freeing(hashOf) };

function freeing(answer: (bits: Bitmap) => number): (bits: Bitmap) => number {
  return (bits) => {
    using held = bits;
    return answer(held);
  };
}

function countOf(bits: Bitmap): number {
  return bits.count();
}

function hashOf(bits: Bitmap): number {
  const hash = new Hash();
  countRuns(bits, hash);
  return hash.value;
}

function toggleFirst(bits: Bitmap): void {
  if (bits.isDirty(0)) bits.unmark({ offset: 0, length: bits.granularity });
  else bits.markBits({ first: 0, end: 1 });
}

function countRuns(bits: Bitmap, hash?: Hash): number {
  let count = 0;
  for (const batch of bits.batches()) {
    hash?.add(batch.runs);
    count += batch.count;
  }
  return count;
}

function firstOfPages(bits: Bitmap): number {
  let sum = 0;
  for (let page = 0; page < bits.bitCount; page += PAGE_BITS) sum += bits.nextDirty(page);
  return sum;
}
