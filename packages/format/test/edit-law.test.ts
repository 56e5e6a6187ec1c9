// What edits promise of every action: dirt is removed only by actions that say so, nothing is changed behind an editor, and an action
// that fails leaves nothing of itself.
import { Bitmap, bytesSource, QdbError, QdbFile, readBitmap } from "@qdb/format";
import {
  decodeRecord,
  type Edits,
  encodeRecord,
  FLAG,
  JsonLoader,
  type Plan,
  QdbEditor,
  RECORD,
  runSync,
  toHex,
} from "@qdb/format/container";
import { describe, expect, test } from "vitest";
import { readClusterBits } from "../src/bits/read-cluster-bits.ts";
import { rep } from "./hand.ts";
import { asyncStore, bitmap, fileOf, MemoryStore, openEditor, utf8 } from "./store.ts";
import { errorOf, rejection } from "./support/errors.ts";

const BITS = 40_000;
const ID = { type: RECORD.id, data: rep(1, 16) };
const RANGE = { offset: 512, length: 1024 };

/** Three bitmaps with ids; `f` is frozen, and `s` collects for it. */
function start(): Uint8Array {
  const contents = (name: string, dirty: readonly number[], flags = 0, granularity = 512) => ({
    nameBytes: utf8(name),
    flags,
    extraData: [ID],
    bits: bitmap((BITS * 512) / granularity, dirty, granularity),
  });
  const frozen = contents("f", [1, 8000, BITS - 1], FLAG.frozen);
  const successor = { type: RECORD.successor, data: utf8("s") };
  return fileOf(
    {},
    {
      bitmaps: [
        contents("a", [1, 2, 20_000]),
        contents("b", [2, 700], 0, 4096),
        { ...frozen, extraData: [ID, successor] },
        contents("s", [5], FLAG.enabled),
      ],
    },
  );
}

/** An action on bitmap `a`, or the pair of `f` and `s`. */
type Action = (edits: Edits) => Plan<void> | void;

const fill = (bits: Bitmap): Bitmap => {
  bits.markBits({ first: 0, end: bits.bitCount });
  return bits;
};
const source = (): Bitmap => bitmap(BITS, [2, 3]);

/** Actions that never remove dirt. */
const ADDING: Readonly<Record<string, Action>> = {
  mark: (edits) => edits.mark("a", { offset: 0, length: 50 * 512 }),
  merge: (edits) => edits.merge("a", bitmap(BITS / 8, [9], 4096)),
  regranulate: (edits) => edits.regranulate("a", 4096),
  grow: (edits) => edits.resize("a", 512n * 50_000n, "dirty"),
  "mark all": (edits) => edits.markAll("a"),
  "change that adds": (edits) => edits.change("a", fill),
  enable: (edits) => edits.setEnabled("a", true),
  rename: (edits) => edits.rename("a", "other"),
  "rename of a successor": (edits) => edits.rename("s", "other"),
  comment: (edits) => edits.setRecord("a", { kind: "comment", text: "c" }),
  freeze: (edits) => edits.freeze("a", "next", 5n),
  add: (edits) => edits.add({ name: "new", bits: source(), flags: 0, extraData: [ID] }),
};

/** Actions that remove dirt from `a`. */
const REMOVING: Readonly<Record<string, Action>> = {
  unmark: (edits) => edits.unmark("a", RANGE),
  clear: (edits) => edits.clear("a"),
  invert: (edits) => edits.invert("a"),
  intersect: (edits) => edits.intersect("a", source()),
  subtract: (edits) => edits.subtract("a", source()),
  xor: (edits) => edits.xor("a", source()),
  shrink: (edits) => edits.resize("a", 5120n, "dirty"),
  "change that removes": (edits) => edits.change("a", (bits) => (bits.unmark(RANGE), bits)),
  "change to other bits": (edits) => edits.change("a", (bits) => Bitmap.clean(bits)),
};

const OTHERS: Readonly<Record<string, Action>> = {
  remove: (edits) => edits.remove("a"),
  replace: (edits) => edits.replace({ name: "a", bits: source(), flags: 0, extraData: [] }),
  "release done": (edits) => edits.release("f", "done"),
  "release failed": (edits) => edits.release("f", "failed"),
};

const ALL = { ...ADDING, ...REMOVING, ...OTHERS };

async function opened(): Promise<{ readonly store: MemoryStore; readonly editor: QdbEditor }> {
  const store = new MemoryStore(start());
  return { store, editor: await openEditor(store) };
}

function perform(editor: { readonly edits: Edits }, store: MemoryStore, action: Action): void {
  const plan = action(editor.edits);
  if (plan !== undefined) runSync(plan, store);
}

/** Everything that a commit would store. */
function pendingOf(editor: { readonly edits: Edits }, store: MemoryStore): unknown {
  return runSync(editor.edits.findChanges(), store)?.map(({ index, entry, bits }) => ({
    index,
    name: entry && toHex(entry.nameBytes),
    flags: entry?.flags,
    records: entry?.extraData.map(({ type, data }) => `${type}:${toHex(data)}`),
    shape: bits && `${bits.size}/${bits.granularity}`,
    bits: bits && toHex(runSync(readClusterBits(bits, "", {}), store).toBytes()),
  }));
}

const chainOf = (edits: Edits, name: string): string[] =>
  edits
    .records(name)
    .map(decodeRecord)
    .flatMap((record) => (record.kind === "id" || record.kind === "parent" ? [`${record.kind} ${record.uuid}`] : []));

const OLD = "01010101-0101-0101-0101-010101010101";

describe("dirt that is removed", () => {
  test.each(Object.entries(REMOVING))("%s makes a new point of the chain", async (_, action) => {
    const { store, editor } = await opened();
    perform(editor, store, action);
    const [id, parent] = chainOf(editor.edits, "a");
    expect(id).not.toBe(`id ${OLD}`);
    expect(parent).toBe(`parent ${OLD}`);
  });

  test.each(Object.entries(REMOVING))("%s is refused for a frozen bitmap, which keeps its dirt", async (_, action) => {
    const { store, editor } = await opened();
    editor.edits.freeze("a", "next");
    const before = pendingOf(editor, store);
    expect(errorOf(() => perform(editor, store, action)).code).toBe("USAGE");
    expect(pendingOf(editor, store)).toEqual(before);
  });

  test.each(Object.entries(ADDING).slice(0, 6))("%s adds: the bitmap keeps its id", async (name, action) => {
    const { store, editor } = await opened();
    const isAlsoForFrozen = name !== "grow";
    if (isAlsoForFrozen) editor.edits.freeze("a", "next");
    perform(editor, store, action);
    expect(chainOf(editor.edits, "a")).toEqual([`id ${OLD}`]);
    const bits = await editor.bits("a");
    for (const bit of [1, 2, 20_000]) expect(bits.isDirty(Math.floor((bit * 512) / bits.granularity))).toBe(true);
  });

  test("one bit that a callback removes among many that it adds is enough", async () => {
    const { editor } = await opened();
    await editor.change("a", (bits) => {
      const result = fill(bits.clone());
      result.unmark({ offset: 20_000 * 512, length: 512 });
      return result;
    });
    expect(chainOf(editor.edits, "a")[1]).toBe(`parent ${OLD}`);
  });

  const shape = { size: BigInt(BITS) * 512n, granularity: 512 };
  test.each<[string, () => unknown]>([
    ["of another size", () => Bitmap.dirty({ ...shape, size: shape.size + 1n })],
    ["of another size, with as many bits", () => Bitmap.dirty({ ...shape, size: shape.size - 1n })],
    ["of another granularity", () => Bitmap.dirty({ ...shape, granularity: 1024 })],
    ["of nothing", () => undefined],
    ["of a promise", async () => Bitmap.dirty(shape)],
  ])("a result %s is USAGE", async (_, callback) => {
    const { store, editor } = await opened();
    const before = pendingOf(editor, store);
    const error = await rejection(() => editor.change("a", callback as () => Bitmap));
    expect(error.code).toBe("USAGE");
    expect(pendingOf(editor, store)).toEqual(before);
  });

  test("granularities: the source is rounded outward by intersect and merge, inward by subtract; xor is refused", async () => {
    // Bit 0 of the source is granules 0..7 of `a`; two of its bits are one granule of `c`.
    const { store, editor } = await opened();
    perform(editor, store, (edits) => edits.intersect("a", bitmap(BITS / 8, [0], 4096)));
    expect((await editor.bits("a")).toBytes().slice(0, 2)).toEqual(Uint8Array.of(0b110, 0));
    expect((await editor.bits("a")).count()).toBe(2);
    perform(editor, store, (edits) => edits.subtract("b", bitmap(BITS, [16, 17, 18, 19, 20, 21, 22])));
    expect((await editor.bits("b")).count()).toBe(2);
    perform(editor, store, (edits) => edits.subtract("b", bitmap(BITS, [16, 17, 18, 19, 20, 21, 22, 23])));
    expect((await editor.bits("b")).count()).toBe(1);
    perform(editor, store, (edits) => edits.merge("b", bitmap(BITS, [8])));
    expect((await editor.bits("b")).isDirty(1)).toBe(true);
    const error = errorOf(() => perform(editor, store, (edits) => edits.xor("a", bitmap(BITS / 8, [0], 4096))));
    expect(error.code).toBe("USAGE");
  });
});

describe("behind the editor", () => {
  test("bits that were handed out are a copy", async () => {
    const { store, editor } = await opened();
    for (const name of ["a", "b"]) {
      const bits = await editor.bits(name);
      const before = bits.clone();
      bits.invert();
      expect((await editor.bits(name)).equals(before)).toBe(true);
    }
    await editor.commit();
    expect(store.bytes).toEqual(start());
  });

  test("bits that were handed out stay as they were when an action changes the bitmap", async () => {
    const { editor } = await opened();
    const bits = await editor.bits("a");
    await editor.read(editor.edits.mark("a", { offset: 0, length: 512 }));
    const marked = await editor.bits("a");
    await editor.read(editor.edits.clear("a"));
    expect([bits.count(), marked.count(), (await editor.bits("a")).count()]).toEqual([3, 4, 0]);
  });

  test("what add and replace were given can be changed afterwards", async () => {
    const { store, editor } = await opened();
    const given = { bits: source(), extraData: [{ type: 77, data: rep(7, 4) }] };
    editor.edits.add({ name: "new", flags: 0, ...given });
    editor.edits.replace({ name: "a", flags: 0, ...given });
    given.bits.invert();
    given.extraData[0]?.data.fill(8);
    given.extraData.pop();
    await editor.commit();
    const file = await QdbFile.open(bytesSource(store.bytes));
    for (const name of ["new", "a"]) {
      expect((await readBitmap(file.bitmap(name))).equals(source())).toBe(true);
      expect(file.bitmap(name).entry.parseRecords()).toEqual([{ type: 77, data: rep(7, 4) }]);
    }
  });

  test("records that were handed out are a copy", async () => {
    const { store, editor } = await opened();
    for (const { data } of editor.edits.records("a")) data.fill(9);
    await editor.commit();
    expect(store.bytes).toEqual(start());
    expect(chainOf(editor.edits, "a")).toEqual([`id ${OLD}`]);
  });

  test("the bits of a callback can be changed after it", async () => {
    const { store, editor } = await opened();
    let held: Bitmap | undefined;
    await editor.change("a", (bits) => {
      bits.mark({ offset: 0, length: 512 });
      held = bits;
      return bits;
    });
    held?.invert();
    await editor.commit();
    const file = await QdbFile.open(bytesSource(store.bytes));
    expect((await file.bitmap("a").count()).bits).toBe(4);
  });

  test("changes that a commit was given stay as they were", async () => {
    const { store, editor } = await opened();
    perform(editor, store, (edits) => edits.mark("a", { offset: 0, length: 50 * 512 }));
    const [change] = runSync(editor.edits.findChanges(), store) ?? [];
    const count = (): number | undefined =>
      change?.bits && runSync(readClusterBits(change.bits, "a", {}), store).count();
    const before = count();
    // This action changes bits in place.
    perform(editor, store, (edits) => edits.mark("a", { offset: 512 * 100, length: 512 }));
    expect([before, count()]).toEqual([51, 51]);
  });

  test("two actions that read the same bits at the same time are both done", async () => {
    const editor = await openEditor(asyncStore(new MemoryStore(start())));
    const marks = [0, 100, 200].map((bit) => editor.edits.mark("a", { offset: bit * 512, length: 512 }));
    const clear = editor.edits.unmark("a", { offset: 512, length: 512 });
    await Promise.all([...marks, clear].map((plan) => editor.read(plan)));
    const bits = await editor.bits("a");
    expect([0, 1, 2, 100, 200, 20_000].map((bit) => bits.isDirty(bit))).toEqual([true, false, true, true, true, true]);
  });
});

describe("lone surrogates, which UTF-8 cannot hold", () => {
  const LONE = "daily\ud83d";
  const contents = { bits: source(), flags: 0, extraData: [] };
  const places: Readonly<Record<string, (edits: Edits) => unknown>> = {
    add: (edits) => edits.add({ name: LONE, ...contents }),
    rename: (edits) => edits.rename("a", LONE),
    freeze: (edits) => edits.freeze("a", LONE),
    "a low one": (edits) => edits.rename("a", "\ude00"),
    "a pair the wrong way round": (edits) => edits.rename("a", "\ude00\ud83d"),
    "a comment": (edits) => edits.setRecord("a", { kind: "comment", text: LONE }),
    "a disk": (edits) => edits.setRecord("a", { kind: "disk", text: LONE }),
    "a successor": (edits) => edits.setRecord("a", { kind: "successor", text: LONE }),
    "a record": () => encodeRecord({ kind: "comment", text: LONE }),
  };

  test.each(Object.entries(places))("%s is USAGE, and nothing changes", async (_, call) => {
    const { store, editor } = await opened();
    expect(errorOf(() => call(editor.edits)).code).toBe("USAGE");
    expect(pendingOf(editor, store)).toBeUndefined();
  });

  test("a whole-file writer refuses their bytes, and the JSON form their escapes", () => {
    const lone = Uint8Array.of(0xed, 0xa0, 0xbd);
    expect(errorOf(() => fileOf({}, { bitmaps: [{ nameBytes: lone, ...contents }] })).code).toBe("BAD_FIELD");
    const loader = new JsonLoader({ fileId: rep(1, 16), writerId: rep(2, 16), newBits: Bitmap.clean });
    const text = '{"format":"qdb","header":{"form":"full","version":1,"cluster_bits":9},"bitmaps":[{"name":"\\ud83d"';
    expect(errorOf(() => loader.push(text)).code).toBe("USAGE");
  });

  test("pairs are stored as they are", async () => {
    const { store, editor } = await opened();
    editor.edits.rename("a", "\u{1f600}\ufffd");
    await editor.commit();
    expect((await QdbFile.open(bytesSource(store.bytes))).bitmaps[0]?.name).toBe("\u{1f600}\ufffd");
  });
});

describe("an action that fails", () => {
  /** Does an action with a fault in the read, or the call for an id, of a number. Returns whether it failed. */
  function failsAt(
    editor: { readonly edits: Edits },
    store: MemoryStore,
    fuse: { ids: number },
    fault: { readonly reads: number; readonly ids: number },
    action: Action,
  ): boolean {
    let reads = fault.reads;
    fuse.ids = fault.ids;
    store.before = () => {
      if (reads-- === 0) throw new QdbError("IO", "a read failed");
    };
    try {
      perform(editor, store, action);
      return false;
    } catch (error) {
      expect(error).toBeInstanceOf(QdbError);
      return true;
    } finally {
      store.before = () => undefined;
      fuse.ids = Number.POSITIVE_INFINITY;
    }
  }

  async function withFuse(): Promise<{ store: MemoryStore; editor: QdbEditor; fuse: { ids: number } }> {
    const store = new MemoryStore(start());
    const fuse = { ids: Number.POSITIVE_INFINITY };
    let next = 1;
    const editor = await QdbEditor.open(store, {
      randomId: () => {
        if (fuse.ids-- === 0) throw new QdbError("IO", "no entropy");
        return rep(next++, 16);
      },
    });
    return { store, editor, fuse };
  }

  test.each(Object.entries(ALL))("%s: nothing of it stays, at whatever read or id it fails", async (_, action) => {
    for (const prior of [undefined, ADDING.mark, REMOVING.unmark]) {
      const clean = await withFuse();
      if (prior !== undefined) perform(clean.editor, clean.store, prior);
      const before = clean.store.log.length;
      perform(clean.editor, clean.store, action);
      const reads = clean.store.log.length - before;
      for (const fault of [
        ...Array.from({ length: reads }, (__, at) => ({ reads: at, ids: Number.POSITIVE_INFINITY })),
        { reads: Number.POSITIVE_INFINITY, ids: 0 },
      ]) {
        const { store, editor, fuse } = await withFuse();
        if (prior !== undefined) perform(editor, store, prior);
        const pending = pendingOf(editor, store);
        const names = editor.state.mapped.map(({ entry }) => entry.label);
        const known = (): unknown =>
          ["new", "next", "other", ...names].map((name) =>
            editor.edits.has(name)
              ? [name, editor.edits.flags(name), editor.edits.shape(name), editor.edits.records(name)]
              : name,
          );
        const said = known();
        if (!failsAt(editor, store, fuse, fault, action)) continue;
        expect(pendingOf(editor, store)).toEqual(pending);
        expect(known()).toEqual(said);
        // Done again, it is the whole action.
        perform(editor, store, action);
        const [now, whole] = [pendingOf(editor, store), pendingOf(clean.editor, clean.store)];
        const withoutIds = (value: unknown): unknown =>
          JSON.parse(JSON.stringify(value).replace(/"3:[0-9a-f]{32}"/g, "0"));
        expect(withoutIds(now)).toEqual(withoutIds(whole));
      }
    }
  });

  const refusals: Readonly<Record<string, Action>> = {
    "mark past the end": (edits) => edits.mark("a", { offset: BITS * 512, length: 1 }),
    "unmark past the end": (edits) => edits.unmark("a", { offset: BITS * 512, length: 1 }),
    "merge of another disk": (edits) => edits.merge("a", bitmap(5)),
    "intersect of another disk": (edits) => edits.intersect("a", bitmap(5)),
    "subtract of another disk": (edits) => edits.subtract("a", bitmap(5)),
    "xor of another granularity": (edits) => edits.xor("a", bitmap(BITS / 8, [], 4096)),
    "regranulate by a granularity that is none": (edits) => edits.regranulate("a", 700),
    "resize to an impossible size": (edits) => edits.resize("a", -1n, "dirty"),
    "resize to too many bits": (edits) => edits.resize("a", 2n ** 62n, "dirty"),
    "a callback that throws": (edits) =>
      edits.change("a", (bits) => {
        bits.invert();
        throw new QdbError("ABORTED", "enough");
      }),
    "rename to a taken name": (edits) => edits.rename("a", "b"),
    "freeze with a taken name": (edits) => edits.freeze("a", "b"),
    "freeze of a frozen bitmap": (edits) => edits.freeze("f", "x"),
    "add of a taken name": (edits) => edits.add({ name: "a", bits: source(), flags: 0, extraData: [] }),
    "replace of a frozen bitmap": (edits) => edits.replace({ name: "f", bits: source(), flags: 0, extraData: [] }),
    "remove of a successor": (edits) => edits.remove("s"),
    "enable a frozen bitmap": (edits) => edits.setEnabled("f", true),
    "release of one that is not frozen": (edits) => edits.release("a", "failed"),
  };

  test.each(Object.entries(refusals))("%s: nothing of it stays", async (_, action) => {
    for (const prior of [undefined, ADDING.mark, REMOVING.unmark]) {
      const { store, editor } = await opened();
      if (prior !== undefined) perform(editor, store, prior);
      const before = pendingOf(editor, store);
      errorOf(() => perform(editor, store, action));
      expect(pendingOf(editor, store)).toEqual(before);
    }
  });

  test("release, of a successor that covers another disk", async () => {
    const frozen = { nameBytes: utf8("f"), flags: FLAG.frozen, bits: bitmap(BITS, [1]) };
    const bitmaps = [
      { ...frozen, extraData: [ID, { type: RECORD.successor, data: utf8("s") }] },
      { nameBytes: utf8("s"), flags: 0, extraData: [], bits: bitmap(5, [1]) },
    ];
    // A file that says so is in error: the pair is made by the actions of one commit.
    const store = new MemoryStore(fileOf({}, { bitmaps: [] }));
    const editor = await openEditor(store);
    for (const { nameBytes, ...one } of bitmaps)
      editor.edits.add({ name: new TextDecoder().decode(nameBytes), ...one });
    const before = pendingOf(editor, store);
    expect(errorOf(() => perform(editor, store, (edits) => edits.release("f", "failed"))).code).toBe("SIZE_MISMATCH");
    expect(pendingOf(editor, store)).toEqual(before);
  });

  test("a commit that cannot rewrite a draft gives nobody the bits of an inconsistent bitmap", async () => {
    const bitmaps = [{ nameBytes: utf8("u"), flags: FLAG.in_use, extraData: [], bits: bitmap(100, [3]) }];
    const draft = new MemoryStore(fileOf({}, { bitmaps, form: "draft", allOnes: false }));
    const store = Object.assign(draft, { replaceSync: undefined });
    const editor = await QdbEditor.open(store as unknown as MemoryStore, { randomId: () => rep(1, 16) });
    editor.edits.setRecord("u", { kind: "comment", text: "c" });
    expect((await rejection(() => editor.commit())).code).toBe("NOT_SUPPORTED");
    expect((await rejection(() => editor.bits("u"))).code).toBe("INCONSISTENT");
  });
});
