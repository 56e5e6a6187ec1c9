// Every action on the bitmaps of a file, compared with a model: sets of bit numbers, flags, records.
import { Bitmap, bytesSource, QdbFile, readBitmap } from "@qdb/format";
import { type FileContents, FLAG, QdbEditor, RECORD, type Tlv, toHex } from "@qdb/format/container";
import { describe, expect, test } from "vitest";
import { file, join, rep, tlv } from "./hand.ts";
import { check } from "./reading.ts";
import { asyncStore, bitmap, fileOf, hexOf, ids, MemoryStore, openEditor, random, utf8, view, ZLIB } from "./store.ts";
import { rejection } from "./support/errors.ts";
import { dump } from "./support/json.ts";

interface Model {
  name: string;
  size: bigint;
  granularity: number;
  dirty: Set<number>;
  flags: number;
  records: Map<number, string>;
}

const bitsOf = ({ size, granularity }: Pick<Model, "size" | "granularity">): number =>
  Number((size + BigInt(granularity) - 1n) / BigInt(granularity));

const text = (value: string): string => hexOf(utf8(value));

/** Bits of a model at another granularity, computed from the byte range of each bit. */
function regranulated(model: Model, granularity: number): Set<number> {
  const result = new Set<number>();
  for (const bit of model.dirty) {
    const start = bit * model.granularity;
    const end = Math.min(start + model.granularity, Number(model.size));
    for (let at = Math.floor(start / granularity); at * granularity < end; at++) result.add(at);
  }
  return result;
}

/** Whether each granule of a source is dirty that shares a byte of the disk with a granule of a model. */
function granulesUnder(model: Model, bit: number, source: Model): boolean[] {
  const start = bit * model.granularity;
  const end = Math.min(start + model.granularity, Number(model.size));
  const under: boolean[] = [];
  for (let at = Math.floor(start / source.granularity); at * source.granularity < end; at++)
    under.push(source.dirty.has(at));
  return under;
}

interface World {
  readonly models: Model[];
  readonly dice: () => number;
  readonly editor: QdbEditor;
  /** Bitmaps that got a new id since the last commit. */
  readonly points: Set<string>;
  next: number;
}

const pick = <T>(dice: () => number, list: readonly T[]): T => {
  const one = list[Math.floor(dice() * list.length)];
  if (one === undefined) throw new Error("nothing to pick from");
  return one;
};

const isFrozen = (model: Model): boolean => (model.flags & FLAG.frozen) !== 0;
const frozenOf = (world: World, model: Model): Model | undefined =>
  world.models.find((other) => other.records.get(RECORD.successor) === text(model.name));
const isBound = (world: World, model: Model): boolean => isFrozen(model) || frozenOf(world, model) !== undefined;

/** Updates the chain after bits were removed. The model cannot know the new id, so the test reads it. */
function pointOf(world: World, model: Model): void {
  const old = model.records.get(RECORD.id);
  const now = world.editor.edits.records(model.name);
  const id = now.find(({ type }) => type === RECORD.id);
  const parent = now.find(({ type }) => type === RECORD.parent);
  if (old === undefined) {
    model.records.delete(RECORD.parent);
    expect([id, parent]).toEqual([undefined, undefined]);
    return;
  }
  if (id === undefined || parent === undefined) throw new Error("a point without id or parent");
  if (!world.points.has(model.name)) {
    expect(hexOf(id.data)).not.toBe(old);
    expect(hexOf(parent.data)).toBe(old);
  }
  world.points.add(model.name);
  model.records.set(RECORD.id, hexOf(id.data));
  model.records.set(RECORD.parent, hexOf(parent.data));
}

async function refused(_: World, call: () => Promise<unknown> | unknown, code: string): Promise<void> {
  const error = await rejection(async () => call());
  expect(error.code).toBe(code);
}

const other = (world: World, model: Model, sameGranularity: boolean): Model | undefined =>
  world.models.find(
    (one) => one !== model && one.size === model.size && (!sameGranularity || one.granularity === model.granularity),
  );

const ACTIONS: Readonly<Record<string, (world: World) => Promise<void>>> = {
  async add(world) {
    if (world.models.length > 6) return;
    const { dice } = world;
    const granularity = pick(dice, [512, 4096, 65536]);
    const size = pick(dice, [0n, 1n, 512n * 4500n, 512n * 4500n - 7n, 4096n * 4097n, 65536n * 4097n + 1n]);
    const model: Model = {
      name: `n${world.next++}`,
      size,
      granularity,
      dirty: new Set(),
      flags: dice() < 0.5 ? FLAG.enabled : 0,
      records: new Map(),
    };
    if (bitsOf(model) > 30_000) model.granularity = 65536;
    const bits = Bitmap.clean(model);
    for (let at = 0; at < 4 && bits.bitCount > 0; at++) {
      const first = Math.floor(dice() * bits.bitCount);
      const end = Math.min(bits.bitCount, first + Math.floor(dice() * 300));
      bits.markBits({ first, end });
      for (let bit = first; bit < end; bit++) model.dirty.add(bit);
    }
    const extraData: Tlv[] = [];
    if (dice() < 0.7) extraData.push({ type: RECORD.id, data: utf8("0123456789abcdef") });
    if (dice() < 0.5) extraData.push({ type: RECORD.disk, data: utf8("drive0") });
    if (dice() < 0.3) extraData.push({ type: 0x77, data: utf8("unknown") });
    for (const { type, data } of extraData) model.records.set(type, hexOf(data));
    world.editor.edits.add({ name: model.name, bits, flags: model.flags, extraData });
    await refused(
      world,
      () => world.editor.edits.add({ name: model.name, bits, flags: 0, extraData }),
      "ALREADY_EXISTS",
    );
    world.models.push(model);
  },
  async remove(world) {
    const model = pick(world.dice, world.models);
    const call = (): void => world.editor.edits.remove(model.name);
    if (frozenOf(world, model) !== undefined) return refused(world, call, "USAGE");
    call();
    world.models.splice(world.models.indexOf(model), 1);
  },
  async clear(world) {
    const model = pick(world.dice, world.models);
    const call = () => world.editor.read(world.editor.edits.clear(model.name));
    if (isFrozen(model)) return refused(world, call, "USAGE");
    await call();
    model.dirty.clear();
    pointOf(world, model);
  },
  async mark(world) {
    const model = pick(world.dice, world.models);
    if (model.size === 0n) return;
    const offset = Math.floor(world.dice() * Number(model.size));
    const length = Math.floor(world.dice() * Math.min(Number(model.size) - offset, 2 ** 20));
    await world.editor.read(world.editor.edits.mark(model.name, { offset, length }));
    if (length === 0) return;
    for (let bit = Math.floor(offset / model.granularity); bit * model.granularity < offset + length; bit++)
      model.dirty.add(bit);
  },
  async unmark(world) {
    const model = pick(world.dice, world.models);
    if (model.size === 0n) return;
    const offset = Math.floor(world.dice() * Number(model.size));
    const length =
      world.dice() < 0.3 ? Number(model.size) - offset : Math.floor(world.dice() * (Number(model.size) - offset));
    const call = () => world.editor.read(world.editor.edits.unmark(model.name, { offset, length }));
    if (isFrozen(model)) return refused(world, call, "USAGE");
    await call();
    for (const bit of model.dirty) {
      const end = Math.min((bit + 1) * model.granularity, Number(model.size));
      if (bit * model.granularity >= offset && end <= offset + length) model.dirty.delete(bit);
    }
    pointOf(world, model);
  },
  async markAll(world) {
    const model = pick(world.dice, world.models);
    world.editor.edits.markAll(model.name);
    for (let bit = 0; bit < bitsOf(model); bit++) model.dirty.add(bit);
  },
  async enable(world) {
    const model = pick(world.dice, world.models);
    const call = (): void => world.editor.edits.setEnabled(model.name, true);
    if (isFrozen(model)) return refused(world, call, "USAGE");
    call();
    model.flags |= FLAG.enabled;
  },
  async disable(world) {
    const model = pick(world.dice, world.models);
    world.editor.edits.setEnabled(model.name, false);
    model.flags &= ~FLAG.enabled;
  },
  async merge(world) {
    const model = pick(world.dice, world.models);
    const source = other(world, model, false);
    if (source === undefined) return;
    const bits = await world.editor.bits(source.name);
    await world.editor.read(world.editor.edits.merge(model.name, bits));
    for (const bit of regranulated(source, model.granularity)) model.dirty.add(bit);
  },
  async combine(world) {
    const model = pick(world.dice, world.models);
    const source = other(world, model, false);
    if (source === undefined) return;
    const how = pick(world.dice, ["intersect", "subtract", "xor"] as const);
    const bits = await world.editor.bits(source.name);
    const call = () => world.editor.read(world.editor.edits[how](model.name, bits));
    if (isFrozen(model) || (how === "xor" && model.granularity !== source.granularity))
      return refused(world, call, "USAGE");
    await call();
    const result = new Set<number>();
    for (let bit = 0; bit < bitsOf(model); bit++) {
      const a = model.dirty.has(bit);
      const under = granulesUnder(model, bit, source);
      const isKept = {
        intersect: a && under.includes(true),
        subtract: a && under.includes(false),
        xor: a !== under[0],
      };
      if (isKept[how]) result.add(bit);
    }
    model.dirty = result;
    pointOf(world, model);
  },
  async invert(world) {
    const model = pick(world.dice, world.models);
    const call = () => world.editor.read(world.editor.edits.invert(model.name));
    if (isFrozen(model)) return refused(world, call, "USAGE");
    await call();
    const before = model.dirty;
    model.dirty = new Set();
    for (let bit = 0; bit < bitsOf(model); bit++) if (!before.has(bit)) model.dirty.add(bit);
    pointOf(world, model);
  },
  async rename(world) {
    const model = pick(world.dice, world.models);
    const to = `r${world.next++}`;
    const taken = pick(world.dice, world.models);
    if (taken !== model)
      await refused(world, () => world.editor.edits.rename(model.name, taken.name), "ALREADY_EXISTS");
    world.editor.edits.rename(model.name, to);
    for (const one of world.models) {
      if (one.records.get(RECORD.successor) === text(model.name)) one.records.set(RECORD.successor, text(to));
    }
    if (world.points.delete(model.name)) world.points.add(to);
    model.name = to;
  },
  async resize(world) {
    const model = pick(world.dice, world.models);
    const size = pick(world.dice, [0n, model.size + 1n, model.size * 2n, model.size / 2n, 512n * 4500n, 4096n * 4097n]);
    const area = world.dice() < 0.5 ? "dirty" : "clean";
    if (bitsOf({ size, granularity: model.granularity }) > 30_000) return;
    const call = () => world.editor.read(world.editor.edits.resize(model.name, size, area));
    if (isBound(world, model)) return refused(world, call, "USAGE");
    await call();
    const oldEnd = Number(model.size / BigInt(model.granularity));
    const shrinks = size < model.size;
    const grows = size > model.size;
    model.size = size;
    for (const bit of model.dirty) if (bit >= bitsOf(model)) model.dirty.delete(bit);
    if (grows && area === "dirty") for (let bit = oldEnd; bit < bitsOf(model); bit++) model.dirty.add(bit);
    if (shrinks) pointOf(world, model);
  },
  async regranulate(world) {
    const model = pick(world.dice, world.models);
    const granularity = pick(world.dice, [512, 1024, 4096, 65536, 2 ** 20]);
    if (bitsOf({ size: model.size, granularity }) > 30_000) return;
    await world.editor.read(world.editor.edits.regranulate(model.name, granularity));
    model.dirty = regranulated(model, granularity);
    model.granularity = granularity;
  },
  async freeze(world) {
    const model = pick(world.dice, world.models);
    const name = `s${world.next++}`;
    const call = (): void => world.editor.edits.freeze(model.name, name, 5n);
    if (isBound(world, model)) return refused(world, call, "USAGE");
    call();
    const records = new Map<number, string>();
    const [disk, id] = [model.records.get(RECORD.disk), model.records.get(RECORD.id)];
    if (disk !== undefined) records.set(RECORD.disk, disk);
    const made = world.editor.edits.records(name).find(({ type }) => type === RECORD.id);
    records.set(RECORD.id, hexOf(made?.data ?? new Uint8Array(0)));
    expect(made?.data.length).toBe(16);
    if (id !== undefined) records.set(RECORD.parent, id);
    records.set(RECORD.created, "0000000000000005");
    world.models.push({
      name,
      size: model.size,
      granularity: model.granularity,
      dirty: new Set(),
      flags: FLAG.enabled,
      records,
    });
    model.flags = (model.flags & ~FLAG.enabled) | FLAG.frozen;
    model.records.set(RECORD.successor, text(name));
  },
  async release(world) {
    const model = pick(world.dice, world.models);
    const outcome = world.dice() < 0.5 ? "done" : "failed";
    const call = () => world.editor.read(world.editor.edits.release(model.name, outcome));
    if (!isFrozen(model)) return refused(world, call, "USAGE");
    const successor = world.models.find((one) => text(one.name) === model.records.get(RECORD.successor));
    await call();
    world.models.splice(world.models.indexOf(model), 1);
    if (outcome === "done" || successor === undefined) return;
    for (const bit of regranulated(model, successor.granularity)) successor.dirty.add(bit);
    for (const type of [RECORD.id, RECORD.parent]) {
      const value = model.records.get(type);
      if (value === undefined) successor.records.delete(type);
      else successor.records.set(type, value);
    }
    world.points.delete(successor.name);
  },
  async replace(world) {
    const model = pick(world.dice, world.models);
    const bits = Bitmap.dirty({ size: 512n * 100n, granularity: 512 });
    const call = (): void => world.editor.edits.replace({ name: model.name, bits, flags: 0, extraData: [] });
    if (isBound(world, model)) return refused(world, call, "USAGE");
    call();
    Object.assign(model, {
      size: bits.size,
      granularity: 512,
      flags: 0,
      records: new Map(),
      dirty: new Set(Array.from({ length: 100 }, (_, bit) => bit)),
    });
  },
};

/** Compares the bitmaps of the file with those of the model. */
async function compare(
  store: MemoryStore,
  models: readonly Model[],
  clusterBits: number,
  allOnes: boolean,
): Promise<void> {
  const bytes = store.bytes;
  const read = await QdbFile.open(bytesSource(bytes), { digests: ZLIB });
  const contents: FileContents["bitmaps"][number][] = [];
  expect(read.bitmaps.map(({ name }) => name)).toEqual(models.map(({ name }) => name));
  for (const model of models) {
    const stored = read.bitmap(model.name);
    const records = new Map((stored.entry.parseRecords() ?? []).map(({ type, data }) => [type, hexOf(data)]));
    const { size, granularity } = stored;
    expect({ size, granularity, flags: stored.entry.decodeFields().flags, records: [...records].sort() }).toEqual({
      size: model.size,
      granularity: model.granularity,
      flags: model.flags,
      records: [...model.records].sort(),
    });
    const bits = Bitmap.clean(model);
    for (const bit of model.dirty) bits.markBits({ first: bit, end: bit + 1 });
    expect((await readBitmap(stored)).equals(bits), model.name).toBe(true);
    contents.push({
      nameBytes: utf8(model.name),
      flags: model.flags,
      extraData: stored.entry.parseRecords() ?? [],
      bits,
    });
  }
  expect(check(bytes).findings).toEqual([]);
  // A file with the same contents that is written whole differs only in the places of its structures.
  const whole = fileOf({}, { clusterBits, allOnes, bitmaps: contents });
  const said = (of: Uint8Array): unknown =>
    JSON.parse(dump(of).text).bitmaps.map(
      ({ l1_table_offset: _, l1_checksum: __, ...rest }: Record<string, unknown>) => rest,
    );
  expect(said(bytes)).toEqual(said(whole));
}

const bystander = (): Bitmap => bitmap(9000, [3, 4096, 8999]);

/** The bytes of a bitmap: those of its entry and of its clusters. */
function bytesOf(bytes: Uint8Array, name: string): string {
  const source = view(bytes)
    .split("\n")
    .find((line) => line.startsWith(`${name}|`));
  return source ?? "gone";
}

function entryBytes(bytes: Uint8Array, name: string): string {
  const at = Buffer.from(bytes).lastIndexOf(utf8(name));
  const table = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(16));
  const size = new DataView(bytes.buffer, bytes.byteOffset).getUint32(28);
  const own = Buffer.from(bytes.subarray(table, table + size)).indexOf(utf8(name));
  expect(at).toBeGreaterThan(0);
  const start = table + own - 40;
  const l1 = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(start));
  return toHex(bytes.slice(start, table + own + name.length)) + toHex(bytes.slice(l1, l1 + 512));
}

test.each([
  ["a commit an action", 60, false],
  ["many actions a commit", 60, true],
])("random scripts of actions, %s", { timeout: 180_000 }, async (_, scripts, together) => {
  let steps = 0;
  const used = new Set<string>();
  for (let seed = 1; seed <= scripts; seed++) {
    const dice = random(seed * 2 + (together ? 1 : 0));
    const clusterBits = pick(dice, [9, 9, 12, 16]);
    const allOnes = dice() < 0.5;
    const start = fileOf({ bystander: bystander() }, { clusterBits, allOnes });
    const store = new MemoryStore(start);
    const editor = await openEditor(dice() < 0.5 ? store : asyncStore(store));
    const before = bytesOf(start, "bystander");
    const raw = entryBytes(start, "bystander");
    const world: World = { models: [], dice, editor, next: 0, points: new Set() };
    const keep: Model = {
      name: "bystander",
      size: 9000n * 512n,
      granularity: 512,
      dirty: new Set([3, 4096, 8999]),
      flags: 0,
      records: new Map(),
    };
    for (let step = 0; step < 12; step++) {
      const name = world.models.length === 0 ? "add" : pick(dice, Object.keys(ACTIONS));
      used.add(name);
      const log = store.log.length;
      await ACTIONS[name]?.(world);
      // Actions only read.
      expect(store.log.slice(log).every(({ kind }) => kind === "read")).toBe(true);
      steps++;
      if (together && step % 4 !== 3) continue;
      await editor.commit();
      world.points.clear();
      await compare(store, [keep, ...world.models], clusterBits, allOnes);
      expect(bytesOf(store.bytes, "bystander")).toBe(before);
      // Only packing moves it, and these files are too short to be packed.
      expect(entryBytes(store.bytes, "bystander")).toBe(raw);
    }
  }
  expect(steps).toBe(scripts * 12);
  expect([...used].sort()).toEqual(Object.keys(ACTIONS).sort());
});

describe("rules", () => {
  const editorOf = async (bytes: Uint8Array): Promise<{ store: MemoryStore; editor: QdbEditor }> => {
    const store = new MemoryStore(bytes);
    return { store, editor: await openEditor(store) };
  };
  const BITS = 5000;
  const clusters = [rep(0, 511).with(3, 1), "zeros"] as const;
  const hand = (extra: Parameters<typeof file>[0]["bitmaps"]): Uint8Array => file({ bitmaps: extra ?? [] });
  const one = { name: "u", size: BigInt(BITS) * 512n, granularity: 512, clusters };

  const refusals = async (
    bytes: Uint8Array,
    code: string,
    calls: readonly ((editor: QdbEditor) => Promise<unknown> | unknown)[],
  ) => {
    for (const call of calls) {
      const { store, editor } = await editorOf(bytes);
      const error = await rejection(async () => {
        await call(editor);
        await editor.commit();
      });
      expect(`${error.code} ${call}`).toBe(`${code} ${call}`);
      expect(store.changes).toEqual([]);
    }
  };

  test("an inconsistent bitmap can be removed, renamed, and marked all dirty, and nothing else", async () => {
    const bytes = fileOf(
      {},
      {
        bitmaps: [
          { nameBytes: utf8("u"), flags: FLAG.in_use | FLAG.enabled, extraData: [], bits: bitmap(BITS, [3]) },
          { nameBytes: utf8("v"), flags: 0, extraData: [], bits: bitmap(BITS, [4]) },
        ],
      },
    );
    await refusals(bytes, "INCONSISTENT", [
      (editor) => editor.change("u", (bits) => bits),
      (editor) => editor.bits("u"),
      (editor) => editor.edits.setEnabled("u", true),
      (editor) => editor.edits.setEnabled("u", false),
      (editor) => editor.read(editor.edits.resize("u", 512n, "dirty")),
      (editor) => editor.edits.freeze("u", "w"),
      (editor) => editor.read(editor.edits.release("u", "done")),
    ]);
    const { store, editor } = await editorOf(bytes);
    editor.edits.rename("u", "w");
    await rejection(() => editor.bits("w"));
    await editor.commit();
    expect(view(store.bytes)).toBe(view(bytes).replace(/^u/, "w"));
    editor.edits.markAll("w");
    expect((await editor.bits("w")).count()).toBe(BITS);
    await editor.commit();
    expect(view(store.bytes).split("\n")[0]).toMatch(/^w\|2560000\|512\|1\|\|ok\|f+$/);
    editor.edits.remove("w");
    await editor.commit();
    expect(view(store.bytes)).toBe(view(bytes).split("\n")[1]);
  });

  test("a bitmap with an unknown flag is copied byte for byte, or removed", async () => {
    const bytes = hand([
      { ...one, flags: 0x8001, extra: tlv(77, rep(9, 3), { padding: 5 }), padding: 0xaa },
      { ...one, name: "v" },
    ]);
    await refusals(bytes, "UNSUPPORTED_FEATURE", [
      (editor) => editor.change("u", (bits) => bits),
      (editor) => editor.edits.setEnabled("u", true),
      (editor) => editor.edits.rename("u", "w"),
      (editor) => editor.edits.markAll("u"),
      (editor) => editor.edits.freeze("u", "w"),
    ]);
    const { store, editor } = await editorOf(bytes);
    const raw = entryBytes(bytes, "u");
    await editor.change("v", (bits) => (bits.invert(), bits));
    await editor.commit();
    expect(entryBytes(store.bytes, "u")).toBe(raw);
    editor.edits.remove("u");
    await editor.commit();
    expect(view(store.bytes).split("\n").length).toBe(1);
  });

  test("a bitmap whose L1 area is bad can be removed and marked all dirty, not renamed, also when it is inconsistent", async () => {
    for (const flags of [0, FLAG.in_use]) {
      const bytes = hand([{ ...one, flags, l1Checksum: 1 }]);
      const codes = flags === 0 ? "BAD_CHECKSUM" : "INCONSISTENT";
      await refusals(bytes, codes, [(editor) => editor.change("u", (bits) => bits)]);
      const { store, editor } = await editorOf(bytes);
      await rejection(async () => editor.edits.rename("u", "w"));
      await rejection(async () => editor.edits.setRecord("u", { kind: "comment", text: "x" }));
      editor.edits.markAll("u");
      await editor.commit();
      expect(view(store.bytes)).toMatch(/\|ok\|f+$/);
    }
  });

  test("a bitmap whose reserved bytes are not zero can be marked all dirty and replaced: its entry is written anew", async () => {
    const bytes = hand([
      { ...one, reserved: 1 },
      { ...one, name: "v" },
    ]);
    await refusals(bytes, "RESERVED_NOT_ZERO", [(editor) => editor.change("u", (bits) => bits)]);
    const calls: readonly ((editor: QdbEditor) => void)[] = [
      (editor) => editor.edits.markAll("u"),
      (editor) => editor.edits.replace({ name: "u", bits: bitmap(BITS, [7]), flags: 0, extraData: [] }),
    ];
    for (const call of calls) {
      const { store, editor } = await editorOf(bytes);
      call(editor);
      await editor.commit();
      expect(view(store.bytes).split("\n")[0]).toContain("|ok|");
      expect(view(store.bytes).split("\n")[1]).toBe(view(bytes).split("\n")[1]);
      expect(check(store.bytes).counts.corrupt).toBe(0);
    }
  });

  test("a successor keeps its name while the frozen bitmap that names it is in error: its entry would be written anew", async () => {
    const successor = hand([
      { ...one, flags: FLAG.frozen, reserved: 1, extra: tlv(8, utf8("next")) },
      { ...one, name: "next", flags: FLAG.enabled },
    ]);
    await refusals(successor, "RESERVED_NOT_ZERO", [(editor) => editor.edits.rename("next", "later")]);
  });

  test("freezing: the pair is kept whole", async () => {
    const bytes = fileOf({ a: bitmap(BITS, [1]), b: bitmap(BITS, [2]) });
    const { store, editor } = await editorOf(bytes);
    editor.edits.freeze("a", "next");
    await editor.commit();
    const frozen = store.bytes;
    await refusals(frozen, "USAGE", [
      (one) => one.edits.remove("next"),
      (one) => one.read(one.edits.resize("a", 512n, "dirty")),
      (one) => one.read(one.edits.resize("next", 512n, "dirty")),
      (one) => one.edits.freeze("a", "x"),
      (one) => one.edits.freeze("next", "x"),
      (one) => one.edits.setEnabled("a", true),
      (one) => one.read(one.edits.unmark("a", { offset: 0, length: 512 })),
      (one) => one.read(one.edits.clear("a")),
      (one) => one.read(one.edits.invert("a")),
      (one) => one.read(one.edits.intersect("a", bitmap(BITS, [1]))),
      (one) => one.read(one.edits.subtract("a", bitmap(BITS))),
      (one) => one.read(one.edits.xor("a", bitmap(BITS))),
      (one) => one.change("a", (bits) => Bitmap.clean(bits)),
      (one) => one.change("a", (bits) => (bits.invert(), bits)),
      (one) => one.change("next", (bits) => bits.resize(512n * 10n)),
      (one) => one.edits.replace({ name: "next", bits: bitmap(BITS), flags: 0, extraData: [] }),
      (one) => one.edits.replace({ name: "a", bits: bitmap(BITS), flags: 0, extraData: [] }),
      (one) => one.read(one.edits.release("b", "done")),
    ]);
    // Another call that would separate them is refused by the rules of the entry.
    await refusals(frozen, "BAD_FIELD", [(one) => one.edits.setRecord("b", { kind: "successor", text: "a" })]);
    expect(view(frozen)).toMatch(/^a\|.*\|4\|/);
  });

  test("a failed backup: the frozen dirt and the chain go into the successor", async () => {
    const id = { type: RECORD.id, data: rep(1, 16) };
    const bitmaps = [{ nameBytes: utf8("a"), flags: FLAG.enabled, extraData: [id], bits: bitmap(16, [1, 9]) }];
    const { store, editor } = await editorOf(fileOf({}, { bitmaps }));
    editor.edits.freeze("a", "next");
    await editor.commit();
    await editor.change("next", (bits) => (bits.mark({ offset: 0, length: 1 }), bits));
    await editor.read(editor.edits.release("a", "failed"));
    await editor.commit();
    expect(view(store.bytes)).toBe(`next|8192|512|1|0000000300000010${"01".repeat(16)}|ok|0302`);
  });

  test("a new bitmap that is inconsistent from the start cannot be used either", async () => {
    const { editor } = await editorOf(fileOf({}));
    editor.edits.add({ name: "a", bits: bitmap(16), flags: FLAG.in_use, extraData: [] });
    expect((await rejection(() => editor.change("a", (bits) => bits))).code).toBe("INCONSISTENT");
  });

  test("a rename of a successor that two frozen bitmaps name is told to both", async () => {
    const record = tlv(RECORD.successor, utf8("s"));
    const bytes = hand([
      { ...one, name: "x", flags: 4, extra: record },
      { ...one, name: "y", flags: 4, extra: record },
      { ...one, name: "s" },
    ]);
    expect(check(bytes).findings).toEqual([]);
    const { store, editor } = await editorOf(bytes);
    editor.edits.rename("s", "longer name");
    await editor.commit();
    expect(check(store.bytes).findings).toEqual([]);
    expect(
      view(store.bytes)
        .split("\n")
        .every((line) => line.includes("|ok|")),
    ).toBe(true);
  });

  test("of two bitmaps of one name none can be used, and removing takes both; one that only looks the same stays", async () => {
    const bytes = hand([
      { ...one, name: "d" },
      { ...one, name: "d" },
      { ...one, name: "e" },
    ]);
    await refusals(bytes, "DUPLICATE_NAME", [
      (editor) => editor.change("d", (bits) => bits),
      (editor) => editor.edits.rename("d", "f"),
      (editor) => editor.edits.markAll("d"),
    ]);
    const { store, editor } = await editorOf(bytes);
    editor.edits.remove("d");
    await editor.commit();
    expect(view(store.bytes)).toMatch(/^e\|.*\|ok\|[0-9a-f]+$/);
    // The label of a name that is not UTF-8 is hex, and can be the name of another bitmap.
    const twins = hand([
      { ...one, name: Uint8Array.of(0xff) },
      { ...one, name: "hex:ff" },
    ]);
    const second = await editorOf(twins);
    await second.editor.change("hex:ff", (bits) => bits);
    second.editor.edits.remove("hex:ff");
    await second.editor.commit();
    expect(check(second.store.bytes).findings.map(({ code }) => code)).toEqual(["BAD_FIELD"]);
    second.editor.edits.remove("hex:ff");
    await second.editor.commit();
    expect(view(second.store.bytes)).toBe("");
  });

  test("removing bits: a new id with the old one as parent, once a commit; without an id none", async () => {
    const id = { type: RECORD.id, data: rep(1, 16) };
    const parent = { type: RECORD.parent, data: rep(2, 16) };
    const bitmaps = [
      { nameBytes: utf8("u"), flags: 0, extraData: [parent, id], bits: bitmap(10, [1, 2]) },
      { nameBytes: utf8("v"), flags: 0, extraData: [parent], bits: bitmap(10, [1]) },
      {
        nameBytes: utf8("w"),
        flags: 0,
        extraData: [{ type: RECORD.id, data: rep(1, 5) }, parent],
        bits: bitmap(10, [1]),
      },
    ];
    const { store, editor } = await editorOf(fileOf({}, { bitmaps }));
    for (const name of ["u", "v", "w"]) {
      await editor.change(name, (bits) => (bits.unmark({ offset: 512, length: 512 }), bits));
      await editor.change(name, (bits) => Bitmap.clean(bits));
    }
    await editor.commit();
    const lines = view(store.bytes)
      .split("\n")
      .map((line) => line.split("|"));
    expect(lines.map((line) => line.at(-1))).toEqual(["0000", "0000", "0000"]);
    const [records = ""] = lines.map((line) => line[4]);
    // The parent keeps its place before the id. Its value is the id that the file had.
    expect(records.slice(0, 48)).toBe(`0000000400000010${"01".repeat(16)}`);
    expect(records.slice(48, 64)).toBe("0000000300000010");
    expect(records.slice(64)).not.toBe("01".repeat(16));
    // Without an id there is no chain. An id of a wrong length is an unknown record, which is kept.
    const kept = `0000000300000005${"01".repeat(5)}0000000000000400000010${"02".repeat(16)}`;
    expect(lines.slice(1).map((line) => line[4])).toEqual(["", kept]);
  });

  test("what is not known is kept: header bytes, extensions, records, compatible bits; autoclear bits go", async () => {
    const extensions = join(tlv(0x1234, rep(7, 5)), tlv(0x51444e4d, rep(0, 3)));
    const bytes = file({
      clusterBits: 9,
      unknownHeader: rep(0xab, 16),
      header: { compatible: 0x8000000000000001n, autoclear: 0xfn, generation: 41n },
      extensions,
      bitmaps: [{ ...one, extra: join(tlv(0x99, rep(3, 9)), tlv(RECORD.comment, utf8("c"))) }],
    });
    const { store, editor } = await editorOf(bytes);
    await editor.change("u", (bits) => (bits.invert(), bits));
    await editor.commit();
    const after = store.bytes;
    const words = [24, 40, 44, 48, 52, 56, 60].map((at) => new DataView(after.buffer).getUint32(at));
    expect(words).toEqual([120, 0x80000000, 1, 0, 0, 0, 42]);
    expect(after.slice(104, 120)).toEqual(rep(0xab, 16));
    expect(after.slice(120, 120 + extensions.length)).toEqual(extensions);
    expect(toHex(after.slice(72, 88))).toBe("00000000000000000000000000000001");
    expect(after.slice(88, 104)).toEqual(bytes.slice(88, 104));
    expect(view(after).split("|")[4]).toBe(view(bytes).split("|")[4]);
    expect(after.slice(0, 4096)).toEqual(after.slice(4096, 8192));
  });

  test("a refused action or commit writes nothing", async () => {
    const bytes = fileOf({ a: bitmap(BITS, [1]), b: bitmap(BITS, [2]) });
    await refusals(bytes, "NOT_FOUND", [
      (editor) => editor.change("c", (bits) => bits),
      (editor) => editor.edits.remove("c"),
      (editor) => editor.edits.rename("c", "d"),
      (editor) => editor.edits.markAll("c"),
    ]);
    await refusals(bytes, "ALREADY_EXISTS", [
      (editor) => editor.edits.rename("a", "b"),
      (editor) => editor.edits.freeze("a", "b"),
      (editor) => editor.edits.add({ name: "b", bits: bitmap(1), flags: 0, extraData: [] }),
    ]);
    await refusals(bytes, "BAD_FIELD", [
      (editor) => editor.edits.rename("a", ""),
      (editor) => editor.edits.rename("a", "nul\0"),
      (editor) => editor.edits.rename("a", "x".repeat(1024)),
      (editor) => editor.edits.setRecord("a", { kind: "comment", text: "x".repeat(5000) }),
      (editor) => editor.edits.add({ name: "c", bits: bitmap(1), flags: FLAG.frozen, extraData: [] }),
    ]);
    await refusals(bytes, "UNSUPPORTED_FEATURE", [
      (editor) => editor.edits.add({ name: "c", bits: bitmap(1), flags: 16, extraData: [] }),
    ]);
  });

  test("a stored cluster whose tail is not zero does not become dirt when the disk grows clean", async () => {
    const bytes = hand([{ ...one, size: 512n * 100n, clusters: [rep(0xff, 512)] }]);
    const { store, editor } = await editorOf(bytes);
    await editor.read(editor.edits.resize("u", 512n * 4500n, "clean"));
    await editor.commit();
    const read = await QdbFile.open(bytesSource(store.bytes));
    expect((await read.bitmap("u").count()).bits).toBe(100);
  });

  test("a change that puts back what was there is no change", async () => {
    const bytes = fileOf({ a: bitmap(BITS, [1]) });
    const { store, editor } = await editorOf(bytes);
    await editor.change("a", (bits) => (bits.invert(), bits.invert(), bits));
    editor.edits.rename("a", "b");
    editor.edits.rename("b", "a");
    await editor.commit();
    expect(store.bytes).toEqual(bytes);
  });

  test("a file that holds as many bitmaps as it can takes no more", async () => {
    const bits = bitmap(0);
    const bitmaps = Array.from({ length: 65535 }, (_, at) => ({
      nameBytes: utf8(`${at}`),
      flags: 0,
      extraData: [],
      bits,
    }));
    await refusals(fileOf({}, { bitmaps, clusterBits: 16 }), "LIMIT", [
      (editor) => editor.edits.add({ name: "one more", bits, flags: 0, extraData: [] }),
    ]);
  });
});

describe("a draft file", () => {
  const draft = (): Uint8Array =>
    fileOf({ a: bitmap(5000, [1, 4999]), b: bitmap(700, [8]) }, { form: "draft", allOnes: false });

  test("is rewritten whole, in full form, once for each commit that changes something", async () => {
    const store = new MemoryStore(draft());
    const editor = await openEditor(store);
    await editor.commit();
    expect(store.bytes).toEqual(draft());
    await editor.change("a", (bits) => (bits.mark({ offset: 0, length: 1 }), bits));
    await editor.commit();
    expect(store.log.filter(({ kind }) => kind !== "read").map(({ kind }) => kind)).toEqual(["flush", "replace"]);
    // The editor goes on with the new file.
    await editor.change("b", (bits) => (bits.mark({ offset: 0, length: 1 }), bits));
    await editor.commit();
    const read = await QdbFile.open(bytesSource(store.bytes));
    expect(read.index.form).toBe("full");
    expect([(await read.bitmap("a").count()).bits, (await read.bitmap("b").count()).bits]).toEqual([3, 2]);
    expect(check(store.bytes).findings).toEqual([]);
  });

  test("is left as it was where it cannot be rewritten", async () => {
    const store = new MemoryStore(draft());
    const { replace: _, ...given } = asyncStore(store);
    const editor = await QdbEditor.open({ ...given, size: store.size }, { randomId: ids(), digests: ZLIB });
    editor.edits.remove("a");
    expect((await rejection(() => editor.commit())).code).toBe("NOT_SUPPORTED");
    expect(store.changes).toEqual([]);
  });

  test("is not repaired in place", async () => {
    const bytes = join(draft(), rep(1, 1024));
    const store = new MemoryStore(bytes);
    const editor = await openEditor(store, { repair: true });
    const report = await editor.repair();
    expect(report.before.map(({ code, repairable }) => [code, repairable])).toEqual([
      ["UNPROTECTED", false],
      ["LEAK", false],
    ]);
    // Success is reported only once the state that was found is on the disk.
    expect(store.changes).toEqual([{ kind: "flush" }]);
    expect(store.bytes).toEqual(bytes);
  });
});
