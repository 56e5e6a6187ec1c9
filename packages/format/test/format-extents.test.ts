import { Bitmap, type BitmapShape, bytesSource, ExtentBatch, formatExtents, QdbFile, readExtentMap } from "@qdb/format";
import type { FormatOptions } from "@qdb/format/container";
import { describe, expect, test } from "vitest";
import { ExtentPrinter, type PrinterOptions } from "../src/extents/extent-printer.ts";
import { withoutKernels } from "../src/kernels/kernels.ts";
import { bits, file } from "./hand.ts";
import { ZLIB } from "./store.ts";
import { rejection } from "./support/errors.ts";
import { fc, runs } from "./support/seed.ts";

async function textOf(...args: Parameters<typeof formatExtents>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of formatExtents(...args)) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

/** What nbdinfo 1.14.2 prints for a disk of 1049088 bytes to which QEMU wrote 64k+128k, 512k+1 and 1M+512, at granularity 64k. */
const JSON_OF_NBDINFO = `[
{ "offset": 0, "length": 65536, "type": 0, "description": "clean"},
{ "offset": 65536, "length": 131072, "type": 1, "description": "dirty"},
{ "offset": 196608, "length": 327680, "type": 0, "description": "clean"},
{ "offset": 524288, "length": 65536, "type": 1, "description": "dirty"},
{ "offset": 589824, "length": 458752, "type": 0, "description": "clean"},
{ "offset": 1048576, "length": 512, "type": 1, "description": "dirty"}
]
`;
const TABLE_OF_NBDINFO = `         0       65536    0  clean
     65536      131072    1  dirty
    196608      327680    0  clean
    524288       65536    1  dirty
    589824      458752    0  clean
   1048576         512    1  dirty
`;

function written(): Bitmap {
  const bitmap = Bitmap.clean({ size: 1_049_088, granularity: 65536 });
  bitmap.mark({ offset: 65536, length: 131_072 });
  bitmap.mark({ offset: 524_288, length: 1 });
  bitmap.mark({ offset: 1_048_576, length: 512 });
  return bitmap;
}

describe("the text of nbdinfo", () => {
  test("of a bitmap in memory, as JSON and as a table", async () => {
    expect(await textOf(written())).toBe(JSON_OF_NBDINFO);
    expect(await textOf(written(), { format: "human" })).toBe(TABLE_OF_NBDINFO);
  });

  test("of a bitmap in a file", async () => {
    const daily = { name: "daily", size: 1_049_088n, granularity: 65536, clusters: [bits(512, 1, 2, 8, 16)] };
    const source = bytesSource(file({ bitmaps: [daily] }));
    const opened = await QdbFile.open(source, { digests: ZLIB });
    expect(await textOf(opened.bitmap("daily"))).toBe(JSON_OF_NBDINFO);
    expect(await textOf(opened.bitmap("daily"), { within: { offset: 100, length: 65536 } })).toBe(
      `[\n{ "offset": 100, "length": 65436, "type": 0, "description": "clean"},\n{ "offset": 65536, "length": 100, "type": 1, "description": "dirty"}\n]\n`,
    );
  });

  test("of an empty range and of an empty disk", async () => {
    const empty = Bitmap.clean({ size: 0, granularity: 512 });
    expect([await textOf(empty), await textOf(empty, { format: "human" })]).toEqual(["[\n\n]\n", ""]);
    expect(await textOf(written(), { within: { offset: 65536, length: 0 } })).toBe("[\n\n]\n");
  });
});

/** The lines that a range of a bitmap has: dirty and clean in turn, covering the range. */
function modelOf(bitmap: Bitmap, start: bigint, end: bigint): [bigint, bigint, boolean][] {
  const lines: [bigint, bigint, boolean][] = [];
  const granularity = BigInt(bitmap.granularity);
  for (let at = start; at < end; ) {
    const isDirty = bitmap.isDirty(Number(at / granularity));
    const granuleEnd = (at / granularity + 1n) * granularity;
    const next = granuleEnd < end ? granuleEnd : end;
    const last = lines.at(-1);
    if (last?.[2] === isDirty) last[1] += next - at;
    else lines.push([at, next - at, isDirty]);
    at = next;
  }
  return lines;
}

/** Numbers above 2^53 are read exactly. */
function linesOf(json: string): [bigint, bigint, boolean][] {
  const objects = json.matchAll(/\{ "offset": (\d+), "length": (\d+), "type": (\d), "description": "(\w+)"\}/g);
  return [...objects].map(([, offset = "", length = "", type, word]) => {
    expect(word).toBe(type === "1" ? "dirty" : "clean");
    return [BigInt(offset), BigInt(length), type === "1"];
  });
}

describe("against a model", () => {
  test.each([
    ["offsets of all lengths", 512, 0n],
    ["the largest granules", 2 ** 31, 100n],
    ["offsets above 2^53", 2 ** 31, 2n ** 54n],
  ])("%s", async (_, granularity, base) => {
    const first = Number(base / BigInt(granularity));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(99), { maxLength: 40 }),
        fc.nat(granularity - 1),
        fc.nat(100),
        fc.nat(100),
        async (dirty, tail, from, length) => {
          const size = BigInt(first + 100) * BigInt(granularity) - BigInt(tail);
          const bitmap = Bitmap.clean({ size, granularity });
          for (const bit of dirty) bitmap.markBits({ first: first + bit, end: first + bit + 1 });
          const unit = BigInt(granularity) / 2n;
          const start = base + BigInt(from) * unit;
          const end = start + BigInt(length) * unit;
          const within = { offset: start < size ? start : size, length: 0n };
          within.length = (end < size ? end : size) - within.offset;
          const json = await textOf(bitmap, { within });
          expect(linesOf(json)).toEqual(modelOf(bitmap, within.offset, within.offset + within.length));
          expect(JSON.parse(json)).toHaveLength(linesOf(json).length);
          const table = await textOf(bitmap, { within, format: "human" });
          const rows = linesOf(json).map(([offset, bytes, isDirty]) => {
            const numbers = `${String(offset).padStart(10)}  ${String(bytes).padStart(10)}`;
            return `${numbers}    ${Number(isDirty)}  ${isDirty ? "dirty" : "clean"}\n`;
          });
          expect(table).toBe(rows.join(""));
        },
      ),
      runs(100),
    );
  });

  test("more than a buffer of lines; the chunks may be kept, and are read back as the same bits", async () => {
    for (const size of [20_000n * 512n, 2n ** 63n - 1n]) {
      const granularity = size > 2n ** 60n ? 2 ** 31 : 512;
      const bitmap = Bitmap.clean({ size, granularity });
      for (let bit = 1; bit < 20_000; bit += 2) bitmap.markBits({ first: bit, end: bit + 1 });
      const chunks: Uint8Array[] = [];
      for await (const chunk of formatExtents(bitmap)) {
        expect(chunk.length).toBeLessThanOrEqual(2 ** 18);
        chunks.push(chunk);
      }
      expect(chunks.length).toBeGreaterThan(3);
      const map = await readExtentMap(chunks);
      expect(map.toBitmap({ granularity }).equals(bitmap)).toBe(true);
    }
  });
});

/** A bitmap of granules of 512 bytes, of which every second one is dirty, from the second on. */
function everySecond(bitCount: number): Bitmap {
  return Bitmap.fromBytes(new Uint8Array(bitCount / 8).fill(0xaa), { size: bitCount * 512, granularity: 512 });
}

describe("what goes wrong", () => {
  test("a range outside of the disk is refused before anything is yielded", async () => {
    for (const within of [
      { offset: 0, length: 1_049_089 },
      { offset: -1, length: 1 },
      { offset: Number.NaN, length: 1 },
    ]) {
      const text = formatExtents(written(), { within });
      await expect(text.next()).rejects.toMatchObject({ code: "USAGE" });
    }
  });

  test("after an error the JSON is no whole one", async () => {
    const fault = new Error("a cluster is damaged");
    const dense = everySecond(20_000);
    const broken = {
      size: dense.size,
      granularity: dense.granularity,
      *batches(): Generator<ExtentBatch, void> {
        yield* dense.batches();
        throw fault;
      },
    };
    let text = "";
    const reading = (async () => {
      for await (const chunk of formatExtents(broken)) text += Buffer.from(chunk).toString();
    })();
    await expect(reading).rejects.toBe(fault);
    expect(text).toMatch(/^\[\n\{ "offset": 0,/);
    expect(() => JSON.parse(text)).toThrow();
  });

  test("an aborted call ends with ABORTED", async () => {
    const reason = new Error("enough");
    const controller = new AbortController();
    const options: FormatOptions = { signal: controller.signal };
    const bitmap = everySecond(2 ** 23);
    setTimeout(() => controller.abort(reason), 30);
    const error = await rejection(async () => {
      for await (const _ of formatExtents(bitmap, options));
    });
    expect([error.code, error.cause]).toEqual(["ABORTED", reason]);
    expect((await rejection(() => textOf(written(), options))).code).toBe("ABORTED");
  });

  test("a bitmap that is changed between two chunks is printed as it was", async () => {
    const bitmap = everySecond(20_000);
    const before = await textOf(bitmap);
    let text = "";
    for await (const chunk of formatExtents(bitmap)) {
      bitmap.unmark({ offset: 0, length: bitmap.size });
      text += Buffer.from(chunk).toString();
    }
    expect(text).toBe(before);
  });
});

/** Runs as a printer prints them, in WebAssembly if `fast`. The text before them is cut off, and all numbers are compared. */
function printed(runs: Uint32Array, shape: BitmapShape, options: PrinterOptions, fast: boolean): string {
  const pieces: Buffer[] = [];
  const printer = new ExtentPrinter((bytes) => void pieces.push(Buffer.from(bytes)), shape, options);
  const print = (): void => {
    printer.push(new ExtentBatch(shape, runs));
    printer.finish();
  };
  if (fast) print();
  else withoutKernels(print);
  return Buffer.concat(pieces).toString("latin1");
}

describe.each(["json", "human"] as const)("lines in WebAssembly, %s", (format) => {
  /** Runs between which and in which lie the given numbers of bits, in turn. */
  const runsAfter = (first: number, lengths: readonly number[]): Uint32Array => {
    const runs: number[] = [];
    let bit = first;
    for (const length of lengths) {
      if (bit + length > 2 ** 32) break;
      runs.push(runs.length % 2 === 0 ? bit : bit - 1);
      bit += length;
    }
    return Uint32Array.from(runs.length % 2 === 0 ? runs : runs.slice(0, -1));
  };

  test("numbers of any length are those of JavaScript, at every border and at random", () => {
    const lengths = fc.array(
      fc.oneof(
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 2 ** 20 }),
        fc.integer({ min: 1, max: 2 ** 27 }),
      ),
      { minLength: 200, maxLength: 800, size: "max" },
    );
    fc.assert(
      fc.property(fc.integer({ min: 9, max: 31 }), fc.nat(2 ** 31), lengths, fc.nat(600), (shift, first, bits, cut) => {
        const granularity = 2 ** shift;
        const runs = runsAfter(first, bits);
        const end = BigInt((runs.at(-1) ?? 0) + 1) * BigInt(granularity) - BigInt(cut % granularity);
        const shape = { size: end + BigInt(first), granularity };
        const start = BigInt(runs[0] ?? 0) * BigInt(granularity) + BigInt(cut % 3);
        for (const options of [{ format }, { format, start, end }])
          expect(printed(runs, shape, options, true)).toBe(printed(runs, shape, options, false));
      }),
      runs(40),
    );
    for (let power = 10; power < 2 ** 32; power *= 10) {
      for (const first of [power - 1, power, power + 1]) {
        const around = runsAfter(Math.max(0, first - 200), new Array<number>(400).fill(1));
        for (const granularity of [512, 2 ** 16, 2 ** 31]) {
          const shape = { size: BigInt(2 ** 32) * BigInt(granularity), granularity };
          expect(printed(around, shape, { format }, true)).toBe(printed(around, shape, { format }, false));
        }
      }
    }
  });
});
