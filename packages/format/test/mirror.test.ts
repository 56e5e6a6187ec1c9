// A file that is read by its mirror can be in the state of an unacknowledged commit: readers say so, and refuse clean bits by default.
import {
  bytesSource,
  countAll,
  dumpQdb,
  isQdbError,
  type OpenOptions,
  QdbFile,
  readAll,
  readBitmap,
  type SyncByteSource,
} from "@qdb/format";
import type { QdbIndex } from "@qdb/format/container";
import { describe, expect, test } from "vitest";
import { be, edit, file, type HandBitmap, rep } from "./hand.ts";
import { check } from "./reading.ts";
import { bitmap, fileOf, flip, MemoryStore, openEditor, openSession, view, ZLIB } from "./store.ts";
import { rejection } from "./support/errors.ts";

const H = 4096;
const START = fileOf({ a: bitmap(9000, [1, 4100, 8999]), b: bitmap(9000, [7]) });

/** A commit that was to clear a, cut off between mirror and primary. */
const CUT_OFF = (() => {
  const store = new MemoryStore(START);
  const session = openSession(store);
  store.before = (op) => {
    // The second write of the primary; the first one is part of the fence.
    if (
      op.kind === "write" &&
      op.offset === 0 &&
      store.changes.some((done) => done.kind === "write" && done.offset === H)
    )
      throw new Error("killed");
  };
  expect(() => flip(store, session, "a", false, 0, 9000)).toThrow("killed");
  return store.bytes;
})();
/** Then a byte of the primary changes: bits that the unacknowledged commit cleared show as clean. */
const ROTTEN = edit(CUT_OFF, [100, be(0x55, 1)]);

const open = (bytes: Uint8Array, options: OpenOptions = {}): Promise<QdbFile> =>
  QdbFile.open(bytesSource(bytes), { digests: ZLIB, ...options });

async function dirty(opened: QdbFile, name: string): Promise<number[]> {
  const runs: number[] = [];
  for await (const batch of opened.bitmap(name).batches()) runs.push(...batch.runs);
  return runs;
}

test("the window: before the byte rots the old state is shown, then the new one", async () => {
  expect(view(CUT_OFF)).toBe(view(START));
  expect(await dirty(await open(CUT_OFF), "a")).toEqual([1, 1, 4100, 4100, 8999, 8999]);
  expect(await dirty(await open(ROTTEN, { acceptMirror: true }), "a")).toEqual([]);
});

describe("a reader", () => {
  const CALLS: Readonly<Record<string, (opened: QdbFile) => Promise<unknown>>> = {
    read: (opened) => readBitmap(opened.bitmap("a")),
    "read of all": (opened) => readAll(opened),
    extents: (opened) => dirty(opened, "a"),
  };

  test.each(Object.keys(CALLS))("is refused %s, unless it accepts the mirror", async (name) => {
    const call = CALLS[name]!;
    const error = await rejection(async () => call(await open(ROTTEN)));
    expect([error.code, error.where]).toMatchObject(["BAD_CHECKSUM", { structure: "mirror", offset: H }]);
    expect(error.message).toContain("qdb check -r");
    if (name !== "read of all") expect(error.where.bitmap).toBe("a");
    await call(await open(ROTTEN, { acceptMirror: true }));
    for (const good of [START, CUT_OFF]) await call(await open(good));
  });

  test("is told which header was used, and each time that it was the mirror's", async () => {
    const told: QdbIndex[] = [];
    const onMirror = (index: QdbIndex): void => void told.push(index);
    for (const good of [START, CUT_OFF]) expect((await open(good, { onMirror })).index.headerSource).toBe("primary");
    expect(told).toEqual([]);
    const opened = await open(ROTTEN, { onMirror });
    expect(opened.index.headerSource).toBe("mirror");
    expect(told).toEqual([opened.index]);
    // Calls whose results do not serve as a backup are allowed: counts and dumps.
    expect((await countAll(opened)).map(({ dirty: found }) => found?.bits)).toEqual([0, 1]);
    expect((await opened.bitmap("b").count()).bits).toBe(1);
    for await (const text of dumpQdb(opened)) expect(text).not.toContain('"error"');
    expect(check(ROTTEN).headerSource).toBe("mirror");
    expect(check(CUT_OFF).headerSource).toBe("primary");
    expect(check(edit(ROTTEN, [H + 100, be(0x55, 1)])).headerSource).toBeUndefined();
  });

  test("is told and refused where the primary is damaged later, and goes on where it has become good", async () => {
    let bytes = CUT_OFF;
    const source: SyncByteSource = {
      size: CUT_OFF.length,
      readSync: (offset, length) => bytes.slice(offset, offset + length),
    };
    let told = 0;
    const opened = await QdbFile.open(source, { digests: ZLIB, onMirror: () => told++ });
    bytes = ROTTEN;
    expect((await rejection(() => readBitmap(opened.bitmap("a")))).code).toBe("BAD_CHECKSUM");
    expect(told).toBe(1);
    expect((await rejection(() => dirty(opened, "a"))).code).toBe("BAD_CHECKSUM");
    bytes = CUT_OFF;
    expect((await readBitmap(opened.bitmap("a"))).count()).toBe(3);
    expect(await dirty(opened, "a")).toHaveLength(6);
  });

  test("of a draft, which has no mirror, is refused nothing", async () => {
    const one: HandBitmap = { name: "a", size: 65536n * 100n, clusters: [rep(1, 512)] };
    const opened = await open(file({ draft: true, bitmaps: [one] }));
    expect(opened.index.headerSource).toBe("primary");
    expect((await readBitmap(opened.bitmap("a"))).count()).toBeGreaterThan(0);
  });
});

describe("an editor", () => {
  test("goes on, but gives no bits for another bitmap before it has committed", async () => {
    const store = new MemoryStore(ROTTEN);
    const editor = await openEditor(store);
    expect(editor.state.index.headerSource).toBe("mirror");
    const error = await rejection(() => editor.bits("b"));
    expect([error.code, error.where]).toMatchObject(["BAD_CHECKSUM", { structure: "mirror", bitmap: "b" }]);
    await editor.change("b", (bits) => (bits.markBits({ first: 20, end: 30 }), bits));
    await editor.commit();
    expect(check(store.bytes).findings).toEqual([]);
    expect(editor.state.index.headerSource).toBe("primary");
    expect((await editor.bits("b")).count()).toBe(11);
  });

  test("gives them where the mirror is accepted", async () => {
    const editor = await openEditor(new MemoryStore(ROTTEN), { acceptMirror: true });
    expect((await editor.bits("b")).count()).toBe(1);
  });

  test("merges no frozen bitmap into its successor, but drops one", async () => {
    const store = new MemoryStore(START);
    const frozen = await openEditor(store);
    frozen.edits.freeze("b", "next");
    await frozen.commit();
    const bytes = edit(store.bytes, [100, be(0x55, 1)]);
    const editor = await openEditor(new MemoryStore(bytes));
    expect((await rejection(() => editor.read(editor.edits.release("b", "failed")))).code).toBe("BAD_CHECKSUM");
    await editor.read(editor.edits.release("b", "done"));
    await editor.commit();
    const accepting = await openEditor(new MemoryStore(bytes), { acceptMirror: true });
    await accepting.read(accepting.edits.release("b", "failed"));
    expect((await accepting.bits("next")).count()).toBe(1);
  });
});

describe("a repair", () => {
  test("ends the window by a commit of what the primary says, never by a copy of it", async () => {
    const store = new MemoryStore(CUT_OFF);
    const report = await (await openEditor(store, { repair: true })).repair();
    expect(report.before.map(({ code }) => code)).toEqual(["MIRROR", "LEAK"]);
    expect(report).toMatchObject({ after: [], written: true, summary: { headerSource: "primary" } });
    expect(view(store.bytes)).toBe(view(START));
    // I2: the mirror gets a higher generation than the primary's, after an fsync.
    const [first, ...others] = store.changes;
    expect(first).toEqual({ kind: "flush" });
    for (const op of others) {
      if (op.kind !== "write" || op.offset >= 2 * H) continue;
      const generation = (bytes: Uint8Array): bigint => new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(56);
      expect(generation(op.bytes)).toBe(generation(CUT_OFF) + 1n);
    }
    // Header and mirror are the same now, so that either may be damaged.
    for (const at of [100, H + 100]) expect(view(edit(store.bytes, [at, be(0x55, 1)]))).toBe(view(START));
    for (const at of [100, H + 100]) expect(check(edit(store.bytes, [at, be(0x55, 1)])).complete).toBe(true);
  });

  test("is the word that a mirror is accepted", async () => {
    const store = new MemoryStore(ROTTEN);
    const report = await (await openEditor(store, { repair: true })).repair();
    expect(report.before.filter(({ severity }) => severity === "corrupt").map(({ code }) => code)).toEqual([
      "BAD_CHECKSUM",
    ]);
    expect(report).toMatchObject({ after: [], written: true, summary: { headerSource: "primary" } });
    expect(await dirty(await open(store.bytes), "a")).toEqual([]);
  });

  test("that is cut off anywhere shows what was acknowledged, or is the same again", async () => {
    const whole = new MemoryStore(CUT_OFF);
    await (await openEditor(whole, { repair: true })).repair();
    for (let stop = 0; stop < whole.changes.length; stop++) {
      const store = new MemoryStore(CUT_OFF);
      let at = 0;
      store.before = (op) => {
        if (op.kind !== "read" && at++ >= stop) throw new Error("killed");
      };
      try {
        await (await openEditor(store, { repair: true })).repair();
      } catch (error) {
        if (!isQdbError(error) && !(error instanceof Error && error.message === "killed")) throw error;
      }
      expect(view(store.bytes), `${stop}`).toBe(view(START));
      const again = new MemoryStore(store.bytes);
      await (await openEditor(again, { repair: true })).repair();
      expect(view(again.bytes), `${stop}`).toBe(view(START));
      expect(check(again.bytes).findings).toEqual([]);
    }
  });
});
