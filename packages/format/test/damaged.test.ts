// Changes of a file with a damaged bitmap: no bit of the others is lost, and the file can be repaired (spec §5, Files in error).
import { type Bitmap, bytesSource, isQdbError } from "@qdb/format";
import { bitmapPlan, FLAG, loadMaps, type QdbEditor, readIndex, runSync, type SyncStore } from "@qdb/format/container";
import { describe, expect, test } from "vitest";
import { be, edit, file, type HandBitmap, type HandFile, rep } from "./hand.ts";
import { check } from "./reading.ts";
import {
  bitmap,
  commit,
  editsOf,
  fileOf,
  flip,
  io,
  MemoryStore,
  openEditor,
  openSession,
  view,
  ZLIB,
} from "./store.ts";
import { errorOf, rejection } from "./support/errors.ts";

const H = 4096;

/** The state of a bitmap: its dirty bits, or the code of its problem. */
type Said = ReadonlySet<number> | string;

function dirtyOf(bits: Bitmap): ReadonlySet<number> {
  const dirty = new Set<number>();
  for (const [at, byte] of bits.toBytes().entries())
    for (let bit = 0; byte >> bit > 0; bit++) if ((byte >> bit) & 1) dirty.add(at * 8 + bit);
  return dirty;
}

function said(bytes: Uint8Array): ReadonlyMap<string, Said> {
  const source = bytesSource(bytes);
  const index = runSync(readIndex(bytes.length, ZLIB), source);
  const mapped = runSync(loadMaps(index, index.table.entries, ZLIB), source);
  return new Map<string, Said>(
    mapped.map((one): readonly [string, Said] => {
      const { entry, map } = one;
      const problem = one.findProblem();
      if (map === undefined || problem !== undefined) return [entry.label, problem?.code ?? "none"];
      try {
        const bits = runSync(bitmapPlan(map), source);
        return [entry.label, dirtyOf(bits)];
      } catch (error) {
        if (isQdbError(error)) return [entry.label, error.code];
        throw error;
      }
    }),
  );
}

/** Expects that a bitmap has at least the true dirty bits, or that its bits are refused. */
function expectNoLoss(now: Said | undefined, truth: Iterable<number>, label: string): void {
  if (now === undefined || typeof now === "string") return;
  expect(
    [...truth].filter((bit) => !now.has(bit)),
    `lost bits of ${label}`,
  ).toEqual([]);
}

const ACTIONS: Readonly<Record<string, (editor: QdbEditor) => Promise<void> | void>> = {
  mark: (editor) => editor.change("A", (bits) => (bits.markBits({ first: 3000, end: 3001 }), bits)),
  clear: (editor) => editor.change("A", (bits) => (bits.unmark({ offset: 0, length: 5120 }), bits)),
  disable: (editor) => editor.edits.setEnabled("A", false),
  rename: (editor) => editor.edits.rename("A", "a2"),
  freeze: (editor) => editor.edits.freeze("A", "next"),
  add: (editor) => editor.edits.add({ name: "new", bits: bitmap(9000, [8999]), flags: 0, extraData: [] }),
  "remove A": (editor) => editor.edits.remove("A"),
  "mark all of A": (editor) => editor.edits.markAll("A"),
  resize: (editor) => editor.read(editor.edits.resize("A", 512n * 90_000n, "dirty")),
  import: (editor) => editor.edits.replace({ name: "A", bits: bitmap(4000, [1, 3999]), flags: 1, extraData: [] }),
};

describe("an edit after the file was cut", () => {
  const A = [1, 2, 5000, 8999];
  const B = [0, 4096, 70_000];
  const C = [17, 40_000];
  for (const clusterBits of [9, 12, 13]) {
    const whole = fileOf(
      { A: bitmap(9000, A), C: bitmap(50_000, C), B: bitmap(80_000, B) },
      { clusterBits, allOnes: clusterBits !== 12 },
    );
    const cuts = [1, 512, 700, 4096, 8192, 12_288, 16_384];
    for (const [name, action] of Object.entries(ACTIONS)) {
      test(`${name}, clusters of 2^${clusterBits} bytes`, async () => {
        for (const cut of cuts) {
          const bytes = whole.slice(0, whole.length - cut);
          if (view(bytes).startsWith("error")) continue;
          const before = said(bytes);
          const store = new MemoryStore(bytes);
          const editor = await openEditor(store);
          try {
            await action(editor);
          } catch (error) {
            // A itself is damaged.
            if (!isQdbError(error) || typeof before.get("A") !== "string") throw error;
            continue;
          }
          await editor.commit();
          const after = said(store.bytes);
          for (const [label, truth] of [
            ["B", B],
            ["C", C],
          ] as const) {
            const was = before.get(label);
            const is = after.get(label);
            if (typeof was !== "string") expect(is, `${label} after a cut of ${cut}`).toEqual(was);
            else expect(is, `${label} after a cut of ${cut}`).not.toBe("OVERLAP");
            expectNoLoss(is, truth, label);
          }
          for (const [label, now] of after)
            if (!["A", "B", "C"].includes(label)) expect(typeof now, `${label} is good`).toBe("object");
          // The file stays writable, and can be repaired.
          const again = await openEditor(store);
          again.edits.add({ name: "later", bits: bitmap(100, [7]), flags: 0, extraData: [] });
          await again.commit();
          expect(said(store.bytes).get("later")).toEqual(new Set([7]));
          const repair = await openEditor(store, { repair: true });
          expect((await repair.repair()).after).toEqual([]);
          const end = said(store.bytes);
          expectNoLoss(end.get("B"), B, "B");
          expectNoLoss(end.get("C"), C, "C");
          expect([typeof end.get("B"), typeof end.get("C")]).toEqual(["object", "object"]);
        }
      });
    }
  }
});

describe("where new space lies while a bitmap is damaged", () => {
  const size = 512n * 4096n * 4n;
  const good: HandBitmap = { name: "v", size, granularity: 512, clusters: [rep(7, 512), "zeros", "zeros", "zeros"] };

  /** A file in which bitmap u refers to these clusters, and all else is good. Without a length it ends behind its last cluster. */
  function naming(places: readonly number[], over: Partial<HandBitmap> = {}, spec: HandFile = {}): Uint8Array {
    const clusters = places.map((place) => ({ descriptor: BigInt(place), crc: 9 }));
    const bits = 4096n * BigInt(places.length);
    return file({
      bitmaps: [{ name: "u", size: 512n * bits, granularity: 512, clusters, ...over }, good],
      ...spec,
    });
  }

  function writes(store: MemoryStore): readonly { readonly start: number; readonly end: number }[] {
    return store.changes.flatMap((op) =>
      op.kind === "write" && op.offset >= 2 * H ? [{ start: op.offset, end: op.offset + op.bytes.length }] : [],
    );
  }

  test("behind the end and on no cluster that is named there, misaligned ones too; nothing grows to a wild one", () => {
    const end = naming([0]).length;
    const first = Math.ceil(end / H) * H;
    const named = [first, first + 2 * H + 512, first + 5 * H - 100, first + 8 * H, 2 ** 40, 2 ** 50 + 512];
    const bytes = naming(named.map((place) => Math.floor(place / 512) * 512 + (place === first + 8 * H ? 1 : 0)));
    const store = new MemoryStore(bytes);
    const session = openSession(store);
    const entry = session.state.mapped[0]?.entry.bytes.slice();
    flip(store, session, "v", true, 4096, 12_000);
    for (const { start, end: behind } of writes(store)) {
      expect(start).toBeGreaterThanOrEqual(bytes.length);
      for (const place of named) expect(behind <= place || start >= place + 512 + 100).toBe(true);
    }
    expect(store.size).toBeLessThan(first + 16 * H);
    expect(session.state.mapped[0]?.entry.bytes).toEqual(entry);
    expect(store.bytes.slice(2 * H, bytes.length)).toEqual(bytes.slice(2 * H));
  });

  test("an L1 area that the file does not hold: its place stays free, and what its first part names", () => {
    const count = 100;
    const area = Math.ceil(naming([]).length / H) * H - 512;
    // 100 entries, of which the file holds the first 64; the others, and all checksums, are zero.
    const places = [area + 512 + H, area + 1024 + 2 * H];
    const entries = new Uint8Array(count * 12);
    for (const [at, place] of places.entries()) entries.set(be(BigInt(place + 1), 8), at * 8);
    const { crc32 } = ZLIB;
    const bytes = file({
      bitmaps: [
        {
          name: "u",
          size: 512n * 4096n * 100n,
          granularity: 512,
          l1Offset: BigInt(area),
          l1Size: count,
          l1Checksum: crc32?.(entries) ?? 0,
        },
        good,
      ],
      length: area,
    });
    const held = new Uint8Array(area + 512);
    held.set(bytes);
    held.set(entries.subarray(0, 512), area);
    const store = new MemoryStore(held);
    expect(said(held).get("u")).toBe("OUT_OF_BOUNDS");
    flip(store, openSession(store), "v", true, 4096, 12_000);
    for (const { start, end } of writes(store)) {
      expect(start).toBeGreaterThanOrEqual(area + 1200);
      for (const place of places) expect(end <= place || start >= place + 512).toBe(true);
    }
    // The file is longer now, so that the L1 area is complete again, as before the file was cut.
    expect(said(store.bytes).get("u")).toEqual(new Set());
    expect(check(store.bytes).findings).toEqual([]);
  });

  test("where no near space is left the commit is refused with LIMIT, and nothing is written", () => {
    // A block of 4096 bytes in every 16 KiB is named; what is stored needs four blocks in one piece.
    const count = 600;
    const first = Math.ceil(naming(Array.from({ length: count }, () => 0)).length / H) * H;
    const bytes = naming(Array.from({ length: count }, (_, at) => first + at * 4 * H));
    const store = new MemoryStore(bytes);
    const session = openSession(store);
    const edits = editsOf(session);
    edits.add({ name: "w", bits: bitmap(4096 * 1200, [1]), flags: 0, extraData: [] });
    const error = errorOf(() => commit(store, session, edits));
    expect(error.code).toBe("LIMIT");
    expect(store.changes).toEqual([]);
    // The session goes on, and what fits is stored.
    flip(store, session, "v", true, 5000, 5001);
    expect(store.size).toBeLessThan(bytes.length + 16 * H);
  });
});

describe("a device, which has no end that could be moved", () => {
  const size = 512n * 4096n * 2n;
  const made = file({
    bitmaps: [
      { name: "u", size, granularity: 512, clusters: [rep(5, 512), rep(6, 512)], l1Checksum: 7 },
      { name: "v", size, granularity: 512, clusters: [rep(7, 512), "zeros"] },
      { name: "w", size, granularity: 512, clusters: [{ descriptor: 40_960n, crc: 3 }, "zeros"] },
    ],
  });

  function device(length: number, bad: readonly number[] = []): { store: SyncStore; inner: MemoryStore } {
    const bytes = new Uint8Array(length);
    bytes.set(made);
    const inner = new MemoryStore(bytes);
    const store: SyncStore = {
      size: length,
      fixedSize: true,
      readSync: (offset, count) => {
        if (bad.some((place) => offset <= place && place < offset + count)) throw io("bad sector");
        return inner.readSync(offset, count);
      },
      writeSync: (offset, bytes) => {
        if (offset + bytes.length > length) throw io("no space left on device");
        inner.writeSync(offset, bytes);
      },
      flushSync: () => inner.flushSync(),
      truncateSync: () => undefined,
    };
    return { store, inner };
  }

  test("new space lies behind all that is named, and a repair has space too", async () => {
    const { store, inner } = device(2 ** 18);
    flip(store, openSession(store), "v", true, 5000, 5001);
    for (const op of inner.changes)
      if (op.kind === "write" && op.offset >= 2 * H) expect(op.offset).toBeGreaterThanOrEqual(40_960 + 512);
    expect(inner.size).toBe(2 ** 18);
    const now = said(inner.bytes);
    expect([now.get("u"), now.get("w"), (now.get("v") as ReadonlySet<number>).has(5000)]).toEqual([
      "BAD_CHECKSUM",
      "BAD_CHECKSUM",
      true,
    ]);
    expect((await (await openEditor(store, { repair: true })).repair()).after).toEqual([]);
    expect((said(inner.bytes).get("v") as ReadonlySet<number>).has(5000)).toBe(true);
  });

  test.each([
    ["no space behind what is named", device(45_056)],
    ["an L1 area that cannot be read", device(2 ** 18, [2 * H + 512])],
  ])("%s: refused with LIMIT before anything is written", (_, { store, inner }) => {
    const session = openSession(store);
    expect(errorOf(() => flip(store, session, "v", true, 5000, 5001)).code).toBe("LIMIT");
    expect(inner.changes).toEqual([]);
  });
});

describe("two structures own one cluster", () => {
  const truth = { a: [3, 4096], b: [9, 5000], c: [11] };
  const made = fileOf({ a: bitmap(8192, truth.a), b: bitmap(8192, truth.b), c: bitmap(3000, truth.c) });

  /** The file with another L1 entry in b, and matching checksums. */
  function overlapped(descriptor: (a: number, c: number) => number, flags = 0): Uint8Array {
    const [a, b, c] = openSession(new MemoryStore(made)).state.mapped.map(({ map }) => map);
    if (a === undefined || b === undefined || c === undefined) throw new Error("a file that was made is good");
    const place = descriptor(a.offset(0), c.areaOffset);
    const area = edit(b.areaBytes, [0, be(place, 8)], ...(place % 2 === 1 ? [[16, be(0, 4)] as const] : []));
    return relinked(edit(made, [b.areaOffset, area]), 1, area, flags);
  }

  /** Computes the checksums that depend on an L1 area. */
  function relinked(bytes: Uint8Array, position: number, area: Uint8Array, flags: number): Uint8Array {
    const crc32 = ZLIB.crc32 ?? (() => 0);
    const at = 2 * H + position * 48;
    const table = edit(bytes, [at + 28, be(crc32(area), 4)], [at + 24, be(flags, 2)]).slice(2 * H, 2 * H + 144);
    const blank = edit(bytes, [2 * H, table], [64, be(crc32(table), 4)], [68, be(0, 4)]);
    const header = edit(blank.slice(0, H), [68, be(crc32(blank.subarray(0, H)), 4)]);
    return edit(blank, [0, header], [H, header]);
  }

  const cases: Readonly<Record<string, readonly [bytes: Uint8Array, concerned: readonly string[]]>> = {
    "data of a and data of b": [overlapped((a) => a), ["a", "b"]],
    "data of a, and preallocated by b": [overlapped((a) => a + 1), ["a", "b"]],
    "data of b over the L1 area of c": [overlapped((_, c) => c), ["b", "c"]],
    "data of b over the table": [overlapped(() => 2 * H), ["b"]],
    "data of b over the header": [overlapped(() => 512), ["b"]],
    "b is in use beside": [overlapped((a) => a, FLAG.in_use), ["a", "b"]],
  };

  describe.each(Object.entries(cases))("%s", (title, [bytes, concerned]) => {
    // A preallocated cluster reads as zeros, whatever bytes it has.
    const right = title.includes("preallocated") ? { ...truth, b: [5000] } : truth;
    const names = ["a", "b", "c"] as const;
    const bystanders = names.filter((name) => !concerned.includes(name));

    function expectWhole(store: MemoryStore, but: readonly string[] = []): ReadonlyMap<string, Said> {
      const now = said(store.bytes);
      for (const name of names) if (!but.includes(name)) expectNoLoss(now.get(name), right[name], name);
      for (const name of bystanders)
        if (!but.includes(name)) expect(now.get(name), `${name} is as it was`).toEqual(new Set(truth[name]));
      return now;
    }

    test("each is refused, and said to be repairable", () => {
      const now = said(bytes);
      for (const name of concerned) expect(["OVERLAP", "INCONSISTENT"]).toContain(now.get(name));
      const found = check(bytes).findings.filter(({ code }) => code === "OVERLAP");
      expect(new Set(found.map(({ where }) => where.bitmap))).toEqual(new Set(concerned));
      expect(found.every(({ repairable }) => repairable)).toBe(true);
    });

    test("check -r makes them dirty, the others stay as they are, and a second one changes nothing", async () => {
      const store = new MemoryStore(bytes);
      const report = await (await openEditor(store, { repair: true })).repair();
      expect(report.after.filter(({ code }) => code !== "INCONSISTENT")).toEqual([]);
      expect(report.growth).toBeUndefined();
      const now = expectWhole(store);
      for (const name of concerned) {
        const bits = now.get(name);
        if (typeof bits === "string") expect(bits).toBe("INCONSISTENT");
        else expect(bits?.size).toBe(name === "c" ? 3000 : 8192);
      }
      const repaired = store.bytes;
      expect((await (await openEditor(store, { repair: true })).repair()).written).toBe(false);
      expect(store.bytes).toEqual(repaired);
    });

    test.each(names)("%s is changed, marked or removed: nothing of the others goes", async (name) => {
      const isConcerned = concerned.includes(name);
      for (const action of ["mark", "markAll", "remove", "rename", "disable", "freeze"] as const) {
        const store = new MemoryStore(bytes);
        const editor = await openEditor(store);
        const old = new Map(editor.state.mapped.map(({ entry }) => [entry.label, entry.bytes.slice()]));
        const act = async (): Promise<void> => {
          if (action === "mark") await editor.change(name, (bits) => (bits.markBits({ first: 77, end: 78 }), bits));
          else if (action === "markAll") editor.edits.markAll(name);
          else if (action === "remove") editor.edits.remove(name);
          else if (action === "rename") editor.edits.rename(name, "z");
          else if (action === "disable") editor.edits.setEnabled(name, true);
          else editor.edits.freeze(name, "z");
        };
        if (isConcerned && action !== "markAll" && action !== "remove") {
          expect(["OVERLAP", "INCONSISTENT"]).toContain((await rejection(act)).code);
          continue;
        }
        await act();
        const report = await editor.commit();
        const now = expectWhole(store, [name]);
        if (action === "markAll") expect((now.get(name) as ReadonlySet<number>).size).toBe(name === "c" ? 3000 : 8192);
        if (action === "mark") expect(now.get(name)).toEqual(new Set([...truth[name], 77]));
        // The other bitmap owns the shared clusters alone now. Its checksums say whether they are its own.
        if (isConcerned) {
          for (const other of concerned.filter((one) => one !== name))
            expect(now.get(other), other).not.toBe("OVERLAP");
          expect(report.growth).toBeUndefined();
        } else {
          // The table moved, so that a bitmap that overlapped it owns its clusters alone.
          const isAlone = concerned.length === 1 && bytes === cases["data of b over the table"]?.[0];
          expect(report.growth?.bitmaps).toBe(isAlone ? undefined : concerned.length);
          expect(report.growth?.repairable).toBe(isAlone ? undefined : true);
          if (!isAlone)
            for (const { entry } of editor.state.mapped)
              if (concerned.includes(entry.label)) expect(entry.bytes).toEqual(old.get(entry.label));
        }
        // The state of the session is the one that the next session reads.
        const next = openSession(store).state.mapped;
        expect(editor.state.mapped.map((one) => one.findProblem())).toEqual(next.map((one) => one.findProblem()));
      }
    });
  });

  test("a survivor is judged by its checksums before anything moves, is cut or allocated", async () => {
    const [bytes] = cases["data of a and data of b"] ?? [];
    if (bytes === undefined) throw new Error("no such case");
    for (const [gone, left, isRight] of [
      ["b", "a", true],
      ["a", "b", false],
    ] as const) {
      const store = new MemoryStore(bytes);
      const editor = await openEditor(store);
      editor.edits.remove(gone);
      await editor.commit();
      expect(said(store.bytes).get(left)).toEqual(isRight ? new Set(truth[left]) : "BAD_CHECKSUM");
      editor.edits.add({ name: "n", bits: bitmap(9000, [1, 8999]), flags: 0, extraData: [] });
      await editor.commit();
      expect(said(store.bytes).get(left)).toEqual(isRight ? new Set(truth[left]) : "BAD_CHECKSUM");
    }
  });

  test("a change that moves the table away from over an L1 area that names what others own makes that bitmap dirty", async () => {
    const crc32 = ZLIB.crc32 ?? (() => 0);
    // The L1 area of b is the table: its first word is the offset of the L1 area of a.
    const moved = edit(made, [2 * H + 48, be(2 * H, 8)]);
    const bytes = relinked(moved, 1, moved.slice(2 * H, 2 * H + 24), 0);
    expect(crc32(bytes.subarray(2 * H, 2 * H + 24))).toBe(crc32(moved.subarray(2 * H, 2 * H + 24)));
    expect([...said(bytes)].filter(([, one]) => typeof one === "string")).toEqual([["b", "OVERLAP"]]);
    const store = new MemoryStore(bytes);
    const editor = await openEditor(store);
    editor.edits.rename("c", "d");
    const { madeDirty, growth } = await editor.commit();
    expect([madeDirty.map(({ code, where }) => [code, where.bitmap]), growth]).toEqual([[["OVERLAP", "b"]], undefined]);
    const now = said(store.bytes);
    expect([now.get("a"), now.get("d"), (now.get("b") as ReadonlySet<number>).size]).toEqual([
      new Set(truth.a),
      new Set(truth.c),
      8192,
    ]);
    expect(check(store.bytes).findings).toEqual([]);
    // A bitmap beyond repair has to be removed.
    const unknown = relinked(moved, 1, moved.slice(2 * H, 2 * H + 24), 0x8000);
    const other = new MemoryStore(unknown);
    const session = openSession(other);
    const edits = editsOf(session);
    edits.rename("c", "d");
    const error = errorOf(() => commit(other, session, edits));
    expect([error.code, error.where.bitmap, other.changes]).toEqual(["OVERLAP", "a", []]);
    const removal = editsOf(session);
    removal.remove("b");
    commit(other, session, removal);
    expect([said(other.bytes).get("a"), said(other.bytes).get("c")]).toEqual([new Set(truth.a), new Set(truth.c)]);
  });

  test("a removal that lets a bitmap of unknown entries take what a good one owns makes that bitmap dirty", async () => {
    // a and b share one L1 area of which only b's checksum is right; an entry in it names the cluster of c.
    const [a, , c] = openSession(new MemoryStore(made)).state.mapped.map(({ map }) => map);
    if (a === undefined || c === undefined) throw new Error("a file that was made is good");
    const area = edit(a.areaBytes, [0, be(c.offset(0), 8)]);
    const shared = edit(made, [a.areaOffset, area], [2 * H + 48, be(a.areaOffset, 8)]);
    const bytes = relinked(shared, 1, area, 0);
    expect([...said(bytes).values()].map((one) => (typeof one === "string" ? one : "ok"))).toEqual([
      "OVERLAP",
      "OVERLAP",
      "ok",
    ]);
    for (const [gone, left] of [
      ["a", "b"],
      ["b", "a"],
    ] as const) {
      const store = new MemoryStore(bytes);
      const editor = await openEditor(store);
      editor.edits.remove(gone);
      const { madeDirty } = await editor.commit();
      const now = said(store.bytes);
      expect(now.get("c")).toEqual(new Set(truth.c));
      // The checksum of a does not match, so that its entries refer to nothing.
      expect(madeDirty.map(({ where }) => where.bitmap)).toEqual(left === "b" ? ["b"] : []);
      if (left === "b") expect((now.get("b") as ReadonlySet<number>).size).toBe(8192);
      else expect(now.get("a")).toBe("BAD_CHECKSUM");
    }
  });

  test("an L1 area that runs past the end over what a good one owns: its bitmap becomes dirty", async () => {
    const [a] = openSession(new MemoryStore(made)).state.mapped.map(({ map }) => map);
    // The file ends inside the L1 area that b would have then, which begins at the data of a.
    const place = a?.offset(0) ?? 0;
    const grown = edit(
      made,
      [2 * H + 48, be(place, 8)],
      [2 * H + 56, be(400, 4)],
      [2 * H + 64, be(512n * 4096n * 400n, 8)],
    );
    const store = new MemoryStore(relinked(grown, 1, new Uint8Array(0), 0));
    expect([...said(store.bytes)].filter(([, one]) => typeof one === "string")).toEqual([["b", "OUT_OF_BOUNDS"]]);
    const editor = await openEditor(store);
    editor.edits.rename("c", "d");
    expect((await editor.commit()).madeDirty.map(({ where }) => where.bitmap)).toEqual(["b"]);
    expect([said(store.bytes).get("a"), said(store.bytes).get("d")]).toEqual([new Set(truth.a), new Set(truth.c)]);
    expect(check(store.bytes).findings).toEqual([]);
  });
});

describe("a draft, whose bits no checksum proves", () => {
  const size = 512n * 4096n * 2n;
  const one = (name: string, over: Partial<HandBitmap> = {}): HandBitmap => ({
    name,
    size,
    granularity: 512,
    clusters: [rep(7, 512), "zeros"],
    ...over,
  });
  /** The first data cluster stands behind header, table and an L1 area. */
  const place = 512n * 3n;
  const files: Readonly<Record<string, readonly [HandBitmap, string]>> = {
    "data of a and data of b": [one("b", { clusters: [{ descriptor: place }, "zeros"] }), "a b"],
    "one L1 area of a and b": [one("b", { l1Offset: 1024n }), "a b"],
    "data of b behind the end": [one("b", { clusters: [{ descriptor: 2n ** 30n }, "zeros"] }), "b"],
  };
  test.each(Object.entries(files))("%s", async (_, [b, names]) => {
    const concerned = names.split(" ");
    const bytes = file({ draft: true, bitmaps: [one("a"), b, one("c")] });
    const good = said(bytes).get("c");
    expect([...said(bytes)].filter(([, one]) => typeof one === "string").map(([name]) => name)).toEqual(concerned);
    for (const act of ["remove a", "remove b", "all a", "all b", "mark c", "remove c"]) {
      const [verb, name = ""] = act.split(" ");
      const store = new MemoryStore(bytes);
      const editor = await openEditor(store);
      if (verb === "remove") editor.edits.remove(name);
      else if (verb === "all") editor.edits.markAll(name);
      else await editor.change(name, (bits) => (bits.markBits({ first: 5000, end: 5001 }), bits));
      const { madeDirty, growth } = await editor.commit();
      const dirtied = concerned.filter((other) => other !== name);
      expect([madeDirty.map(({ where }) => where.bitmap), growth]).toEqual([dirtied, undefined]);
      const now = said(store.bytes);
      for (const other of dirtied) expect((now.get(other) as ReadonlySet<number>).size).toBe(8192);
      if (name !== "c") expect(now.get("c")).toEqual(good);
      expect(check(store.bytes).findings).toEqual([]);
    }
    // Without a change there is no rewrite and no message.
    const store = new MemoryStore(bytes);
    expect((await (await openEditor(store)).commit()).madeDirty).toEqual([]);
    expect(store.bytes).toEqual(bytes);
  });

  test("what cannot be read, and what is in an error that dirt does not mend, is no reason to write", async () => {
    const bytes = file({
      draft: true,
      bitmaps: [one("a", { flags: 0x8000, clusters: [{ descriptor: 2n ** 30n }, "zeros"] }), one("c")],
    });
    const store = new MemoryStore(bytes);
    const editor = await openEditor(store);
    await editor.change("c", (bits) => (bits.markBits({ first: 5000, end: 5001 }), bits));
    expect((await rejection(() => editor.commit())).code).toBe("UNSUPPORTED_FEATURE");
    expect(store.bytes).toEqual(bytes);
    const other = file({ draft: true, bitmaps: [one("a"), one("c")] });
    const unread = new MemoryStore(other);
    const area = 1024;
    unread.before = (op) => {
      if (op.kind === "read" && op.offset <= area && op.offset + op.length > area && op.length < 4096)
        throw io("bad sector");
    };
    const second = await openEditor(unread);
    await second.change("c", (bits) => (bits.markBits({ first: 5000, end: 5001 }), bits));
    expect((await rejection(() => second.commit())).code).toBe("IO");
    expect(unread.bytes).toEqual(other);
  });
});
