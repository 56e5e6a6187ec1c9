import { setTimeout as sleep } from "node:timers/promises";
import {
  type AnySource,
  Bitmap,
  type ByteSource,
  bytesSource,
  ExtentBatch,
  type ExtentSink,
  transferExtents,
} from "@qdb/format";
import type { DirtyExtents } from "@qdb/format/container";
import { describe, expect, test } from "vitest";
import { rejection } from "./support/errors.ts";
import { fc, runs } from "./support/seed.ts";

const SIZE = 300_000;
const DISK = Uint8Array.from({ length: SIZE }, (_, index) => (index * 31 + (index >> 8)) & 0xff);

/** A sink that keeps what it is given, and the disk that is the result: `before` with the writes over it. */
function memorySink(
  before: Uint8Array,
): ExtentSink & { readonly disk: Uint8Array; readonly writes: [number, number][] } {
  const disk = before.slice();
  const writes: [number, number][] = [];
  return {
    disk,
    writes,
    write(offset, bytes) {
      writes.push([offset, bytes.length]);
      disk.set(bytes, offset);
    },
  };
}

/** The same source, read asynchronously. */
function slowSource(bytes: Uint8Array): ByteSource {
  return { size: bytes.length, read: async (offset, length) => (await sleep(0), bytes.slice(offset, offset + length)) };
}

describe("what is dirty comes over, and nothing else", () => {
  const shapes = fc.record({ granularity: fc.constantFrom(512, 4096), bits: fc.array(fc.nat(585), { maxLength: 40 }) });
  const ways: [string, (bits: Bitmap) => DirtyExtents][] = [
    ["a bitmap", (bits) => bits],
    ["batches", (bits) => bits.batches()],
    ["extents", (bits) => bits.extents()],
    ["extents as numbers, in another order", (bits) => [...bits.extents()].reverse().map(asNumbers)],
    ["extents that arrive one by one", (bits) => one(bits.extents())],
  ];
  const asNumbers = ({ offset, length }: { offset: bigint; length: bigint }) => ({
    offset: Number(offset),
    length: Number(length),
  });
  async function* one<T>(items: Iterable<T>): AsyncGenerator<T, void> {
    for (const item of items) yield item;
  }

  test.each(ways)("from %s", async (_, given) => {
    await fc.assert(
      fc.asyncProperty(
        shapes,
        fc.constantFrom(1000, 4096, 65536, 2 ** 20),
        fc.constantFrom(1, 3),
        fc.boolean(),
        async ({ granularity, bits }, chunkSize, concurrency, isSlow) => {
          const bitmap = Bitmap.clean({ size: SIZE, granularity });
          for (const bit of bits) if (bit < bitmap.bitCount) bitmap.markBits({ first: bit, end: bit + 1 });
          const before = new Uint8Array(SIZE).fill(0xee);
          const wanted = before.slice();
          for (let at = 0; at < SIZE; at++) {
            if (bitmap.isDirty(Math.floor(at / granularity))) wanted[at] = DISK[at] ?? 0;
          }
          const sink = memorySink(before);
          const source = isSlow ? slowSource(DISK) : bytesSource(DISK);
          const count = await transferExtents(given(bitmap), source, sink, { chunkSize, concurrency });
          expect(count).toBe(Number(bitmap.dirtyBytes()));
          expect(Buffer.compare(sink.disk, wanted)).toBe(0);
          for (const [offset, length] of sink.writes) {
            expect(length).toBeGreaterThan(0);
            expect(Math.floor(offset / chunkSize)).toBe(Math.floor((offset + length - 1) / chunkSize));
          }
        },
      ),
      runs(40),
    );
  });

  test("adjacent extents are joined, also those of different batches", async () => {
    const shape = { size: BigInt(SIZE), granularity: 512 };
    const sink = memorySink(DISK);
    const batches = [
      new ExtentBatch(shape, Uint32Array.of(0, 0, 1, 1)),
      new ExtentBatch(shape, new Uint32Array()),
      new ExtentBatch(shape, Uint32Array.of(2, 2, 10, 11)),
    ];
    await transferExtents(batches, bytesSource(DISK), sink);
    expect(sink.writes).toEqual([
      [0, 3 * 512],
      [5120, 1024],
    ]);
  });

  test("a store of chunks gets whole chunks of a bitmap with their granularity", async () => {
    const bits = Bitmap.clean({ size: SIZE, granularity: 512 });
    for (const offset of [0, 65536 + 1000, 4 * 65536]) bits.mark({ offset, length: 1 });
    const sink = memorySink(DISK);
    await transferExtents(bits.regranulate(65536), bytesSource(DISK), sink, { chunkSize: 65536 });
    expect(sink.writes).toEqual([
      [0, 65536],
      [65536, 65536],
      [4 * 65536, SIZE - 4 * 65536],
    ]);
  });

  test("the extents of a bitmap are those at the beginning", async () => {
    const bits = Bitmap.clean({ size: SIZE, granularity: 4096 });
    bits.mark({ offset: 0, length: 1 });
    bits.mark({ offset: 40960, length: 1 });
    const writes: number[] = [];
    const sink: ExtentSink = {
      async write(offset) {
        writes.push(offset);
        if (offset === 0) bits.unmark({ offset: 0, length: SIZE });
        else bits.free();
      },
    };
    await transferExtents(bits, slowSource(DISK), sink);
    expect(writes).toEqual([0, 40960]);
  });
});

describe("the sink sets the pace", () => {
  test.each([1, 2, 5])("with at most %i chunks at a time", async (concurrency) => {
    let now = 0;
    let most = 0;
    const source: ByteSource = {
      size: SIZE,
      async read(offset, length) {
        most = Math.max(most, ++now);
        await sleep(1);
        return DISK.slice(offset, offset + length);
      },
    };
    const sink: ExtentSink = {
      async write() {
        await sleep(2);
        now--;
      },
    };
    await transferExtents([{ offset: 0, length: SIZE }], source, sink, { chunkSize: 10_000, concurrency });
    expect([most, now]).toEqual([concurrency, 0]);
  });

  test("flush is called once, after all writes", async () => {
    const calls: string[] = [];
    const sink: ExtentSink = {
      async write() {
        calls.push("begin");
        await sleep(2);
        calls.push("end");
      },
      async flush() {
        await sleep(1);
        calls.push("flush");
      },
    };
    const extents = [0, 1, 2].map((index) => ({ offset: index * 1000, length: 10 }));
    await transferExtents(extents, bytesSource(DISK), sink, { concurrency: 3 });
    expect(calls).toEqual(["begin", "begin", "begin", "end", "end", "end", "flush"]);
  });
});

describe("a transfer that fails says so", () => {
  const all = [{ offset: 0, length: SIZE }];
  const fault = new Error("the server answered 500");

  /** A sink that fails at one write, late if that is asked for, and counts its calls. */
  function failingSink(at: number, isLate: boolean) {
    const seen = { begun: 0, ended: 0, flushed: 0 };
    const sink: ExtentSink = {
      write() {
        const mine = ++seen.begun;
        if (!isLate && mine === at) throw fault;
        return sleep(mine === at ? 5 : 15).then(() => {
          seen.ended++;
          if (mine === at) throw fault;
        });
      },
      flush: () => void seen.flushed++,
    };
    return { sink, seen };
  }

  test.each([
    [1, 1, false],
    [1, 3, true],
    [4, 1, true],
    [4, 6, true],
    [4, 6, false],
  ])("with %i chunks at a time, when write %i fails (later: %s)", async (concurrency, at, isLate) => {
    for (const source of [bytesSource(DISK), slowSource(DISK)]) {
      const { sink, seen } = failingSink(at, isLate);
      const options = { chunkSize: 10_000, concurrency };
      await expect(transferExtents(all, source, sink, options)).rejects.toBe(fault);
      const after = { ...seen };
      expect(seen.flushed).toBe(0);
      // What was begun has ended, and nothing is begun any more.
      expect(seen.ended).toBe(isLate ? seen.begun : seen.begun - 1);
      expect(seen.begun).toBeLessThan(at + concurrency);
      await sleep(30);
      expect(seen).toEqual(after);
    }
  });

  test("when the flush fails", async () => {
    const flush = async (): Promise<void> => {
      throw fault;
    };
    await expect(transferExtents(all, bytesSource(DISK), { write() {}, flush })).rejects.toBe(fault);
  });

  test("when the sink returns what it should have looked at", async () => {
    const returned: unknown[] = [12, { bytesWritten: 5 }, false, null, Promise.resolve({ status: 500 })];
    for (const value of returned) {
      const sink = { write: () => value } as never;
      expect(await rejection(() => transferExtents(all, bytesSource(DISK), sink))).toMatchObject({
        code: "USAGE",
        where: { field: "write" },
      });
      const flushing = { write() {}, flush: () => value } as never;
      expect((await rejection(() => transferExtents(all, bytesSource(DISK), flushing))).code).toBe("USAGE");
    }
  });

  test("when a read fails, or returns too few or too many bytes", async () => {
    const reads: [string, AnySource["size"], (offset: number, length: number) => Uint8Array][] = [
      ["SHORT_READ", SIZE, (offset, length) => DISK.subarray(offset, offset + length - 1)],
      ["SHORT_READ", SIZE, (offset, length) => DISK.subarray(offset, offset + length + 1)],
      ["SHORT_READ", SIZE + 1, (offset, length) => bytesSource(DISK).readSync(offset, length)],
    ];
    for (const [code, size, readSync] of reads) {
      for (const source of [
        { size, readSync },
        { size, read: async (offset: number, length: number) => readSync(offset, length) },
      ]) {
        const flushes: string[] = [];
        const sink: ExtentSink = { write() {}, flush: () => void flushes.push("flush") };
        const extents = [
          { offset: 0, length: size - 1 },
          { offset: size - 1, length: 1 },
        ];
        expect((await rejection(() => transferExtents(extents, source, sink, { chunkSize: 1000 }))).code).toBe(code);
        expect(flushes).toEqual([]);
      }
    }
  });

  test("when the extents fail, and their iterator is closed when another thing fails", async () => {
    let isClosed = false;
    async function* extents(): AsyncGenerator<{ offset: number; length: number }, void> {
      try {
        yield { offset: 0, length: 10 };
        yield { offset: 100, length: 10 };
        throw fault;
      } finally {
        isClosed = true;
      }
    }
    await expect(transferExtents(extents(), bytesSource(DISK), memorySink(DISK))).rejects.toBe(fault);
    isClosed = false;
    const { sink } = failingSink(1, true);
    await expect(transferExtents(extents(), bytesSource(DISK), sink)).rejects.toBe(fault);
    expect(isClosed).toBe(true);
  });

  test("when the source changed meanwhile: nothing is flushed", async () => {
    for (const after of ["new", undefined]) {
      let stamp: string | undefined = "old";
      const flushes: string[] = [];
      const source = { ...bytesSource(DISK), stamp: () => stamp };
      const sink: ExtentSink = {
        write() {
          stamp = after;
        },
        flush: () => void flushes.push("flush"),
      };
      expect((await rejection(() => transferExtents(all, source, sink))).code).toBe("SOURCE_CHANGED");
      expect(flushes).toEqual([]);
    }
  });
});

describe("what is refused", () => {
  const refused = async (extents: DirtyExtents, options = {}) => {
    const sink = memorySink(DISK);
    const { code } = await rejection(() => transferExtents(extents, bytesSource(DISK), sink, options));
    expect(sink.writes).toEqual([]);
    return code;
  };

  test("extents of a disk of another size", async () => {
    const other = { size: SIZE + 1, granularity: 512 };
    expect(await refused(Bitmap.dirty(other))).toBe("SIZE_MISMATCH");
    expect(await refused(Bitmap.clean(other))).toBe("SIZE_MISMATCH");
    expect(await refused(Bitmap.dirty(other).batches())).toBe("SIZE_MISMATCH");
  });

  test.each([
    [SIZE, 1],
    [0, SIZE + 1],
    [-1, 2],
    [0, -1],
    [0.5, 1],
    [Number.NaN, 1],
    [0, Number.NaN],
    [0n, 2n ** 64n],
    ["0", 1],
  ])("an extent %s+%s", async (offset, length) => {
    expect(await refused([{ offset, length } as never])).toBe("USAGE");
  });

  test("a size of chunks, or a number of them, below 1", async () => {
    for (const value of [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(await refused([], { chunkSize: value })).toBe("USAGE");
      expect(await refused([], { concurrency: value })).toBe("USAGE");
    }
  });
});

describe("progress and abort", () => {
  test("progress is bytes of the disk, does not go back, and ends at the size", async () => {
    const told: [number, number][] = [];
    const extents = [200_000, 100_000, 0].map((offset) => ({ offset, length: 1000 }));
    const onProgress = (done: number, total: number) => void told.push([done, total]);
    const sink: ExtentSink = { write: () => sleep(20) };
    expect(await transferExtents(extents, bytesSource(DISK), sink, { onProgress })).toBe(3000);
    expect(told.at(-1)).toEqual([SIZE, SIZE]);
    expect(told.length).toBeGreaterThan(2);
    expect(told).toEqual([...told].sort(([a], [b]) => a - b));
  });

  test("before it begins nothing is read; in the middle it ends with ABORTED, and the sink knows the signal", async () => {
    const reason = new Error("enough");
    const sink = memorySink(DISK);
    const aborted = { code: "ABORTED", cause: reason };
    const all = [{ offset: 0, length: SIZE }];
    const signal = AbortSignal.abort(reason);
    await expect(transferExtents(all, bytesSource(DISK), sink, { signal })).rejects.toMatchObject(aborted);
    expect(sink.writes).toEqual([]);
    for (const concurrency of [1, 3]) {
      const controller = new AbortController();
      let begun = 0;
      let ended = 0;
      const slow: ExtentSink = {
        async write(_, __, options) {
          begun++;
          setTimeout(() => controller.abort(reason), 10);
          // Rejects with an error of its own when the signal is aborted.
          await sleep(10_000, undefined, options).finally(() => ended++);
        },
      };
      const options = { signal: controller.signal, chunkSize: 1000, concurrency };
      await expect(transferExtents(all, bytesSource(DISK), slow, options)).rejects.toMatchObject(aborted);
      expect([begun, ended]).toEqual([concurrency, concurrency]);
    }
  });

  test("a long transfer of a synchronous source and sink can be aborted by a timer", async () => {
    const disk = new Uint8Array(2 ** 20);
    const extents = (function* () {
      for (;;) yield { offset: 0, length: disk.length };
    })();
    const signal = AbortSignal.timeout(30);
    const error = await rejection(() => transferExtents(extents, bytesSource(disk), memorySink(disk), { signal }));
    expect(error.code).toBe("ABORTED");
  });
});
