// Readers beside a writer (spec section 5, Readers): the primary is read again after reading and before any error.
import { crc32 } from "node:zlib";
import {
  type AnySource,
  type ByteSource,
  bytesSource,
  type CheckSummary,
  checkQdb,
  countAll,
  dumpQdb,
  isQdbError,
  QdbError,
  QdbFile,
  readAll,
  readBitmap,
  type SyncByteSource,
} from "@qdb/format";
import type { Clock } from "@qdb/format/container";
import { bitsReaderOf, printExtents } from "@qdb/format/internal";
import { describe, expect, it } from "vitest";
import { be, bits, edit, file, hex, rep, sealed } from "./hand.ts";
import { brief, ZLIB } from "./reading.ts";

/** Time that passes by waiting alone, and what was waited for. */
function testClock(): Clock & { time: number; readonly waits: number[] } {
  return {
    time: 0,
    waits: [],
    now() {
      return this.time;
    },
    async wait(ms) {
      this.waits.push(ms);
      this.time += ms;
    },
  };
}

const OPTIONS = { digests: ZLIB, clock: testClock(), acceptMirror: true };
/** 2000 clusters of 512 bytes of every second bit: many batches of extents, and more than one window. */
const LARGE = { size: 4096n * 2000n * 65536n, clusters: Array.from({ length: 2000 }, () => rep(0x55, 512)) };

/** State `n` of a file: bitmap a has bit n dirty; the bytes of the states before it are overwritten, as a writer does. */
function state(n: number, more: object = {}, length = 20480): Uint8Array {
  return file({
    header: { generation: BigInt(n + 1) },
    bitmaps: [{ name: "a", size: 65536n * 100n, clusters: [bits(13, n)], ...more }],
    length,
  });
}

/** Longer than what is read in one piece. */
const LONG = 9 * 2 ** 20;

/** A table in which bitmap a has no bits any more. */
const NEXT_TABLE: Uint8Array = file({ bitmaps: [{ name: "a", size: 0n }] }).slice(8192, 8192 + 48);

/** A file that a writer changes: `before` is told the number of each read, and may set other bytes. */
interface Changing {
  bytes: Uint8Array;
  reads: number;
  before: (read: number, offset: number, length: number) => void;
}

const KINDS = ["sync", "async"] as const;

function changing(bytes: Uint8Array): Changing {
  return { bytes, reads: 0, before: () => undefined };
}

function source(disk: Changing, kind: (typeof KINDS)[number]): AnySource & { size: number } {
  const read = (offset: number, length: number): Uint8Array => {
    disk.before(disk.reads++, offset, length);
    const piece = disk.bytes.slice(offset, offset + length);
    if (piece.length < length)
      throw new Error(`the test's file ends at ${disk.bytes.length}, read ${offset}+${length}`);
    return piece;
  };
  const common = {
    size: disk.bytes.length,
    refresh() {
      this.size = disk.bytes.length;
    },
  };
  const sync: SyncByteSource & { size: number } = { ...common, readSync: read };
  const awaited: ByteSource & { size: number } = { ...common, read: async (offset, length) => read(offset, length) };
  return kind === "sync" ? sync : awaited;
}

async function code(call: () => Promise<unknown>): Promise<string> {
  try {
    await call();
    return "ok";
  } catch (error) {
    if (isQdbError(error)) return error.code;
    throw error;
  }
}

/** Dirty bits of a bitmap by its extents. */
async function extents(opened: QdbFile, name: string): Promise<number[]> {
  const runs: number[] = [];
  for await (const batch of opened.bitmap(name).batches()) runs.push(...batch.runs);
  return runs;
}

describe.each(KINDS)("a reader of a %s source", (kind) => {
  it("reads what does not change once, and the primary again", async () => {
    const disk = changing(state(3));
    const opened = await QdbFile.open(source(disk, kind), OPTIONS);
    expect(disk.reads).toBe(3); // primary, table, primary
    expect((await readBitmap(opened.bitmap("a"))).nextDirty()).toBe(3);
    expect(disk.reads).toBe(6); // L1 area, data, primary
  });

  it("starts over where a commit comes in while it opens", async () => {
    for (const at of [1, 2]) {
      const disk = changing(state(3));
      disk.before = (read) => {
        if (read === at) disk.bytes = state(4);
      };
      const opened = await QdbFile.open(source(disk, kind), OPTIONS);
      expect(opened.index.header.generation).toBe(5n);
      expect(await extents(opened, "a")).toEqual([4, 4]);
    }
  });

  it("starts over where a commit comes in during a call, and gives the new state", async () => {
    const calls: Record<string, (opened: QdbFile) => Promise<unknown>> = {
      read: async (opened) => (await readBitmap(opened.bitmap("a"))).nextDirty(),
      count: async (opened) => (await opened.bitmap("a").count()).bits,
      "count of all": async (opened) => (await countAll(opened)).map(({ dirty }) => dirty?.bits),
      extents: (opened) => extents(opened, "a"),
    };
    const expected: Record<string, unknown> = { read: 4, count: 2, "count of all": [2], extents: [4, 5] };
    for (const [name, call] of Object.entries(calls)) {
      // The primary is read last; extents, which leave, are not to leave before that.
      for (const at of [0, 1, 2]) {
        const disk = changing(state(3));
        const opened = await QdbFile.open(source(disk, kind), OPTIONS);
        const start = disk.reads;
        disk.before = (read) => {
          if (read === start + at) disk.bytes = state(4, { clusters: [bits(13, 4, 5)] });
        };
        expect([name, at, await call(opened)]).toEqual([name, at, expected[name]]);
        expect(opened.index.header.generation).toBe(5n);
      }
    }
  });

  it("says nothing of an error that only a commit made", async () => {
    // The data cluster is overwritten before its reader gets to it: BAD_CHECKSUM, but for the new primary.
    const disk = changing(state(3));
    const opened = await QdbFile.open(source(disk, kind), OPTIONS);
    const start = disk.reads;
    disk.before = (read) => {
      if (read === start + 1) disk.bytes = state(9);
    };
    expect(await code(() => opened.bitmap("a").count())).toBe("ok");
    // With the same primary it is what it looks like.
    const damaged = changing(edit(state(3), [9216, rep(0xff, 1)]));
    const other = await QdbFile.open(source(damaged, kind), OPTIONS);
    expect(await code(() => other.bitmap("a").count())).toBe("BAD_CHECKSUM");
  });

  it("starts over where the error is one of opening", async () => {
    const disk = changing(edit(state(3), [8192, hex("ff")]));
    disk.before = (read) => {
      if (read === 2) disk.bytes = state(4);
    };
    const opened = await QdbFile.open(source(disk, kind), OPTIONS);
    expect(opened.index.header.generation).toBe(5n);
    const bad = changing(edit(state(3), [8192, hex("ff")]));
    expect(await code(() => QdbFile.open(source(bad, kind), OPTIONS))).toBe("BAD_CHECKSUM");
  });

  it("sees a file that grew", async () => {
    const disk = changing(state(3));
    const opened = await QdbFile.open(source(disk, kind), OPTIONS);
    const grown = file({ header: { generation: 9n }, bitmaps: [{ name: "a", ...LARGE }] });
    disk.bytes = grown;
    expect((await opened.bitmap("a").count()).bits).toBe(2000 * 2048);
    expect(opened.index.fileSize).toBe(grown.length);
  });

  describe("of a file that changes each time", () => {
    interface Busy {
      readonly call: (disk: Changing, clock: Clock) => Promise<unknown>;
      /** Whether a read is one that each attempt makes once. */
      readonly isOne: (offset: number, length: number) => boolean;
      readonly length: number;
    }
    const dump = async (disk: Changing, clock: Clock): Promise<void> => {
      for await (const _ of dumpQdb(await opened(disk, clock)));
    };
    const calls: Readonly<Record<string, Busy>> = {
      open: {
        length: LONG,
        isOne: (offset) => offset === 8192,
        call: (disk, clock) => QdbFile.open(source(disk, kind), { digests: ZLIB, clock }),
      },
      count: {
        length: LONG,
        isOne: (offset) => offset === 9216,
        call: (disk, clock) => opened(disk, clock).then((file) => file.bitmap("a").count()),
      },
      extents: {
        length: LONG,
        isOne: (offset) => offset === 9216,
        call: (disk, clock) => opened(disk, clock).then((file) => extents(file, "a")),
      },
      dump: { length: LONG, isOne: (offset) => offset === 8704, call: dump },
      // All of it, and the primary again.
      "dump of a small file": { length: 20480, isOne: (offset, length) => offset === 0 && length === 4096, call: dump },
      check: {
        length: LONG,
        isOne: (offset) => offset === 9216,
        call: async (disk, clock) => {
          for await (const _ of checkQdb(source(disk, kind), { digests: ZLIB, clock }));
        },
      },
    };
    /** A file that is opened before it begins to change. */
    const opened = async (disk: Changing, clock: Clock): Promise<QdbFile> => {
      const { before } = disk;
      disk.before = () => undefined;
      const file = await QdbFile.open(source(disk, kind), { digests: ZLIB, clock });
      disk.before = before;
      return file;
    };
    /** A file that changes at each attempt as long as `goesOn` says so; each attempt takes `ms`. */
    const busyFile = (
      { isOne, length }: Busy,
      clock: ReturnType<typeof testClock>,
      ms: number,
      goesOn: (n: number) => boolean,
    ) => {
      const states = [0, 1].map((n) => state(n, {}, length)) as [Uint8Array, Uint8Array];
      const disk = Object.assign(changing(states[0]), { attempts: 0 });
      disk.before = (_read, ...range) => {
        if (!isOne(...range)) return;
        clock.time += ms;
        if (goesOn(++disk.attempts)) disk.bytes = disk.attempts % 2 === 0 ? states[0] : states[1];
      };
      return disk;
    };

    it.each(Object.entries(calls))("%s waits longer each time, and gives up after ten seconds", async (_, busy) => {
      const clock = testClock();
      const disk = busyFile(busy, clock, 1, () => true);
      expect(await code(() => busy.call(disk, clock))).toBe("LOCKED");
      expect(clock.time).toBeGreaterThanOrEqual(10_000);
      expect(clock.time).toBeLessThan(10_500);
      expect(clock.waits).toEqual([...clock.waits].sort((a, b) => a - b));
      expect(clock.waits.slice(0, 6)).toEqual([1, 2, 4, 8, 16, 32]);
      expect(disk.attempts).toBe(clock.waits.length + 1);
    });

    it.each(Object.entries(calls))("%s gives the state that is there when that ends", async (_, busy) => {
      const clock = testClock();
      const disk = busyFile(busy, clock, 1, () => clock.time < 9_500);
      expect(await code(() => busy.call(disk, clock))).toBe("ok");
      expect(disk.attempts).toBeGreaterThan(9);
    });

    it.each(Object.entries(calls))("%s starts over eight times however long that takes", async (_, busy) => {
      for (const [changes, expected] of [
        [8, "ok"],
        [9, "LOCKED"],
      ] as const) {
        const clock = testClock();
        const disk = busyFile(busy, clock, 60_000, (n) => n <= changes);
        expect(await code(() => busy.call(disk, clock))).toBe(expected);
        expect(disk.attempts).toBe(9);
      }
    });
  });

  it("reads a small file in one piece where two attempts in parts were too slow", async () => {
    const calls: Readonly<Record<string, (disk: Changing) => Promise<unknown>>> = {
      open: async (disk) => (await QdbFile.open(source(disk, kind), OPTIONS)).index.header.generation,
      count: async (disk) => (await QdbFile.open(source(disk, kind), OPTIONS)).bitmap("a").count(),
      extents: async (disk) => extents(await QdbFile.open(source(disk, kind), OPTIONS), "a"),
      async check(disk) {
        const codes: string[] = [];
        for await (const { code } of checkQdb(source(disk, kind), OPTIONS)) codes.push(code);
        return codes;
      },
    };
    for (const [name, call] of Object.entries(calls)) {
      for (const length of [20480, LONG]) {
        const states = [0, 1].map((n) => state(n, {}, length)) as [Uint8Array, Uint8Array];
        const disk = changing(states[0]);
        let [wholes, turn] = [0, 0];
        // A commit at each read that is not of the primary or of all.
        disk.before = (_read, offset, many) => {
          if (many > 4096) wholes++;
          else if (offset !== 0) disk.bytes = ++turn % 2 === 0 ? states[0] : states[1];
        };
        expect([name, length, await code(() => call(disk))]).toEqual([name, length, length === LONG ? "LOCKED" : "ok"]);
        expect([name, wholes]).toEqual([name, length === LONG ? 0 : name === "open" || name === "check" ? 1 : 2]);
      }
    }
  });

  it("gives SOURCE_CHANGED for output that has left, whether the data is still there or not", async () => {
    for (const next of [state(5), file({ header: { generation: 2n }, bitmaps: [{ name: "a", ...LARGE }] })]) {
      const first = file({ bitmaps: [{ name: "a", ...LARGE }] });
      const disk = changing(first);
      const opened = await QdbFile.open(source(disk, kind), OPTIONS);
      let batches = 0;
      const call = async (): Promise<void> => {
        for await (const batch of opened.bitmap("a").batches()) {
          expect(batch.count).toBeGreaterThan(0);
          if (batches++ > 0) continue;
          const longer = rep(0, first.length);
          longer.set(next);
          disk.bytes = longer;
        }
      };
      expect(await code(call)).toBe("SOURCE_CHANGED");
      expect(batches).toBeGreaterThan(0);
      expect(await code(() => opened.bitmap("a").count())).toBe("ok");
    }
  });

  it("holds output back, and starts over where a commit comes in before it has left", async () => {
    for (const length of [20480, LONG]) {
      const dump = async (at: number): Promise<{ text: string; reads: number }> => {
        const disk = changing(state(3, {}, length));
        const opened = await QdbFile.open(source(disk, kind), OPTIONS);
        const from = disk.reads;
        disk.before = (read) => {
          if (read === from + at) disk.bytes = state(4, {}, length);
        };
        let text = "";
        for await (const piece of dumpQdb(opened)) text += piece;
        return { text, reads: disk.reads - from };
      };
      const { reads } = await dump(1000);
      expect(reads).toBeGreaterThanOrEqual(2);
      for (let at = 0; at <= reads; at++) {
        const { text } = await dump(at);
        expect(text.match(/"generation": "\d+"/g)).toEqual([`"generation": "${at < reads ? 5 : 4}"`]);
        expect(text.match(/"dirty": \[/g)).toHaveLength(1);
      }
    }
  });

  it("dumps a small file out of memory: what is committed after the first piece changes nothing", async () => {
    const disk = changing(state(3));
    const opened = await QdbFile.open(source(disk, kind), OPTIONS);
    let text = "";
    for await (const piece of dumpQdb(opened, { holdBytes: 0 })) {
      text += piece;
      disk.bytes = state(9);
    }
    expect(JSON.parse(text)).toMatchObject({
      header: { generation: "4" },
      bitmaps: [{ dirty: [["196608", "65536"]] }],
    });
    expect((await readBitmap(opened.bitmap("a"))).nextDirty()).toBe(9);
  });

  it("dumps a file with a cluster that cannot be read, its length whatever it is", async () => {
    for (const length of [20480, LONG]) {
      const disk = changing(state(3, {}, length));
      const opened = await QdbFile.open(source(disk, kind), OPTIONS);
      disk.before = (_read, offset, many) => {
        if (offset <= 9216 && offset + many > 9216) throw new QdbError("IO", "bad sector");
      };
      let text = "";
      for await (const piece of dumpQdb(opened)) text += piece;
      expect(JSON.parse(text).bitmaps).toMatchObject([{ name: "a", error: { code: "IO" } }]);
    }
  });

  it("prints extents once all bits of one state of the file are verified, also more than are held back", async () => {
    const print = async (disk: Changing, { start = 0n, maxLength }: { start?: bigint; maxLength?: bigint } = {}) => {
      const opened = await QdbFile.open(source(disk, kind), OPTIONS);
      let text = "";
      const take = (bytes: Uint8Array): void => {
        text += Buffer.from(bytes).toString("latin1");
      };
      const options = { format: "human", start, maxLength } as const;
      return { code: await code(() => printExtents(bitsReaderOf(opened.bitmap("a")), take, options)), text };
    };
    const next = file({
      header: { generation: 2n },
      bitmaps: [
        { name: "a", size: 65536n * 100n, granularity: 512, clusters: [bits(512, 9), "zeros", "zeros", "zeros"] },
      ],
    });
    const nextText =
      "         0        4608    0  clean\n      4608         512    1  dirty\n      5120     6548480    0  clean\n";
    // 2000 clusters of 512 bytes are held back, 300 of 64 KiB are not.
    for (const [clusterBits, count] of [
      [9, 2000],
      [16, 300],
    ] as const) {
      const length = 2 ** clusterBits;
      const size = BigInt(8 * length * count) * 65536n;
      // The last 32 bits are dirty, and bit 5.
      const clusters = Array.from({ length: count }, (_, at) =>
        at === 0 ? bits(length, 5) : at === count - 1 ? rep(0xff, length) : rep(0, length),
      );
      const good = file({ clusterBits, bitmaps: [{ name: "a", size, clusters }] });
      const damaged = edit(good, [good.lastIndexOf(0xff), rep(0xfe, 1)]);
      const dirtyStart = size - BigInt(8 * length) * 65536n;
      const lines = [
        [0n, 327680n, 0],
        [327680n, 65536n, 1],
        [393216n, dirtyStart - 393216n, 0],
        [dirtyStart, size - dirtyStart, 1],
      ] as const;
      const text = lines.map(
        ([offset, bytes, type]) =>
          `${String(offset).padStart(10)}  ${String(bytes).padStart(10)}    ${type}  ${type === 1 ? "dirty" : "clean"}\n`,
      );
      expect(await print(changing(good))).toEqual({ code: "ok", text: text.join("") });
      expect(await print(changing(good), { start: 327680n, maxLength: 65536n })).toEqual({ code: "ok", text: text[1] });
      expect(await print(changing(good), { start: size, maxLength: 1n })).toEqual({ code: "ok", text: "" });
      expect(await print(changing(damaged))).toEqual({ code: "BAD_CHECKSUM", text: "" });
      // A commit before anything is printed gives the next state, in its shape.
      const disk = changing(damaged);
      disk.before = (_read, offset) => {
        if (offset > good.length / 2) disk.bytes = next;
      };
      expect(await print(disk)).toEqual({ code: "ok", text: nextText });
    }
  });

  it("holds as much as it is told to", async () => {
    const first = file({ bitmaps: [{ name: "a", ...LARGE }] });
    // What is held back are bits, of which each 64 KiB count 128 bytes more for their objects.
    const whole = 2000 * 512 + 16 * 128;
    for (const [holdBytes, expected] of [
      [0, "SOURCE_CHANGED"],
      [whole - 1, "SOURCE_CHANGED"],
      [whole, "ok"],
    ] as const) {
      const disk = changing(first);
      const opened = await QdbFile.open(source(disk, kind), OPTIONS);
      let bytes = 0;
      const call = async (): Promise<void> => {
        for await (const { runs } of opened.bitmap("a").batches({ holdBytes })) {
          bytes += runs.byteLength;
          disk.bytes = edit(first, [4095, rep(1, 1)]);
        }
      };
      expect([holdBytes, await code(call)]).toEqual([holdBytes, expected]);
      // Each byte of data makes four runs of eight bytes.
      if (expected === "ok") expect(bytes).toBe(2000 * 512 * 32);
    }
  });

  it("gives SOURCE_CHANGED for a dump in which a commit came in after a part has left", async () => {
    const disk = changing(state(3, {}, LONG));
    const opened = await QdbFile.open(source(disk, kind), OPTIONS);
    const call = async (): Promise<void> => {
      for await (const text of dumpQdb(opened, { holdBytes: 0 }))
        if (text.includes('"name"')) disk.bytes = state(4, {}, LONG);
    };
    expect(await code(call)).toBe("SOURCE_CHANGED");
    // Whoever does what the message says gets the new state, and gets it again.
    for (const _again of [1, 2]) {
      let text = "";
      for await (const piece of dumpQdb(opened)) text += piece;
      expect(text).toContain('"generation": "5"');
    }
  });

  it("that opened before a commit streams the new state, its own old one being whole still", async () => {
    // Commits write into free space: the old state stays readable for a while.
    const disk = changing(state(3));
    const opened = await QdbFile.open(source(disk, kind), OPTIONS);
    const next = file({ header: { generation: 9n, bitmapsOffset: 10240n, tableChecksum: crc32(NEXT_TABLE) } });
    disk.bytes = edit(
      disk.bytes,
      [0, sealed(edit(next, [12, be(1, 4)], [28, be(NEXT_TABLE.length, 4)])).slice(0, 4096)],
      [10240, NEXT_TABLE],
    );
    for (const _again of [1, 2]) expect(await extents(opened, "a")).toEqual([]);
    expect(opened.index.header.generation).toBe(9n);
  });

  it("lets a caller stop in the middle", async () => {
    const opened = await QdbFile.open(source(changing(file({ bitmaps: [{ name: "a", ...LARGE }] })), kind), OPTIONS);
    for await (const batch of opened.bitmap("a").batches()) {
      expect(batch.count).toBeGreaterThan(0);
      break;
    }
    expect((await opened.bitmap("a").count()).bits).toBe(2000 * 2048);
  });

  it("that used the mirror starts over when the primary has become good", async () => {
    const damaged = edit(state(3), [0, rep(0, 4096)]);
    const disk = changing(damaged);
    const opened = await QdbFile.open(source(disk, kind), OPTIONS);
    expect(opened.index.headerOffset).toBe(4096);
    expect(await extents(opened, "a")).toEqual([3, 3]);
    disk.bytes = state(4);
    expect(await extents(opened, "a")).toEqual([4, 4]);
    expect(opened.index.headerOffset).toBe(0);
    // The same commit, finished: the mirror was its new state already.
    const again = changing(damaged);
    const other = await QdbFile.open(source(again, kind), OPTIONS);
    again.bytes = state(3);
    expect(await extents(other, "a")).toEqual([3, 3]);
    expect(other.index.headerOffset).toBe(0);
  });

  it("follows a bitmap by its name, not by its place", async () => {
    const two = (first: string, second: string, generation: bigint): Uint8Array =>
      file({
        header: { generation },
        bitmaps: [
          { name: first, size: 65536n * 100n, clusters: [bits(13, first === "a" ? 1 : 2)] },
          { name: second, size: 65536n * 100n, clusters: [bits(13, second === "a" ? 1 : 2)] },
        ],
      });
    const disk = changing(two("a", "b", 1n));
    const opened = await QdbFile.open(source(disk, kind), OPTIONS);
    const a = opened.bitmap("a");
    disk.bytes = two("b", "a", 2n);
    expect((await readBitmap(a)).nextDirty()).toBe(1);
    disk.bytes = two("b", "c", 3n);
    expect(await code(() => a.count())).toBe("NOT_FOUND");
  });

  it("never takes another bitmap for one whose name is no UTF-8", async () => {
    const disk = changing(state(3, { name: hex("ff") }));
    const opened = await QdbFile.open(source(disk, kind), OPTIONS);
    const [odd] = opened.bitmaps;
    if (odd === undefined) throw new Error("no bitmap");
    expect(await code(() => odd.count())).toBe("BAD_FIELD");
    disk.bytes = state(4);
    expect(await code(() => odd.count())).toBe("NOT_FOUND");
  });

  it("passes on an error of reading, after the primary was read again", async () => {
    const disk = changing(state(3));
    const opened = await QdbFile.open(source(disk, kind), OPTIONS);
    const start = disk.reads;
    disk.before = (_read, offset) => {
      if (offset === 9216) throw Object.assign(new Error("EIO"), { code: "EIO" });
    };
    await expect(opened.bitmap("a").count()).rejects.toThrow("EIO");
    expect(disk.reads).toBe(start + 3);
  });
});

describe.each(KINDS)("a reader of a %s source on a disk that dies", (kind) => {
  /** Every read from the n-th on fails. */
  const dyingAt = (n: number, bytes: Uint8Array = state(3)): Changing => {
    const disk = changing(bytes);
    disk.before = (read) => {
      if (read >= n) throw new QdbError("IO", "cannot read: EIO: i/o error");
    };
    return disk;
  };
  const CALLS: Readonly<Record<string, (opened: QdbFile) => Promise<unknown>>> = {
    read: (opened) => readBitmap(opened.bitmap("a")),
    "read of all": (opened) => readAll(opened),
    count: (opened) => opened.bitmap("a").count(),
    "count of all": (opened) => countAll(opened),
    extents: (opened) => extents(opened, "a"),
    dump: async (opened) => {
      for await (const text of dumpQdb(opened)) expect(text).not.toBe("");
    },
  };

  it("gives IO when it opens, whichever read is the first that fails", async () => {
    for (let n = 0; n < 3; n++)
      expect([n, await code(() => QdbFile.open(source(dyingAt(n), kind), OPTIONS))]).toEqual([n, "IO"]);
    const damaged = edit(state(3), [0, rep(0, 4096)]);
    for (let n = 0; n < 4; n++)
      expect([n, await code(() => QdbFile.open(source(dyingAt(n, damaged), kind), OPTIONS))]).toEqual([n, "IO"]);
  });

  it.each(Object.keys(CALLS))("gives IO of %s, whichever read is the first that fails", async (name) => {
    for (const bytes of [state(3), edit(state(3), [0, rep(0, 4096)]), file({ bitmaps: [{ name: "a", ...LARGE }] })]) {
      const whole = changing(bytes);
      await CALLS[name]?.(await QdbFile.open(source(whole, kind), OPTIONS));
      const reads = whole.reads;
      const opening = changing(bytes);
      await QdbFile.open(source(opening, kind), OPTIONS);
      // Of many reads, the first ones and some of the others.
      for (let n = opening.reads; n < reads; n += n < opening.reads + 8 ? 1 : 7) {
        const opened = await QdbFile.open(source(dyingAt(n, bytes), kind), OPTIONS);
        expect([n, await code(async () => CALLS[name]?.(opened))]).toEqual([n, "IO"]);
      }
    }
  });

  it("gives IO of a check, whichever read is the first that fails", async () => {
    for (const bytes of [state(3), edit(state(3), [0, rep(0, 4096)])]) {
      const checkAll = async (disk: Changing): Promise<void> => {
        for await (const _finding of checkQdb(source(disk, kind), OPTIONS));
      };
      const whole = changing(bytes);
      await checkAll(whole);
      for (let n = 0; n < whole.reads; n++)
        expect([n, await code(() => checkAll(dyingAt(n, bytes)))]).toEqual([n, "IO"]);
    }
  });

  it("goes on through the mirror where only the primary cannot be read, and starts over when it can", async () => {
    const disk = changing(state(3));
    const dead = (_read: number, offset: number): void => {
      if (offset < 4096) throw new QdbError("IO", "cannot read: EIO: i/o error");
    };
    disk.before = dead;
    const opened = await QdbFile.open(source(disk, kind), OPTIONS);
    expect([opened.index.headerOffset, await extents(opened, "a")]).toEqual([4096, [3, 3]]);
    disk.before = () => undefined;
    expect(await extents(opened, "a")).toEqual([3, 3]);
    expect(opened.index.headerOffset).toBe(0);
  });
});

describe.each(KINDS)("check of a %s source", (kind) => {
  const checkAll = async (disk: Changing): Promise<string[]> => {
    const codes: string[] = [];
    for await (const finding of checkQdb(source(disk, kind), OPTIONS)) codes.push(brief(finding));
    return codes;
  };

  it("says nothing of what only a commit made, be it a finding or an error", async () => {
    const broken = edit(state(3), [9216, rep(0xff, 1)]);
    expect(await checkAll(changing(broken))).toEqual(["BAD_CHECKSUM descriptor a", "LEAK file"]);
    for (const wrong of [
      broken,
      edit(state(3), [8192, hex("ff")]),
      rep(0, 20480),
      file({ header: { version: 2 }, length: 20480 }),
    ]) {
      const disk = changing(wrong);
      let primaries = 0;
      disk.before = (_read, offset) => {
        // After the first look at everything: the next read of the primary finds another one.
        if (offset === 0 && ++primaries === 2) disk.bytes = state(5);
      };
      expect(await checkAll(disk)).toEqual(["LEAK file"]);
    }
    expect(await code(() => checkAll(changing(rep(0, 20480))))).toBe("BAD_MAGIC");
  });

  describe("and what a commit in flight looks like:", () => {
    /** Space behind the end, and a mirror that is of the next generation. */
    const IN_FLIGHT = edit(state(3), [4096, state(4).slice(0, 4096)]);
    const look = async (
      disk: Changing,
      hasWriter?: () => boolean | undefined,
    ): Promise<{ codes: string[]; summary: CheckSummary; waits: readonly number[] }> => {
      const clock = testClock();
      const from = source(disk, kind);
      const given = hasWriter === undefined ? from : Object.assign(from, { hasWriter });
      const findings = checkQdb(given, { digests: ZLIB, clock });
      const codes: string[] = [];
      for (;;) {
        const step = await findings.next();
        if (step.done === true) return { codes, summary: step.value, waits: clock.waits };
        codes.push(brief(step.value));
      }
    };
    const BOTH = ["MIRROR mirror", "LEAK file"];
    const summaryOf = (leak: number, info: number): CheckSummary => ({
      counts: { corrupt: 0, unsafe: 0, leak, noncanonical: 0, info },
      complete: true,
      headerSource: "primary",
    });

    it("found where no writer has the file, at once", async () => {
      const { codes, summary, waits } = await look(changing(IN_FLIGHT), () => false);
      expect(codes).toEqual(BOTH);
      expect(summary).toEqual(summaryOf(1, 1));
      expect(waits).toEqual([]);
    });

    it("not found, nor counted, where a writer has it", async () => {
      const { codes, summary, waits } = await look(changing(IN_FLIGHT), () => true);
      expect(codes).toEqual([]);
      expect(summary).toEqual(summaryOf(0, 0));
      expect(waits).toEqual([]);
    });

    it("but every other finding is", async () => {
      const damaged = edit(IN_FLIGHT, [9216, rep(0xff, 1)]);
      const { codes, summary } = await look(changing(damaged), () => true);
      expect(codes).toEqual(["BAD_CHECKSUM descriptor a"]);
      expect(summary.counts).toMatchObject({ corrupt: 1, leak: 0 });
    });

    it("not found where a writer had it, and has committed or cut the file by the time it is gone", async () => {
      for (const next of [state(4), IN_FLIGHT.slice(0, 9728), Uint8Array.from([...IN_FLIGHT, ...rep(0, 4096)])]) {
        const disk = changing(IN_FLIGHT);
        const { codes, summary } = await look(disk, () => {
          disk.bytes = next;
          return false;
        });
        expect(codes).toEqual([]);
        expect(summary).toEqual(summaryOf(0, 0));
      }
    });

    it.each([undefined, () => undefined])(
      "looked at again after a while where nobody tells of writers",
      async (hasWriter) => {
        const quiet = await look(changing(IN_FLIGHT), hasWriter);
        expect(quiet.codes).toEqual(BOTH);
        expect(quiet.waits).toEqual([200]);
        const clean = await look(
          changing(file({ bitmaps: [{ name: "a", size: 65536n * 100n, clusters: [bits(13, 3)] }] })),
          hasWriter,
        );
        expect(clean).toEqual({ codes: [], summary: summaryOf(0, 0), waits: [] });
      },
    );

    it("not found where nobody tells of writers, and the file changed in that while", async () => {
      for (const next of [state(4), Uint8Array.from([...IN_FLIGHT, ...rep(0, 4096)])]) {
        const disk = changing(IN_FLIGHT);
        const clock: Clock = {
          now: () => 0,
          wait: async () => {
            disk.bytes = next;
          },
        };
        const codes: string[] = [];
        for await (const found of checkQdb(source(disk, kind), { digests: ZLIB, clock })) codes.push(found.code);
        expect(codes).toEqual([]);
      }
    });
  });

  it("gives SOURCE_CHANGED where findings have left", async () => {
    // More findings than are held back, every entry being past the end: they leave before the primary is read for the last time.
    const clusters = Array.from({ length: 40_000 }, () => ({ descriptor: 2n ** 50n }));
    const bytes = file({ bitmaps: [{ name: "a", size: 4096n * 40_000n * 512n, granularity: 512, clusters }] });
    const changed = edit(bytes, [4095, rep(1, 1)]);
    const disk = changing(bytes);
    const call = async (): Promise<void> => {
      for await (const _finding of checkQdb(source(disk, kind), OPTIONS)) disk.bytes = changed;
    };
    expect(await code(call)).toBe("SOURCE_CHANGED");
  });
});

describe("a source that cannot change", () => {
  /** A source that records its reads; by `readMany`, a round is one read. */
  function counting(bytes: Uint8Array, kind: (typeof KINDS)[number] | "rounds") {
    const reads: string[] = [];
    const record = (ranges: readonly { readonly offset: number; readonly length: number }[]): void => {
      reads.push(ranges.map(({ offset, length }) => `${offset}+${length}`).join(" "));
    };
    const { readSync } = bytesSource(bytes);
    const read = (offset: number, length: number): Uint8Array => {
      record([{ offset, length }]);
      return readSync(offset, length);
    };
    const common = { size: bytes.length, immutable: true };
    const source: AnySource = {
      sync: { ...common, readSync: read },
      async: { ...common, read: async (offset: number, length: number) => read(offset, length) },
      rounds: {
        ...common,
        read: () => Promise.reject(new Error("a round was read one by one")),
        readMany: async (ranges: readonly { readonly offset: number; readonly length: number }[]) => {
          record(ranges);
          return ranges.map(({ offset, length }) => readSync(offset, length));
        },
      } satisfies ByteSource,
    }[kind];
    return { source, reads };
  }

  it.each([...KINDS, "rounds"] as const)("is read once, %s", async (kind) => {
    const { source, reads } = counting(state(3), kind);
    const opened = await QdbFile.open(source, OPTIONS);
    expect(reads).toEqual(["0+4096", "8192+48"]);
    expect((await readBitmap(opened.bitmap("a"))).nextDirty()).toBe(3);
    expect(reads.slice(2)).toEqual(["8704+16", "9216+512"]);
    expect(await extents(opened, "a")).toEqual([3, 3]);
    for await (const _ of dumpQdb(opened));
    const clock = testClock();
    for await (const _ of checkQdb(source, { digests: ZLIB, clock }));
    expect(clock.waits).toEqual([]);
    const control = AbortSignal.abort();
    expect(await code(() => countAll(opened, { signal: control }))).toBe("ABORTED");
  });

  it.each([
    ["too few pieces", (pieces: Uint8Array[]) => pieces.slice(1)],
    ["a short piece", (pieces: Uint8Array[]) => pieces.map((piece) => piece.subarray(1))],
    ["a long piece", (pieces: Uint8Array[]) => pieces.map((piece) => new Uint8Array(piece.length + 1))],
  ])("that answers a round with %s has not been read", async (_, bend) => {
    const bytes = state(3);
    const { read, readMany = () => Promise.reject(new Error("no rounds")) } = counting(bytes, "rounds")
      .source as ByteSource;
    const source: ByteSource = {
      size: bytes.length,
      read,
      readMany: async (ranges) => bend([...(await readMany(ranges))]),
    };
    await expect(QdbFile.open(source, OPTIONS)).rejects.toThrow();
  });
});
