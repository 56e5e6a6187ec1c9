// Repair (spec §7.3): every damage that can be repaired, alone and in pairs. Other damage is left as it is, and reported.
import { bytesSource } from "@qdb/format";
import { bitmapPlan, FLAG, loadMaps, readIndex, runSync, type SyncStore } from "@qdb/format/container";
import { describe, expect, test } from "vitest";
import { be, edit, file, type HandBitmap, type HandFile, join, rep, sealed, tlv, utf8 } from "./hand.ts";
import { check } from "./reading.ts";
import { bitmap, failFrom, fileOf, io, MemoryStore, openEditor, view, ZLIB } from "./store.ts";
import { rejection } from "./support/errors.ts";

const CLUSTER = 1024;
const H = 4096;
const PER = CLUSTER * 8;

/** Data clusters with a few dirty bits, different in each. */
const data = (seed: number): Uint8Array =>
  rep(0, CLUSTER)
    .with(seed, 0x21)
    .with(CLUSTER - 1 - seed, 0x80);
/** A bitmap of three clusters: stored, zeros, stored with a tail. */
const SIZE = 512n * BigInt(2 * PER + 100);
const GOOD: HandBitmap = {
  size: SIZE,
  granularity: 512,
  clusters: [data(1), "zeros", rep(0, CLUSTER).with(2, 0x10)],
};

interface Damage {
  /** The damaged bitmap. */
  readonly bitmap?: HandBitmap;
  /** Changes the finished file. */
  readonly bytes?: (bytes: Uint8Array) => Uint8Array;
  /** A data cluster of the damaged bitmap whose bytes are changed. */
  readonly cluster?: number;
  /** The cluster of the damaged bitmap that cannot be read. */
  readonly unreadable?: number;
  /** The part of the damaged bitmap that becomes dirty: a cluster, or all. */
  readonly dirties?: number | "all";
  readonly header?: "primary" | "mirror";
  readonly extensions?: keyof typeof EXTENSIONS;
  /** The code of the finding. */
  readonly code: string;
}

const EXTENSIONS = { padding: false, mark: false, behind: false };
const entry = (descriptor: bigint, crc = 0): HandBitmap => ({
  ...GOOD,
  clusters: [data(1), { descriptor, crc }, rep(0, CLUSTER).with(2, 0x10)],
});

const DAMAGES: Readonly<Record<string, Damage>> = {
  "primary: magic": { bytes: (all) => edit(all, [0, be(0, 4)]), header: "primary", code: "BAD_CHECKSUM" },
  "primary: checksum": { bytes: (all) => edit(all, [70, be(0x1234, 2)]), header: "primary", code: "BAD_CHECKSUM" },
  "primary: zeros": { bytes: (all) => edit(all, [0, rep(0, H)]), header: "primary", code: "BAD_CHECKSUM" },
  "primary: a byte behind the extensions": {
    bytes: (all) => edit(all, [4000, be(1, 1)]),
    header: "primary",
    code: "BAD_CHECKSUM",
  },
  "primary: version": { bytes: (all) => edit(all, [4, be(9, 4)]), header: "primary", code: "BAD_CHECKSUM" },
  "primary: torn": { bytes: (all) => edit(all, [1024, rep(0xdb, 512)]), header: "primary", code: "BAD_CHECKSUM" },
  "mirror: zeros": { bytes: (all) => edit(all, [H, rep(0, H)]), header: "mirror", code: "MIRROR" },
  "mirror: a byte": { bytes: (all) => edit(all, [H + 99, be(0x77, 1)]), header: "mirror", code: "MIRROR" },
  "mirror: another generation": {
    bytes: (all) => sealed(edit(all, [H + 63, be(9, 1)]), H),
    header: "mirror",
    code: "MIRROR",
  },
  "data: checksum": { bitmap: GOOD, cluster: 0, dirties: 0, code: "BAD_CHECKSUM" },
  "data: checksum of the last cluster": { bitmap: GOOD, cluster: 2, dirties: 2, code: "BAD_CHECKSUM" },
  "data: cannot be read": { bitmap: GOOD, unreadable: 0, dirties: 0, code: "IO" },
  "L1: checksum": { bitmap: { ...GOOD, l1Checksum: 0x1234 }, dirties: "all", code: "BAD_CHECKSUM" },
  "L1 entry: reserved bits": { bitmap: entry(8n), dirties: "all", code: "RESERVED_NOT_ZERO" },
  "L1 entry: ones and zeros": { bitmap: entry(3n), dirties: "all", code: "BAD_FIELD" },
  "L1 entry: ones and an offset": { bitmap: entry(0x100002n), dirties: "all", code: "BAD_FIELD" },
  "L1 entry: a checksum of nothing": { bitmap: entry(0n, 5), dirties: "all", code: "BAD_FIELD" },
  "L1 entry: misaligned": { bitmap: entry(BigInt(1024 * 100 + 512)), dirties: "all", code: "MISALIGNED" },
  "L1 entry: past the end": { bitmap: entry(2n ** 30n), dirties: "all", code: "OUT_OF_BOUNDS" },
  "L1 entry: over the table": { bitmap: entry(BigInt(2 * H), 5), dirties: "all", code: "OVERLAP" },
  "L1 entry: over the mirror": { bitmap: entry(BigInt(H), 5), dirties: "all", code: "OVERLAP" },
  l1_size: { bitmap: { ...GOOD, l1Size: 2 }, dirties: "all", code: "BAD_FIELD" },
  "l1_size 0": { bitmap: { ...GOOD, l1Size: 0 }, dirties: "all", code: "BAD_FIELD" },
  "l1_table_offset: misaligned": { bitmap: { ...GOOD, l1Offset: 12345n }, dirties: "all", code: "MISALIGNED" },
  "l1_table_offset: past the end": { bitmap: { ...GOOD, l1Offset: 2n ** 60n }, dirties: "all", code: "OUT_OF_BOUNDS" },
  "l1_table_offset: none": { bitmap: { ...GOOD, l1Offset: 0n }, dirties: "all", code: "BAD_FIELD" },
  "l1_checksum of nothing": { bitmap: { size: 0n, l1Checksum: 7 }, code: "BAD_FIELD" },
  "l1_table_offset of nothing": { bitmap: { size: 0n, l1Offset: 16384n }, code: "BAD_FIELD" },
  tail: {
    bitmap: { ...GOOD, clusters: [data(1), "zeros", rep(0, CLUSTER).with(2, 0x10).with(13, 0x10)] },
    code: "TAIL",
  },
  "tail in the last byte": {
    bitmap: { ...GOOD, clusters: [data(1), "zeros", rep(0, CLUSTER).with(2, 0x10).with(12, 0x80)] },
    code: "TAIL",
  },
  "padding of an entry": { bitmap: { ...GOOD, padding: 0xaa }, code: "PADDING" },
  "padding of a record": { bitmap: { ...GOOD, extra: tlv(6, utf8("why"), { padding: 3 }) }, code: "PADDING" },
  "padding of an L1 area": { bitmap: { ...GOOD, l1Padding: 9 }, code: "PADDING" },
  "padding of an extension": { extensions: "padding", code: "PADDING" },
  "length of the end mark": { extensions: "mark", code: "PADDING" },
  "padding of the header area": { extensions: "behind", code: "PADDING" },
  leak: { bytes: (all) => join(all, rep(0x5a, 8192)), code: "LEAK" },
};
const NAMES = Object.keys(DAMAGES);

/** Bitmaps in every file that a repair leaves as they are. A check lists them before and after it. */
const KEPT: readonly HandBitmap[] = [
  { ...GOOD, name: "collecting", flags: FLAG.in_use | FLAG.enabled },
  { ...GOOD, name: "from the future", flags: 0x4000 },
];
const STAYS = ["INCONSISTENT", "UNSUPPORTED_FEATURE"];

/** A file with some damages, each on a bitmap of its own. Bitmaps of the damages in `good` are there undamaged. */
function damaged(
  names: readonly string[],
  good: readonly string[] = [],
): { bytes: Uint8Array; unreadable: readonly number[] } {
  const on = { ...EXTENSIONS };
  for (const name of names) {
    const { extensions } = DAMAGES[name] ?? {};
    if (extensions !== undefined) on[extensions] = true;
  }
  const spec: HandFile = {
    clusterBits: 10,
    header: { incompatible: 1n, generation: 5n },
    extensions: join(
      tlv(0x1234, rep(7, 5), { padding: on.padding ? 3 : 0 }),
      be(0, 4),
      be(on.mark ? 5 : 0, 4),
      on.behind ? rep(9, 8) : rep(0, 8),
    ),
    bitmaps: [
      ...Object.entries(DAMAGES).flatMap(([name, { bitmap: own }]) => {
        if (own === undefined || !(names.includes(name) || good.includes(name))) return [];
        const sound: HandBitmap =
          own.size === 0n ? { size: 0n } : own.extra === undefined ? GOOD : { ...GOOD, extra: tlv(6, utf8("why")) };
        return [{ ...(names.includes(name) ? own : sound), name }];
      }),
      { ...GOOD, name: "healthy" },
      ...KEPT,
    ],
  };
  let bytes = file(spec);
  const unreadable: number[] = [];
  const mapped = maps(bytes);
  for (const name of names) {
    const { bytes: change, cluster, unreadable: lost } = DAMAGES[name] ?? { code: "" };
    const map = mapped.find(({ entry: { label } }) => label === name)?.map;
    if (cluster !== undefined) bytes = edit(bytes, [(map?.offset(cluster) ?? 0) + 9, be(0xff, 1)]);
    if (lost !== undefined) unreadable.push(map?.offset(lost) ?? 0);
    if (change !== undefined) bytes = change(bytes);
  }
  return { bytes, unreadable };
}

function maps(bytes: Uint8Array) {
  const source = bytesSource(bytes);
  const index = runSync(readIndex(bytes.length, ZLIB), source);
  return runSync(loadMaps(index, index.table.entries, ZLIB), source);
}

/** The dirty bits of every bitmap; undefined for a bitmap whose bits are refused. */
function bitsOf(bytes: Uint8Array): Map<string, ReturnType<typeof bitmap> | undefined> {
  const source = bytesSource(bytes);
  return new Map(
    maps(bytes).map(({ entry: { label }, map }) => [
      label,
      map === undefined ? undefined : runSync(bitmapPlan(map), source),
    ]),
  );
}

/** A store in which some clusters cannot be read until they are written. */
function patchy(store: MemoryStore, bad: readonly number[]): SyncStore {
  const left = new Set(bad);
  return {
    get size() {
      return store.size;
    },
    readSync: (offset, length) => {
      for (const place of left) if (place >= offset && place < offset + length) throw io("bad sector");
      return store.readSync(offset, length);
    },
    writeSync: (offset, bytes) => {
      for (const place of left) if (place >= offset && place < offset + bytes.length) left.delete(place);
      store.writeSync(offset, bytes);
    },
    flushSync: () => store.flushSync(),
    truncateSync: (length) => store.truncateSync(length),
  };
}

const WHOLE = bitsOf(damaged([], NAMES).bytes);

/** The operations of a repair that finds nothing to repair: it ensures that the state is on the disk (spec §5, step 2). */
const FENCE = ["flush", "write 4096 at 0", "flush"];
const stepsOf = (store: MemoryStore, from = 0): string[] =>
  store.changes.slice(from).map((op) => (op.kind === "write" ? `write ${op.bytes.length} at ${op.offset}` : op.kind));

async function repaired(names: readonly string[]): Promise<void> {
  const { bytes, unreadable } = damaged(names);
  const store = new MemoryStore(bytes);
  const through = patchy(store, unreadable);
  const report = await (await openEditor(through, { repair: true })).repair();
  const codes = (list: typeof report.before): string[] => list.map(({ code }) => code).sort();
  const said = names.join(" + ");
  expect(report.written, said).toBe(true);
  for (const name of names) {
    // While an L1 area is damaged, the end of the used space is unknown.
    if (
      name === "leak" &&
      names.some((other) => DAMAGES[other]?.dirties === "all" || other.includes("offset of nothing"))
    )
      continue;
    expect(codes(report.before), said).toContain(DAMAGES[name]?.code);
  }
  expect(codes(report.before.filter(({ repairable }) => !repairable)), said).toEqual(STAYS);
  expect(codes(report.after), said).toEqual(STAYS);
  expect(
    check(through)
      .findings.map(({ code }) => code)
      .sort(),
    said,
  ).toEqual(STAYS);
  const now = bitsOf(store.bytes);
  expect(now.size).toBe(3 + names.filter((name) => DAMAGES[name]?.bitmap !== undefined).length);
  for (const [label, after] of now) {
    const before = WHOLE.get(label);
    if (before === undefined || after === undefined) throw new Error(`${said}: ${label} has no bits`);
    const expected = before.clone();
    const { dirties } = names.includes(label) ? (DAMAGES[label] ?? { dirties: undefined }) : { dirties: undefined };
    if (dirties === "all") expected.markBits({ first: 0, end: expected.bitCount });
    else if (dirties !== undefined)
      expected.markBits({ first: dirties * PER, end: Math.min(expected.bitCount, (dirties + 1) * PER) });
    expect(after.equals(expected), `${said}: ${label}`).toBe(true);
  }
  const log = store.changes.length;
  const good = store.bytes;
  const second = await (await openEditor(through, { repair: true })).repair();
  expect([second.written, stepsOf(store, log)], said).toEqual([false, FENCE]);
  expect(store.bytes, said).toEqual(good);
}

test("a file without damage needs no repair, but the fence", async () => {
  const { bytes } = damaged([]);
  const store = new MemoryStore(bytes);
  const report = await (await openEditor(store, { repair: true })).repair();
  expect(report.before.map(({ code, repairable }) => `${code} ${repairable}`).sort()).toEqual(
    STAYS.map((code) => `${code} false`),
  );
  expect([report.written, stepsOf(store)]).toEqual([false, FENCE]);
  expect(store.bytes).toEqual(bytes);
});

test("a file without damage is not called good where the fence fails", async () => {
  for (let at = 0; at < FENCE.length; at++) {
    const store = new MemoryStore(damaged([]).bytes);
    const editor = await openEditor(store, { repair: true });
    failFrom(store, at);
    expect((await rejection(() => editor.repair())).code).toBe("POISONED");
    expect(stepsOf(store)).toEqual(FENCE.slice(0, at));
    expect((await rejection(() => editor.repair())).code).toBe("POISONED");
  }
});

test.each(NAMES)("%s", async (name) => {
  await repaired([name]);
});

test("every two damages at once", { timeout: 180_000 }, async () => {
  let pairs = 0;
  for (const [at, one] of NAMES.entries()) {
    for (const two of NAMES.slice(at + 1)) {
      if (DAMAGES[one]?.header !== undefined && DAMAGES[two]?.header !== undefined) continue;
      await repaired([one, two]);
      pairs++;
    }
  }
  expect(pairs).toBeGreaterThan(500);
});

test("what a repair cannot mend keeps its bytes, its bits and its damage, and the others are mended all the same", async () => {
  const beyond: readonly (readonly [string, HandBitmap])[] = [
    ["UNSUPPORTED_FEATURE", { ...GOOD, name: "x", flags: 0x8000 }],
    ["BAD_FIELD", { ...GOOD, name: "x", granularity: 513 }],
    ["BAD_FIELD", { ...GOOD, name: Uint8Array.of(0xff, 0xfe, 0x41) }],
    ["BAD_FIELD", { ...GOOD, name: "x", extra: rep(1, 8) }],
    ["RESERVED_NOT_ZERO", { ...GOOD, name: "x", reserved: 3 }],
    ["BAD_FIELD", { ...GOOD, name: "x", flags: FLAG.frozen }],
  ];
  for (const [code, bad] of beyond) {
    const start = file({
      clusterBits: 10,
      bitmaps: [
        { ...bad, padding: 5, l1Padding: 7 },
        { ...GOOD, name: "y" },
      ],
    });
    // Two bad clusters, one of each bitmap; the tail of the first as well.
    const [first, second] = maps(start);
    const places = [first?.map?.offset(2) ?? 0, second?.map?.offset(0) ?? 0].filter((place) => place > 0);
    const bytes = edit(start, ...places.map((place) => [place + 20, be(0xff, 1)] as const));
    const store = new MemoryStore(bytes);
    const editor = await openEditor(store, { repair: true });
    const entryBytes = editor.state.mapped[0]?.entry.bytes.slice();
    const report = await editor.repair();
    expect(report.before.filter(({ where, repairable }) => repairable && where.bitmap !== "y")).toEqual([]);
    expect(report.before.some(({ repairable }) => repairable)).toBe(true);
    expect(
      report.after.map((one) => one.code),
      code,
    ).toContain(code);
    expect(report.after.some(({ repairable }) => repairable)).toBe(false);
    expect(report.after.every(({ where }) => where.bitmap !== "y")).toBe(true);
    expect(editor.state.mapped[0]?.entry.bytes).toEqual(entryBytes);
    const log = store.changes.length;
    expect((await (await openEditor(store, { repair: true })).repair()).written).toBe(false);
    expect(stepsOf(store, log)).toEqual(FENCE);
  }
});

describe("not repairable: left alone byte for byte, and said", () => {
  const base = (over: Partial<HandFile> = {}): HandFile => ({
    clusterBits: 10,
    bitmaps: [{ ...GOOD, name: "x", padding: 9 }],
    ...over,
  });
  const files: Readonly<Record<string, readonly [string, Uint8Array]>> = {
    "a bad table": ["BAD_CHECKSUM", edit(file(base()), [2 * H + 13, be(0x55, 1)], [H, rep(0, 8)])],
    "an unknown incompatible bit": ["UNSUPPORTED_FEATURE", file(base({ header: { incompatible: 2n } }))],
    "both headers bad": ["BAD_CHECKSUM", edit(file(base()), [99, be(0x55, 1)], [H + 99, be(0x55, 1)])],
    "generation 0": ["BAD_FIELD", file(base({ header: { generation: 0n }, mirror: "none" }))],
  };
  test.each(Object.entries(files))("%s", async (_, [code, bytes]) => {
    const store = new MemoryStore(bytes);
    expect((await rejection(() => openEditor(store, { repair: true }))).code).toBe(code);
    expect([store.changes, store.bytes]).toEqual([[], bytes]);
    if (code === "UNSUPPORTED_FEATURE") return;
    const findings = check(bytes).findings;
    expect(findings.map((one) => one.code)).toContain(code);
    expect(findings.filter(({ repairable }) => repairable)).toEqual([]);
  });

  test("a draft", async () => {
    const bytes = file(
      base({ draft: true, bitmaps: [{ ...GOOD, name: "x", padding: 9 }], clusterBits: 10, length: 30 * CLUSTER }),
    );
    const store = new MemoryStore(bytes);
    const report = await (await openEditor(store, { repair: true })).repair();
    expect(report.before.map(({ code, repairable }) => `${code} ${repairable}`)).toEqual([
      "UNPROTECTED false",
      "PADDING false",
      "LEAK false",
    ]);
    // The fence has no mirror from which it could restore the primary.
    expect([report.written, stepsOf(store)]).toEqual([false, ["flush"]]);
  });

  test("the last generation, but a damaged primary", async () => {
    const bytes = file(base({ header: { generation: 2n ** 64n - 1n }, length: 30 * CLUSTER }));
    const store = new MemoryStore(bytes);
    const report = await (await openEditor(store, { repair: true })).repair();
    expect(report.before.map(({ code, repairable }) => `${code} ${repairable}`)).toEqual([
      "PADDING false",
      "LEAK false",
    ]);
    expect([report.written, stepsOf(store)]).toEqual([false, FENCE]);
    expect(store.bytes).toEqual(bytes);
    const broken = new MemoryStore(edit(bytes, [99, be(0x55, 1)]));
    const mended = await (await openEditor(broken, { repair: true })).repair();
    expect(mended.before.map(({ code }) => code)).toEqual(["BAD_CHECKSUM", "PADDING", "LEAK"]);
    expect(mended.after.map(({ code }) => code)).toEqual(["PADDING", "LEAK"]);
    expect([mended.written, mended.summary.counts.corrupt, stepsOf(broken)]).toEqual([true, 0, FENCE]);
    expect(broken.bytes).toEqual(bytes);
  });
});

test("an inconsistent bitmap is mended and stays inconsistent; clusters of ones stay ones", async () => {
  const ones: HandBitmap = { ...GOOD, clusters: [data(1), "ones", rep(0, CLUSTER).with(2, 0x10)] };
  const start = file({
    clusterBits: 10,
    header: { incompatible: 1n },
    bitmaps: [
      { ...ones, name: "x", flags: FLAG.in_use, padding: 5 },
      { ...ones, name: "y" },
    ],
  });
  const before = bitsOf(start);
  const places = maps(start).map(({ map }) => map?.offset(0) ?? 0);
  const store = new MemoryStore(edit(start, ...places.map((place) => [place + 20, be(0xff, 1)] as const)));
  const report = await (await openEditor(store, { repair: true })).repair();
  expect(report.after.map(({ code, where }) => `${code} ${where.bitmap}`)).toEqual(["INCONSISTENT x"]);
  for (const [label, bits] of bitsOf(store.bytes)) {
    const expected = before.get(label)?.clone();
    expected?.markBits({ first: 0, end: PER });
    expect(expected !== undefined && bits?.equals(expected), label).toBe(true);
    expect(bits?.isDirty(2 * PER - 1)).toBe(true);
  }
});

test("a leak alone is cut off without a commit, behind the fence, at a multiple of 4096", async () => {
  for (const clusterBits of [9, 10, 11, 12, 14]) {
    const made = fileOf({ a: bitmap(300, [7]) }, { clusterBits });
    const end = Math.ceil(made.length / 4096) * 4096;
    const whole = join(made, rep(1, end - made.length));
    const store = new MemoryStore(join(whole, rep(1, 700)));
    const report = await (await openEditor(store, { repair: true })).repair();
    expect([report.written, report.after]).toEqual([true, []]);
    expect(store.changes.map(({ kind }) => kind)).toEqual(["flush", "write", "flush", "truncate", "flush"]);
    expect(store.bytes).toEqual(whole);
  }
});

test("a handle that committed already looks at the file as it is now", async () => {
  const store = new MemoryStore(fileOf({ a: bitmap(9000, [7]) }));
  let size = store.size;
  const stale: SyncStore = {
    get size() {
      return size;
    },
    refresh: () => {
      size = store.size;
    },
    readSync: (offset, length) => store.readSync(offset, length),
    writeSync: (offset, bytes) => store.writeSync(offset, bytes),
    flushSync: () => store.flushSync(),
    truncateSync: (length) => store.truncateSync(length),
  };
  const editor = await openEditor(stale, { repair: true });
  editor.edits.markAll("a");
  await editor.commit();
  editor.edits.add({
    name: "b",
    bits: bitmap(
      90000,
      Array.from({ length: 20 }, (_, at) => at * 4100),
    ),
    flags: 0,
    extraData: [],
  });
  await editor.commit();
  expect(store.size).toBeGreaterThan(size);
  const report = await editor.repair();
  expect([report.before, report.written]).toEqual([[], false]);
  expect(view(store.bytes)).toMatch(/\|ok\|f+\nb/);
});
