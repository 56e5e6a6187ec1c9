import {
  appendFileSync,
  linkSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { Bitmap, ExtentBatch, QdbError } from "@qdb/format";
import { encodeRecord, RECORD } from "@qdb/format/container";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { errorOf } from "../../format/test/contract/errors.ts";
import { copyExtents, diffImages, lookAtDisk } from "../src/index.ts";
import { twoDisks, twoImages, writeImages } from "./support/disks.ts";
import { ioError, replaceInFs } from "./support/fake-fs.ts";
import { pattern } from "./support/images.ts";
import { loopDevice, tinyFileSystem } from "./support/root.ts";
import { temporaryDirectory } from "./support/temp.ts";

const size = 4 * 2 ** 20 + 1000;
const granularity = 65536;
const shape = { size: BigInt(size), granularity };

/** A bitmap whose dirty bits are these. */
function bitmapOf(...bits: number[]): Bitmap {
  const bitmap = Bitmap.clean(shape);
  for (const bit of bits) bitmap.markBits({ first: bit, end: bit + 1 });
  return bitmap;
}

function images() {
  const { base, current } = twoImages(pattern(size, 1), pattern(size, 2));
  return { source: current, target: base };
}

describe("copying", () => {
  test("what differs makes the target the same as the source", async () => {
    const directory = temporaryDirectory();
    await fc.assert(
      fc.asyncProperty(twoDisks(300_000), fc.constantFrom(512, 4096, 65536), async (disks, granularity) => {
        const before = new Uint8Array(disks.current.length);
        before.set(disks.base.subarray(0, before.length));
        const { base, current } = writeImages(directory, before, disks.current);
        const bitmap = await diffImages(base, current, { granularity });
        expect(await copyExtents(bitmap, current, base)).toBe(Number(bitmap.dirtyBytes()));
        expect(Buffer.compare(readFileSync(base), disks.current)).toBe(0);
      }),
      { numRuns: 100 },
    );
  });

  test("touches nothing but the dirty extents, and leaves the source as it was", async () => {
    const { source, target } = images();
    const before = statSync(source, { bigint: true });
    const wanted = pattern(size, 1);
    for (const [start, end] of [
      [65536, 3 * 65536],
      [64 * 65536, size],
    ]) {
      wanted.set(pattern(size, 2).subarray(start, end), start);
    }
    expect(await copyExtents(bitmapOf(1, 2, 64), source, target)).toBe(2 * 65536 + 1000);
    expect(Buffer.compare(readFileSync(target), wanted)).toBe(0);
    expect(Buffer.compare(readFileSync(source), pattern(size, 2))).toBe(0);
    expect(statSync(source, { bigint: true }).mtimeNs).toBe(before.mtimeNs);
  });

  test("joins what touches, and cuts it at multiples of 1 MiB, from batches of any kind", async () => {
    const { source, target } = images();
    const reads: [number, number][] = [];
    replaceInFs("readSync", (real) => (fd, buffer, ...rest: readonly unknown[]) => {
      const [offset = 0, length = 0, position = 0] = rest.map(Number);
      reads.push([position, length]);
      return real(fd, buffer, offset, length, position);
    });
    async function* batches() {
      yield new ExtentBatch(shape, Uint32Array.of(0, 0, 1, 1));
      yield new ExtentBatch(shape, new Uint32Array());
      yield new ExtentBatch(shape, Uint32Array.of(2, 2, 10, 44));
    }
    await copyExtents(batches(), source, target);
    expect(reads).toEqual([
      [0, 3 * 65536],
      [10 * 65536, 6 * 65536],
      [16 * 65536, 2 ** 20],
      [32 * 65536, 13 * 65536],
    ]);
    const wanted = pattern(size, 1);
    wanted.set(pattern(size, 2).subarray(0, 3 * 65536));
    wanted.set(pattern(size, 2).subarray(10 * 65536, 45 * 65536), 10 * 65536);
    expect(Buffer.compare(readFileSync(target), wanted)).toBe(0);
  });

  test("with no dirty bit copies nothing; an empty disk is copied at once", async () => {
    const { source, target } = images();
    expect(await copyExtents(bitmapOf(), source, target)).toBe(0);
    expect(await copyExtents([], source, target)).toBe(0);
    expect(Buffer.compare(readFileSync(target), pattern(size, 1))).toBe(0);
    const empty = twoImages(new Uint8Array(), new Uint8Array());
    expect(await copyExtents(Bitmap.dirty({ size: 0n, granularity }), empty.current, empty.base)).toBe(0);
  });

  test("works between devices, and from one that cannot be written", async () => {
    const { base, current } = twoImages(pattern(2 ** 20, 1), pattern(2 ** 20, 2));
    const source = loopDevice(current, "--read-only");
    const target = loopDevice(base);
    const bitmap = Bitmap.dirty({ size: 2n ** 20n, granularity });
    expect(await copyExtents(bitmap, source, target)).toBe(2 ** 20);
    expect(Buffer.compare(readFileSync(target), pattern(2 ** 20, 2))).toBe(0);
  });

  test("tells progress in bytes of the disk, and can be aborted", async () => {
    const { source, target } = images();
    const told: [number, number][] = [];
    const onProgress = (done: number, total: number) => void told.push([done, total]);
    await copyExtents(bitmapOf(3), source, target, { onProgress });
    expect(told.at(-1)).toEqual([size, size]);
    const controller = new AbortController();
    const { signal } = controller;
    async function* slow() {
      yield new ExtentBatch(shape, Uint32Array.of(0, 0, 2, 2));
      controller.abort();
      await new Promise((resolve) => setTimeout(resolve, 30));
      yield new ExtentBatch(shape, Uint32Array.of(4, 4));
    }
    expect((await errorOf(() => copyExtents(slow(), source, target, { signal }))).code).toBe("ABORTED");
  });
});

describe("copying to a sink", () => {
  /** A store of chunks of 1 MiB that keeps the bytes as it is given them. */
  function chunkStore() {
    const chunks = new Map<number, Uint8Array>();
    let flushes = 0;
    return {
      chunks,
      flushes: () => flushes,
      sink: {
        async write(offset: number, bytes: Uint8Array) {
          await new Promise((resolve) => setTimeout(resolve, 1));
          chunks.set(offset, bytes);
        },
        flush: () => void flushes++,
      },
    };
  }

  test("it may keep the bytes, several chunks at a time", async () => {
    const { source } = images();
    for (const concurrency of [1, 4]) {
      const { chunks, flushes, sink } = chunkStore();
      const bits = bitmapOf(0, 20, 33, 64).regranulate(2 ** 20);
      const disk = { label: "b", records: [encodeRecord({ kind: "stamp", stamp: lookAtDisk(source).diskStamp })] };
      const copied = await copyExtents(bits, source, sink, { chunkSize: 2 ** 20, concurrency, disk });
      expect(copied).toBe(3 * 2 ** 20 + 1000);
      expect([...chunks.keys()].sort((a, b) => a - b)).toEqual([0, 2 ** 20, 2 * 2 ** 20, 4 * 2 ** 20]);
      for (const [offset, bytes] of chunks) {
        expect(Buffer.compare(bytes, pattern(size, 2).subarray(offset, offset + 2 ** 20))).toBe(0);
      }
      expect(flushes()).toBe(1);
    }
  });

  test("it is not flushed if the source changed, or the disk is another one", async () => {
    const { source } = images();
    const { flushes, sink } = chunkStore();
    const disk = { label: "b", records: [encodeRecord({ kind: "stamp", stamp: lookAtDisk(source).diskStamp })] };
    const changing = {
      ...sink,
      async write(offset: number, bytes: Uint8Array) {
        utimesSync(source, 1, 1);
        await sink.write(offset, bytes);
      },
    };
    const changed = await errorOf(() => copyExtents(bitmapOf(1), source, changing));
    expect([changed.code, changed.message]).toEqual(["SOURCE_CHANGED", expect.stringContaining(source)]);
    const shorter = { ...sink, write: async () => truncateSync(source, 65536) };
    expect((await errorOf(() => copyExtents(bitmapOf(0, 3), source, shorter))).code).toBe("SOURCE_CHANGED");
    truncateSync(source, size);
    expect((await errorOf(() => copyExtents(bitmapOf(1), source, sink, { disk }))).code).toBe("WRONG_DISK");
    expect(flushes()).toBe(0);
  });

  test("a write that fails reaches the caller", async () => {
    const { source } = images();
    const fault = new Error("the server answered 500");
    const failing = {
      async write() {
        throw fault;
      },
    };
    await expect(copyExtents(bitmapOf(1), source, failing)).rejects.toBe(fault);
  });
});

describe("a copy is refused, and the target left as it was", () => {
  const refusal = async (source: string, target: string, extents: Parameters<typeof copyExtents>[0] = bitmapOf(1)) => {
    const error = await errorOf(() => copyExtents(extents, source, target));
    return error.code;
  };

  test("when source, target and bitmap are not for the same size", async () => {
    const { source, target } = images();
    const other = Bitmap.dirty({ size: BigInt(size + 1), granularity });
    expect(await refusal(source, target, other)).toBe("SIZE_MISMATCH");
    expect(await refusal(source, target, other.batches())).toBe("SIZE_MISMATCH");
    expect(await refusal(source, target, Bitmap.clean({ size: 1n, granularity }))).toBe("SIZE_MISMATCH");
    expect(Buffer.compare(readFileSync(target), pattern(size, 1))).toBe(0);
    appendFileSync(target, "!");
    expect(await refusal(source, target)).toBe("SIZE_MISMATCH");
  });

  test("when both are one file, by any name", async () => {
    const { source } = images();
    const [hard, soft] = [`${source}.hard`, `${source}.soft`];
    linkSync(source, hard);
    symlinkSync(source, soft);
    for (const target of [source, hard, soft]) expect(await refusal(source, target)).toBe("USAGE");
    const device = loopDevice(source);
    expect(await refusal(device, device)).toBe("USAGE");
  });

  test("when one is missing or no image; nothing is made", async () => {
    const { source, target } = images();
    expect(await refusal(`${source}.no`, target)).toBe("NOT_FOUND");
    expect(await refusal(source, `${target}.no`)).toBe("NOT_FOUND");
    expect(await refusal(`${source}.no`, `${target}.no`)).toBe("NOT_FOUND");
    expect(await refusal(source, temporaryDirectory())).toBe("USAGE");
    expect(await refusal(source, "/dev/null")).toBe("USAGE");
  });
});

describe("the disk that a bitmap was stored for", () => {
  const storedFor = (path: string) => ({
    label: "b",
    records: [encodeRecord({ kind: "stamp", stamp: lookAtDisk(path).diskStamp })],
  });

  test("is compared with what was opened, after the bits were read and before anything is written", async () => {
    const { source, target } = images();
    const disk = storedFor(source);
    expect(await copyExtents(async () => bitmapOf(1), source, target, { disk })).toBe(65536);
    const before = readFileSync(target);
    utimesSync(source, 1, 1);
    const changed = await errorOf(() => copyExtents(bitmapOf(2), source, target, { disk }));
    expect([changed.code, changed.where]).toEqual(["WRONG_DISK", { structure: "disk", bitmap: "b" }]);
    expect(changed.message).toContain(source);
    const broken = { ...disk, records: [{ type: RECORD.stamp, data: new Uint8Array(25) }] };
    expect((await errorOf(() => copyExtents(bitmapOf(2), source, target, { disk: broken }))).code).toBe("WRONG_DISK");
    const damaged = async (): Promise<Bitmap> => {
      throw new QdbError("BAD_CHECKSUM", "a cluster is damaged");
    };
    expect((await errorOf(() => copyExtents(damaged, source, target, { disk }))).code).toBe("BAD_CHECKSUM");
    expect(readFileSync(target).equals(before)).toBe(true);
  });

  test("is watched while the bits are read", async () => {
    const { source, target } = images();
    const slow = async (): Promise<Bitmap> => {
      utimesSync(source, 1, 1);
      return bitmapOf();
    };
    for (const options of [{ disk: storedFor(source) }, {}]) {
      expect((await errorOf(() => copyExtents(slow, source, target, options))).code).toBe("SOURCE_CHANGED");
      utimesSync(source, 2, 2);
    }
  });
});

describe("a copy that went wrong is told", () => {
  test("the source changed meanwhile", async () => {
    const changes: ((path: string) => void)[] = [
      (path) => writeFileSync(path, "new", { flag: "r+" }),
      (path) => appendFileSync(path, "more"),
      (path) => utimesSync(path, 1, 1),
      (path) => writeFileSync(path, "short"),
    ];
    for (const change of changes) {
      const { source, target } = images();
      async function* batches() {
        yield new ExtentBatch(shape, Uint32Array.of(0, 0));
        change(source);
        yield new ExtentBatch(shape, Uint32Array.of(9, 9));
      }
      const error = await errorOf(() => copyExtents(batches(), source, target));
      expect(error.code).toBe("SOURCE_CHANGED");
      expect(error.message).toContain(source);
    }
  });

  test("a flush or a close that failed", async () => {
    const { source, target } = images();
    replaceInFs("fsyncSync", () => () => {
      throw ioError();
    });
    const flush = await errorOf(() => copyExtents(bitmapOf(1), source, target));
    expect([flush.code, flush.message]).toEqual(["IO", `cannot flush (fsync) "${target}": EIO: i/o error`]);
    replaceInFs("fsyncSync", () => () => undefined);
    replaceInFs("closeSync", (real) => (fd) => {
      const isTarget = statSync(`/proc/self/fd/${fd}`).ino === statSync(target).ino;
      real(fd);
      if (isTarget) throw ioError();
    });
    expect((await errorOf(() => copyExtents(bitmapOf(1), source, target))).message).toContain("cannot close");
  });

  test("a target without space: a sparse file on a full file system", async () => {
    const directory = tinyFileSystem(65536);
    const target = join(directory, "sparse");
    writeFileSync(target, "");
    truncateSync(target, size);
    const error = await errorOf(() => copyExtents(Bitmap.dirty(shape), images().source, target));
    expect([error.code, error.message]).toEqual(["IO", `cannot write "${target}": ENOSPC: no space left on device`]);
  });
});
