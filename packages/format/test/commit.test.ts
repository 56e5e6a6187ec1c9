// The commit, operation by operation (spec §5).
import { bytesSource, QdbError } from "@qdb/format";
import { type QdbEditor, readIndex, run, runSync, Session, type SyncStore } from "@qdb/format/container";
import { describe, expect, test } from "vitest";
import { be, edit, file, rep, sealed } from "./hand.ts";
import { check } from "./reading.ts";
import {
  asyncStore,
  bitmap,
  commit,
  editsOf,
  failFrom,
  fileOf,
  flip,
  ids,
  io,
  MemoryStore,
  type Op,
  openEditor,
  openSession,
  random,
  unchanged,
  view,
  ZLIB,
} from "./store.ts";
import { errorOf, rejection } from "./support/errors.ts";

const H = 4096;
const START = fileOf({ a: bitmap(9000, [1, 4100, 8999]), b: bitmap(300, [7]) });

/** A file with much free space in the middle: the next commit cuts it. */
const HOLLOW = (() => {
  const dirty = Array.from({ length: 40 }, (_, at) => at * 4096);
  const store = new MemoryStore(fileOf({ a: bitmap(4096 * 40, dirty), b: bitmap(300, [7]) }));
  flip(store, openSession(store), "a", false, 0, 4096 * 40);
  return store.bytes;
})();

/** A short text for an operation. */
function word(op: Op): string {
  if (op.kind === "flush") return "flush";
  if (op.kind === "truncate") return `cut ${op.length}`;
  if (op.kind === "replace") return "replace";
  const what = op.offset === 0 ? "primary" : op.offset === H ? "mirror" : "space";
  return `${op.kind} ${what}`;
}

const words = (store: MemoryStore): string[] => store.log.map(word);

/** Replaces runs of equal operations by one. */
const brief = (store: MemoryStore): string[] => words(store).filter((one, at, all) => one !== all[at - 1]);

const FENCE = ["flush", "write primary", "flush"];
const COMMIT = ["write space", "write mirror", "flush", "read primary", "write primary", "flush"];

describe("order", () => {
  test("fence, space, mirror, flush, look, primary, flush; the fence but once", () => {
    const store = new MemoryStore(START);
    const session = openSession(store);
    expect(words(store).filter((one) => one !== "read space")).toEqual(["read primary", "read mirror"]);
    store.log.length = 0;
    const edits = editsOf(session);
    edits.rename("a", "c");
    commit(store, session, edits);
    // Only the table is written, and zeros to the end of its block. The bits stay where they are.
    expect(brief(store)).toEqual([...FENCE, ...COMMIT]);
    expect(store.changes.flatMap((op) => (op.kind === "write" ? [op.bytes.length] : []))).toEqual([
      4096, 512, 3584, 4096, 4096,
    ]);
    expect(store.size % 4096).toBe(0);
    store.log.length = 0;
    flip(store, session, "b", true, 20, 30);
    expect(brief(store).filter((one) => one !== "read space")).toEqual(COMMIT);
    const places = store.changes.flatMap((op) => (op.kind === "write" ? [op] : []));
    // Data and L1 area, then the table, in whole clusters, then zeros to the end of the block. A header area is one write of 4096 bytes.
    expect(places.map(({ bytes }) => bytes.length)).toEqual([512, 512, 512, 2560, 4096, 4096]);
    const [mirror, primary] = places.slice(-2);
    expect(primary?.bytes).toEqual(mirror?.bytes);
  });

  test("the cut comes last, and is flushed", () => {
    const store = new MemoryStore(HOLLOW);
    const session = openSession(store);
    store.log.length = 0;
    flip(store, session, "a", true, 20, 30);
    expect(
      brief(store)
        .filter((one) => one !== "read space")
        .slice(-2),
    ).toEqual([`cut ${store.size}`, "flush"]);
    expect(
      brief(store)
        .filter((one) => one !== "read space")
        .slice(0, -2),
    ).toEqual([...FENCE, ...COMMIT]);
  });

  test("with nothing to change there is the fence all the same, once", async () => {
    const store = new MemoryStore(START);
    const editor = await openEditor(store);
    store.log.length = 0;
    await editor.commit();
    await editor.commit();
    expect(words(store)).toEqual(FENCE);
    expect(store.bytes).toEqual(START);
  });

  test("where primary and mirror differ, the fence is a flush; where the primary is bad, it is written from what was read", () => {
    const other = sealed(edit(START, [H + 63, be(9, 1)]), H);
    const torn = new MemoryStore(other);
    runSync(openSession(torn).fence(), torn);
    expect(torn.changes.map(word)).toEqual(["flush"]);
    const bad = new MemoryStore(edit(START, [100, be(99, 1)]));
    const session = openSession(bad);
    // The mirror is read once: after a failed flush a later read may return older bytes.
    expect(words(bad).filter((one) => one === "read mirror")).toEqual(["read mirror"]);
    runSync(session.fence(), bad);
    expect(bad.changes.map(word)).toEqual(FENCE);
    expect(bad.bytes).toEqual(START);
  });

  test("a store that answers later gets the same operations", async () => {
    for (const start of [START, edit(START, [30, be(1, 1)])]) {
      const run = async (store: MemoryStore, given: MemoryStore | ReturnType<typeof asyncStore>): Promise<void> => {
        const editor = await openEditor(given);
        await editor.change("a", (bits) => (bits.invert(), bits));
        await editor.commit();
        editor.edits.freeze("b", "c");
        await editor.commit();
        await editor.repair();
        expect(view(store.bytes)).toMatch(/^a.*\nb.*\nc/s);
      };
      const [sync, later] = [new MemoryStore(start), new MemoryStore(start)];
      await run(sync, sync);
      await run(later, asyncStore(later));
      expect(later.log).toEqual(sync.log);
      expect(later.bytes).toEqual(sync.bytes);
    }
  });
});

const u64 = (bytes: Uint8Array, at: number): number =>
  Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(at));
const u32 = (bytes: Uint8Array, at: number): number => new DataView(bytes.buffer, bytes.byteOffset).getUint32(at);

/** The blocks of 4096 bytes that a header reaches, found without the code under test. */
function blocksInUse(bytes: Uint8Array): Set<number> {
  const cluster = 2 ** u32(bytes, 8);
  const used = new Set<number>();
  const take = (offset: number, length: number): void => {
    for (let at = Math.floor(offset / 4096); at * 4096 < offset + length; at++) used.add(at);
  };
  take(0, 2 * Math.max(cluster, 4096));
  const table = u64(bytes, 16);
  take(table, u32(bytes, 28));
  let at = table;
  for (let left = u32(bytes, 12); left > 0; left--) {
    const [l1, count] = [u64(bytes, at), u32(bytes, at + 8)];
    take(l1, count * 12);
    for (let entry = 0; entry < count; entry++) {
      const place = Math.floor(u64(bytes, l1 + entry * 8) / 512) * 512;
      if (place > 0) take(place, cluster);
    }
    const { 26: high = 0, 27: low = 0 } = bytes.subarray(at, at + 40);
    at += Math.ceil((40 + u32(bytes, at + 36) + high * 256 + low) / 8) * 8;
  }
  return used;
}

/** Checks every operation of a store: I1, I2, and that only free space is written. */
function watch(store: MemoryStore): { readonly broken: string[]; readonly seen: { commits: number } } {
  const broken: string[] = [];
  const seen = { commits: 0 };
  const h = Math.max(2 ** u32(store.bytes, 8), 4096);
  let mirrorIsSafe = false;
  let primaryIsSafe = false;
  let inUse = blocksInUse(store.bytes);
  let taken: { start: number; end: number }[] = [];
  store.before = (op) => {
    const bytes = store.bytes;
    if (op.kind === "flush") {
      mirrorIsSafe = true;
      primaryIsSafe = true;
    } else if (op.kind === "truncate") {
      const now = blocksInUse(bytes);
      if (!primaryIsSafe) broken.push("cut while the primary is not on the disk");
      if ([...now].some((block) => block * 4096 >= Math.ceil(op.length / 4096) * 4096)) broken.push("cut too far");
    } else if (op.kind === "write") {
      const end = op.offset + op.bytes.length;
      if (op.offset === 0) {
        const mirror = bytes.subarray(h, h + 4096);
        if (!mirrorIsSafe || Buffer.compare(mirror, op.bytes) !== 0) broken.push("I1");
        primaryIsSafe = false;
        if (taken.length > 0) seen.commits++;
        taken = [];
      } else if (op.offset === h) {
        if (!primaryIsSafe) broken.push("I2: the primary may not be there");
        if (u64(op.bytes, 56) <= u64(bytes, 56)) broken.push("I2: generation");
        mirrorIsSafe = false;
      } else {
        if (taken.length === 0) inUse = blocksInUse(bytes);
        for (let block = Math.floor(op.offset / 4096); block * 4096 < end; block++) {
          if (inUse.has(block)) broken.push(`block ${block} is in use`);
        }
        if (taken.some((piece) => op.offset < piece.end && end > piece.start)) broken.push("taken twice");
        taken.push({ start: op.offset, end });
      }
    }
  };
  return { broken, seen };
}

test.each([9, 12, 14])("I1 and I2 hold, and nothing in use is written over, clusters of 2^%i", (clusterBits) => {
  const store = new MemoryStore(fileOf({ a: bitmap(70000, [1]), b: bitmap(300, [7]) }, { clusterBits }));
  const watched = watch(store);
  const dice = random(clusterBits);
  let session = openSession(store);
  for (let step = 0; step < 150; step++) {
    if (dice() < 0.1) session = openSession(store);
    const bits = dice() < 0.7 ? 70000 : 300;
    const first = Math.floor(dice() * bits);
    const length = Math.floor(dice() ** 3 * (bits - first));
    flip(store, session, bits === 300 ? "b" : "a", dice() < 0.5, first, first + length);
    if (dice() < 0.1) {
      const edits = editsOf(session);
      if (edits.has("c")) edits.remove("c");
      else edits.add({ name: "c", bits: bitmap(60000, [5, 50000]), flags: 0, extraData: [] });
      commit(store, session, edits);
    }
  }
  expect(watched.broken).toEqual([]);
  expect(watched.seen.commits).toBeGreaterThan(100);
  expect(check(store.bytes).findings).toEqual([]);
});

describe("failures", () => {
  /** The changing operations of a commit that marks, clears and cuts. */
  const act = (store: MemoryStore): Session => {
    const session = openSession(store);
    flip(store, session, "a", true, 20, 30);
    return session;
  };
  const whole = (() => {
    const store = new MemoryStore(HOLLOW);
    act(store);
    return store;
  })();
  const count = whole.changes.length;
  const [old, next] = [view(HOLLOW), view(whole.bytes)];

  test("any write, flush or cut that fails ends the handle; the message says what is there", () => {
    const said: string[] = [];
    for (let n = 0; n < count; n++) {
      const store = new MemoryStore(HOLLOW);
      const session = openSession(store);
      failFrom(store, n);
      const error = errorOf(() => flip(store, session, "a", true, 20, 30));
      expect(error.code).toBe("POISONED");
      expect((error.cause as QdbError).code).toBe("IO");
      const seen = view(store.bytes);
      expect([old, next]).toContain(seen);
      const old_ = /nothing was changed|in its old state;/.test(error.message);
      const unknown = /old or its new state is unknown/.test(error.message);
      const stored = /the change is stored/.test(error.message);
      expect([old_, unknown, stored].filter(Boolean).length).toBe(1);
      if (old_) expect(seen).toBe(old);
      if (stored) expect(seen).toBe(next);
      said.push(old_ ? "old" : unknown ? "unknown" : "stored");
      // No more operation reaches the store, and no call succeeds.
      store.before = () => undefined;
      const length = store.log.length;
      for (const call of [
        () => runSync(session.fence(), store),
        () => runSync(session.commit(unchanged(session)), store),
      ]) {
        expect(errorOf(call)).toBe(error);
      }
      expect(store.log.length).toBe(length);
    }
    expect(said.filter((one, at) => one !== said[at - 1])).toEqual(["old", "unknown", "stored"]);
    expect(said.filter((one) => one !== "old")).toEqual(["unknown", "unknown", "stored", "stored"]);
  });

  test("an editor whose commit failed is done for too", async () => {
    const store = new MemoryStore(START);
    const editor = await openEditor(store);
    await editor.change("a", (bits) => (bits.invert(), bits));
    failFrom(store, 5);
    const error = await rejection(() => editor.commit());
    store.before = () => undefined;
    const length = store.log.length;
    expect(await rejection(() => editor.commit())).toBe(error);
    expect(await rejection(() => editor.repair())).toBe(error);
    expect(store.log.length).toBe(length);
  });

  test("a failed look at the primary ends it as well, and so does a second writer", () => {
    const store = new MemoryStore(START);
    const session = openSession(store);
    let mirror = false;
    store.before = (op) => {
      if (op.kind === "write" && op.offset === H) mirror = true;
      if (op.kind === "read" && mirror) throw io("no read");
    };
    expect(errorOf(() => flip(store, session, "b", true, 20, 30)).code).toBe("POISONED");
    expect(view(store.bytes)).toBe(view(START));

    const shared = new MemoryStore(START);
    const [one, two] = [openSession(shared), openSession(shared)];
    // The fence does not read the primary again: until then only the lock keeps a second writer out.
    for (const session of [one, two]) runSync(session.fence(), shared);
    flip(shared, two, "b", true, 20, 30);
    const header = shared.bytes.slice(0, 4096);
    const error = errorOf(() => flip(shared, one, "a", true, 20, 30));
    expect([error.code, /another writer/.test(error.message)]).toEqual(["POISONED", true]);
    // Its writes may have overwritten those of the other writer, so the message does not promise the old state.
    expect(error.message).not.toMatch(/old state/);
    expect(shared.bytes.slice(0, 4096)).toEqual(header);
  });

  test("a second writer between the fence and the primary", () => {
    const store = new MemoryStore(START);
    const session = openSession(store);
    flip(store, session, "b", true, 20, 30);
    store.writeSync(0, edit(store.bytes.slice(0, 4096), [80, be(1, 1)]));
    const said = view(store.bytes);
    const length = store.log.length;
    expect(errorOf(() => flip(store, session, "a", true, 20, 30)).code).toBe("POISONED");
    expect(store.log.slice(length).some((op) => op.kind === "write" && op.offset === 0)).toBe(false);
    expect(said.startsWith("a|") || said.startsWith("error")).toBe(true);
  });

  test("the last generation", () => {
    const last = (generation: bigint): Uint8Array => {
      const made = sealed(edit(START, [56, be(generation, 8)]));
      return sealed(edit(made, [H, made.slice(0, 4096)]), H);
    };
    const store = new MemoryStore(last(2n ** 64n - 1n));
    expect(errorOf(() => flip(store, openSession(store), "a", true, 20, 30)).code).toBe("LIMIT");
    expect(store.changes).toEqual([]);
    const before = new MemoryStore(last(2n ** 64n - 2n));
    flip(before, openSession(before), "a", true, 20, 30);
    expect(check(before.bytes).findings).toEqual([]);
    // The file is too long, but there is no further generation for packing it.
    const long = Array.from({ length: 300 }, (_, at) => at * 4096);
    const full = fileOf({ a: bitmap(4096 * 300, long.slice(-1)), b: bitmap(4096 * 300, long) });
    const grown = new MemoryStore(sealed(edit(full, [56, be(2n ** 64n - 2n, 8)])));
    const edits = editsOf(openSession(grown));
    edits.remove("a");
    commit(grown, openSession(grown), edits);
    expect(view(grown.bytes).split("|")[0]).toBe("b");
  });
});

describe("files in error", () => {
  const one = { name: "u", size: 512n * 9000n, granularity: 512, clusters: [rep(7, 512), "zeros", "zeros"] as const };
  const refused = (bytes: Uint8Array, code: string, repair = false): void => {
    const store = new MemoryStore(bytes);
    expect(errorOf(() => openSession(store, { repair })).code).toBe(code);
    expect(store.changes).toEqual([]);
  };

  test("bad header, bad table, an unknown incompatible bit: refused untouched", () => {
    const good = file({ bitmaps: [one] });
    refused(edit(good, [0, be(1, 4)], [H, be(1, 4)]), "BAD_MAGIC", true);
    refused(edit(good, [50, be(1, 4)], [H + 50, be(1, 4)]), "BAD_CHECKSUM");
    refused(edit(good, [2 * H + 13, be(1, 1)]), "BAD_CHECKSUM", true);
    refused(file({ bitmaps: [one], header: { incompatible: 4n } }), "UNSUPPORTED_FEATURE", true);
    refused(file({ bitmaps: [one], header: { generation: 0n } }), "BAD_FIELD", true);
  });

  test("a bad primary is taken from the mirror; one without the magic only for a repair", () => {
    const good = fileOf({ a: bitmap(300, [7]) });
    const lost = edit(good, [0, be(0, 4)]);
    refused(lost, "BAD_MAGIC");
    for (const [bytes, repair] of [
      [lost, true],
      [edit(good, [99, be(1, 1)]), false],
    ] as const) {
      const store = new MemoryStore(bytes);
      flip(store, openSession(store, { repair }), "a", true, 20, 30);
      expect(check(store.bytes).findings).toEqual([]);
      expect(runSync(readIndex(store.size, ZLIB), bytesSource(store.bytes)).header.generation).toBe(2n);
    }
  });

  test("a primary that cannot be read: an error of reading, of which only a repair makes nothing; behind its magic as a bad one", () => {
    const good = fileOf({ a: bitmap(300, [7]) });
    for (const [from, to, ordinary] of [
      [0, 512, "IO"],
      [512, 1024, "ok"],
    ] as const) {
      const dead = (): MemoryStore => {
        const store = new MemoryStore(good);
        let bad = true;
        store.before = (op) => {
          if (op.kind === "write" && op.offset === 0) bad = false;
          if (bad && op.kind === "read" && op.offset < to && op.offset + op.length > from) throw io("EIO: i/o error");
        };
        return store;
      };
      const store = dead();
      if (ordinary === "IO") {
        const error = errorOf(() => openSession(store));
        expect(error.code).toBe("IO");
        expect(error.message).toMatch(/^the header cannot be read: EIO: i\/o error; .*qdb check -r/);
        expect(store.changes).toEqual([]);
      } else flip(store, openSession(store), "a", true, 20, 30);
      const mended = dead();
      flip(mended, openSession(mended, { repair: true }), "a", true, 20, 30);
      expect(check(mended.bytes).findings).toEqual([]);
    }
    const none = new MemoryStore(good);
    none.before = () => {
      throw io("EIO: i/o error");
    };
    for (const repair of [false, true]) expect(errorOf(() => openSession(none, { repair })).code).toBe("IO");
  });

  test("while an L1 area is bad the file only grows, is never cut, and the entry stays byte for byte", () => {
    for (const bad of [
      { ...one, l1Checksum: 1 },
      { ...one, clusters: [{ descriptor: 8n }, rep(3, 512), "zeros"] as const },
      { ...one, l1Size: 2 },
      { ...one, granularity: 513 },
      { ...one, l1Offset: 2n ** 60n, padding: 7, reserved: 9 },
    ]) {
      const tail = rep(0xee, 5000);
      const start = file({ bitmaps: [bad, { ...one, name: "v" }] });
      const bytes = Uint8Array.of(...start, ...tail);
      const store = new MemoryStore(bytes);
      const session = openSession(store);
      const entry = session.state.mapped[0]?.entry.bytes.slice();
      for (let step = 0; step < 20; step++) {
        const end = store.size;
        flip(store, session, "v", step % 2 === 0, 0, 9000);
        const written = store.changes.filter((op) => op.kind === "write" && op.offset >= 2 * H);
        expect(written.every((op) => op.kind === "write" && op.offset >= bytes.length)).toBe(true);
        expect(store.size).toBeGreaterThan(end);
      }
      expect(store.changes.some(({ kind }) => kind === "truncate")).toBe(false);
      expect(store.bytes.slice(2 * H, bytes.length)).toEqual(bytes.slice(2 * H));
      expect(session.state.mapped[0]?.entry.bytes).toEqual(entry);
      const again = openSession(store);
      expect(again.state.mapped[0]?.entry.bytes).toEqual(entry);
      expect(again.state.mapped.map((bitmap) => bitmap.findProblem()?.code)).toEqual(
        session.state.mapped.map((bitmap) => bitmap.findProblem()?.code),
      );
      // Once the damaged bitmap is removed, the file can be cut.
      const edits = editsOf(again);
      edits.remove("u");
      commit(store, again, edits);
      flip(store, again, "v", true, 3, 4);
      expect(store.size).toBeLessThan(3 * (2 * H + 5 * 512) + 65536);
      expect(check(store.bytes).findings).toEqual([]);
    }
  });

  test("a cluster that cannot be read does not keep other bitmaps from changing", async () => {
    const store = new MemoryStore(START);
    const session = openSession(store);
    const place = session.state.mapped[0]?.map?.offset(0) ?? 0;
    const given = (inner: MemoryStore): SyncStore => ({
      get size() {
        return inner.size;
      },
      readSync: (offset, length) => {
        if (offset <= place && offset + length > place) throw io("bad sector");
        return inner.readSync(offset, length);
      },
      writeSync: (offset, bytes) => inner.writeSync(offset, bytes),
      flushSync: () => inner.flushSync(),
      truncateSync: (length) => inner.truncateSync(length),
    });
    const bad = given(store);
    const own = openSession(bad);
    flip(bad, own, "b", true, 30, 40);
    expect(errorOf(() => flip(bad, own, "a", true, 30, 40)).code).toBe("IO");
    flip(bad, own, "b", true, 50, 60);
    expect(view(store.bytes).split("\n")[0]).toBe(view(START).split("\n")[0]);
  });
});

describe("the name", () => {
  const lost = new QdbError("PATH_CHANGED", "the file has lost its name");
  /** A store that has a path, and logs each check of it. */
  const named = (store: MemoryStore, confirmSync: () => void): SyncStore => ({
    get size() {
      return store.size;
    },
    readSync: (offset, length) => store.readSync(offset, length),
    writeSync: (offset, bytes) => store.writeSync(offset, bytes),
    flushSync: () => store.flushSync(),
    truncateSync: (length) => store.truncateSync(length),
    replaceSync: (image) => store.replaceSync(image),
    confirmSync,
  });

  test("is looked at when all else of a commit, a fence, a cut, a repair and a rewrite is done", async () => {
    const cases: readonly (readonly [Uint8Array, (editor: QdbEditor) => Promise<unknown>])[] = [
      [HOLLOW, (editor) => editor.change("a", (bits) => (bits.invert(), bits)).then(() => editor.commit())],
      [START, (editor) => editor.commit()],
      [START, (editor) => editor.commit().then(() => editor.commit())],
      [Uint8Array.from([...START, ...rep(0, 8192)]), (editor) => editor.repair()],
      [edit(START, [H + 20, rep(7, 9)]), (editor) => editor.repair()],
      [START, (editor) => editor.repair()],
      [
        fileOf({ a: bitmap(9, [1]) }, { form: "draft", allOnes: false }),
        async (editor) => {
          editor.edits.rename("a", "b");
          await editor.commit();
        },
      ],
    ];
    for (const [bytes, act] of cases) {
      const store = new MemoryStore(bytes);
      const changes: number[] = [];
      const all = (): number => store.log.filter(({ kind }) => kind !== "read").length;
      await act(await openEditor(named(store, () => void changes.push(all()))));
      expect(changes.at(-1)).toBe(all());
      expect(changes.length).toBeGreaterThan(0);

      const ended = new MemoryStore(bytes);
      const editor = await openEditor(
        named(ended, () => {
          throw lost;
        }),
      );
      const error = await rejection(() => act(editor));
      expect({ code: (error as QdbError).code, cause: (error as QdbError).cause }).toEqual({
        code: "PATH_CHANGED",
        cause: lost,
      });
      expect(await rejection(() => editor.commit())).toBe(error);
      expect(await rejection(() => editor.repair())).toBe(error);
    }
  });

  test("is looked at by stores that answer later too", async () => {
    const store = new MemoryStore(START);
    const editor = await openEditor({ ...asyncStore(store), size: store.size, confirm: () => Promise.reject(lost) });
    await editor.change("a", (bits) => (bits.invert(), bits));
    const error = await rejection(() => editor.commit());
    expect((error as QdbError).message).toMatch(
      /^the file has lost its name; the change is stored in it, but no longer/,
    );
    expect(view(store.bytes)).not.toBe(view(START));
  });
});

test("ids of a session: a new writer id at each opening, the file id stays", async () => {
  const store = new MemoryStore(START);
  const seen = new Set<string>();
  const randomId = ids();
  for (let turn = 0; turn < 3; turn++) {
    const session = await run(Session.open(store.size, { digests: ZLIB, writerId: randomId(), repair: false }), store);
    flip(store, session, "b", true, 1, 2);
    flip(store, session, "b", false, 1, 2);
    const { writerId, fileId, generation } = runSync(readIndex(store.size), bytesSource(store.bytes)).header;
    seen.add(writerId.join());
    expect(fileId).toEqual(new Uint8Array(16).fill(0xf1));
    expect(generation).toBe(BigInt(3 + 2 * turn));
  }
  expect(seen.size).toBe(3);
});
