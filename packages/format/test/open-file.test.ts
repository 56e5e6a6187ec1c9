// Open files whose calls are awaited, and those whose calls block: what every host promises of both, and the second kind beside a writer.
import { type AnySource, QdbFile, QdbFileSync, readBitmapSync, type SyncByteSource } from "@qdb/format";
import type { Clock } from "@qdb/format/container";
import { describe, expect, test } from "vitest";
import { readingContract } from "./contract/reading.ts";
import { bits, file, rep } from "./hand.ts";
import { asyncStore, bitmap, fileOf, MemoryStore, ZLIB } from "./store.ts";
import { errorOf } from "./support/errors.ts";
import { fileAt, memoryHost, type Place } from "./support/memory-host.ts";

/** A source that reads the file of a place as it is at the time. */
function sourceAt(place: Place): SyncByteSource {
  const store = fileAt(place);
  return {
    get size() {
      return store.size;
    },
    refresh: () => undefined,
    readSync: (offset, length) => store.readSync(offset, length),
  };
}

const HOST = memoryHost((store) => store);

describe("QdbFile over a synchronous source", () =>
  readingContract({
    ...HOST,
    open: (place, options) => QdbFile.open(sourceAt(place), { digests: ZLIB, ...options }),
  }));

describe("QdbFile over an asynchronous source", () =>
  readingContract({
    ...HOST,
    open(place, options) {
      const { read } = asyncStore(fileAt(place));
      const source: AnySource = {
        get size() {
          return fileAt(place).size;
        },
        refresh: async () => undefined,
        read,
      };
      return QdbFile.open(source, { digests: ZLIB, ...options });
    },
  }));

describe("QdbFileSync", () => {
  readingContract({
    ...HOST,
    open: (place, options) => QdbFileSync.open(sourceAt(place), { digests: ZLIB, ...options }),
  });

  /** State `n` of a file of so many bytes: bit `n` of bitmap a is dirty. The bytes of the states before it are overwritten. */
  const state = (n: number, length = 20480): Uint8Array =>
    file({
      header: { generation: BigInt(n + 1) },
      bitmaps: [{ name: "a", size: 65536n * 100n, clusters: [bits(13, n)] }],
      length,
    });

  /** A file that a writer changes: `before` is called before each read, and can replace `bytes`. */
  class Changing implements SyncByteSource {
    bytes: Uint8Array;
    size: number;
    reads = 0;
    before: (read: number, offset: number) => void = () => undefined;

    constructor(bytes: Uint8Array) {
      this.bytes = bytes;
      this.size = bytes.length;
    }

    refresh(): void {
      this.size = this.bytes.length;
    }

    readSync(offset: number, length: number): Uint8Array {
      this.before(this.reads++, offset);
      return this.bytes.slice(offset, offset + length);
    }
  }

  const dirty = (opened: QdbFileSync): number[] => [...opened.bitmap("a").batches()].flatMap(({ runs }) => [...runs]);

  const calls: Readonly<Record<string, (opened: QdbFileSync) => unknown>> = {
    read: (opened) => readBitmapSync(opened.bitmap("a")).nextDirty(),
    count: (opened) => opened.bitmap("a").count().bits,
    batches: dirty,
    extents: (opened) => [...opened.bitmap("a").extents()].map(({ offset }) => Number(offset) / 65536),
  };

  test.each(Object.entries(calls))("%s starts over if a commit comes in meanwhile", (_, call) => {
    const expected = call(QdbFileSync.open(new Changing(state(4)), { digests: ZLIB }));
    for (const at of [0, 1, 2]) {
      const disk = new Changing(state(3));
      const opened = QdbFileSync.open(disk, { digests: ZLIB });
      const start = disk.reads;
      disk.before = (read) => {
        if (read === start + at) disk.bytes = state(4);
      };
      expect(call(opened)).toEqual(expected);
      expect(opened.index.header.generation).toBe(5n);
    }
  });

  test("opening starts over if a commit comes in meanwhile", () => {
    for (const at of [1, 2]) {
      const disk = new Changing(state(3));
      disk.before = (read) => {
        if (read === at) disk.bytes = state(4);
      };
      const opened = QdbFileSync.open(disk, { digests: ZLIB });
      expect([opened.index.header.generation, dirty(opened)]).toEqual([5n, [4, 4]]);
    }
  });

  /** Time that passes by waiting alone. */
  const testClock = (): Clock & { time: number; readonly waits: number[] } => ({
    time: 0,
    waits: [],
    now() {
      return this.time;
    },
    wait: () => Promise.reject(new Error("a synchronous call waits for no promise")),
    waitSync(ms) {
      this.waits.push(ms);
      this.time += ms;
    },
  });

  test("waits longer each time that the file changes, and gives up after ten seconds: LOCKED", () => {
    const clock = testClock();
    // Too long to be read into memory as a whole.
    const states = [state(3, 9 * 2 ** 20), state(4, 9 * 2 ** 20)] as const;
    const disk = new Changing(states[0]);
    const opened = QdbFileSync.open(disk, { digests: ZLIB, clock });
    disk.before = (_, offset) => {
      if (offset === 9216) disk.bytes = disk.bytes === states[0] ? states[1] : states[0];
    };
    expect(errorOf(() => opened.bitmap("a").count()).code).toBe("LOCKED");
    expect(clock.time).toBeGreaterThanOrEqual(10_000);
    expect(clock.time).toBeLessThan(10_500);
    expect(clock.waits.slice(0, 10)).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 256]);
    disk.before = () => undefined;
    expect(opened.bitmap("a").count().bits).toBe(1);
  });

  test("without a clock of its own, it blocks the thread for that time", () => {
    const states = [state(3, 9 * 2 ** 20), state(4, 9 * 2 ** 20)] as const;
    const disk = new Changing(states[0]);
    let changes = 0;
    disk.before = (_, offset) => {
      if (offset === 8192 && changes++ < 4) disk.bytes = states[changes % 2 === 0 ? 0 : 1];
    };
    const since = performance.now();
    QdbFileSync.open(disk, { digests: ZLIB });
    expect(changes).toBe(5);
    expect(performance.now() - since).toBeGreaterThanOrEqual(1 + 2 + 4 + 8);
  });

  test("a commit after a part of the extents has left is SOURCE_CHANGED", () => {
    const clusters = Array.from({ length: 2000 }, () => rep(0x55, 512));
    const disk = new Changing(file({ bitmaps: [{ name: "a", size: 4096n * 2000n * 65536n, clusters }] }));
    const opened = QdbFileSync.open(disk, { digests: ZLIB });
    let batches = 0;
    const call = (): void => {
      for (const _ of opened.bitmap("a").batches({ holdBytes: 0 })) if (batches++ === 0) disk.bytes = state(7);
    };
    expect(errorOf(call).code).toBe("SOURCE_CHANGED");
    expect(batches).toBeGreaterThan(0);
    expect(dirty(opened)).toEqual([7, 7]);
  });

  test("refuses what is asynchronous: a source, its refresh, a hook", () => {
    const bytes = fileOf({ a: bitmap(16, [1]) });
    const asynchronous = asyncStore(new MemoryStore(bytes)) as unknown as SyncByteSource;
    expect(errorOf(() => QdbFileSync.open(asynchronous)).code).toBe("NOT_SUPPORTED");
    const refreshing = Object.assign(new Changing(bytes), { refresh: () => Promise.reject(new Error("not awaited")) });
    expect(errorOf(() => QdbFileSync.open(refreshing)).code).toBe("NOT_SUPPORTED");
    const opened = QdbFileSync.open(new Changing(bytes), { digests: ZLIB, beforeBits: async () => undefined });
    for (const call of Object.values(calls)) expect(errorOf(() => call(opened)).code).toBe("NOT_SUPPORTED");
  });

  test("a hook that throws refuses the bits, after any error of the bits themselves", () => {
    const own = new Error("of the hook");
    const beforeBits = (): never => {
      throw own;
    };
    const opened = QdbFileSync.open(new Changing(state(3)), { digests: ZLIB, beforeBits });
    for (const call of Object.values(calls)) expect(() => call(opened)).toThrow(own);
    const damaged = state(3);
    damaged[9216] = 0xff;
    const broken = QdbFileSync.open(new Changing(damaged), { digests: ZLIB, beforeBits });
    for (const call of Object.values(calls)) expect(errorOf(() => call(broken)).code).toBe("BAD_CHECKSUM");
  });

  test("using closes the source", () => {
    let closes = 0;
    const source = Object.assign(new Changing(state(3)), { close: () => void closes++ });
    {
      using opened = QdbFileSync.open(source, { digests: ZLIB });
      expect(dirty(opened)).toEqual([3, 3]);
      expect(closes).toBe(0);
    }
    expect(closes).toBe(1);
  });
});
