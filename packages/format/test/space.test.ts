// How long a file becomes (spec §5, Space): after every commit shorter than three times its canonical length + 64 KiB.
import { expect, test } from "vitest";
import { file, rep } from "./hand.ts";
import { check } from "./reading.ts";
import {
  bitmap,
  canonicalLength,
  commit,
  editsOf,
  fileOf,
  flip,
  hexOf,
  MemoryStore,
  openSession,
  random,
  view,
} from "./store.ts";

const SLACK = 65536;

function expectShort(store: MemoryStore): void {
  const canonical = canonicalLength(store.bytes);
  expect(store.size, `canonical length ${canonical}`).toBeLessThan(3 * canonical + SLACK);
}

test.each([9, 12, 16])("1,000 single marks, clusters of 2^%i bytes", { timeout: 180_000 }, (clusterBits) => {
  const bits = Math.ceil(2 ** clusterBits * 8 * (clusterBits === 16 ? 1.1 : 3));
  const store = new MemoryStore(
    fileOf({ a: bitmap(bits, [0]), b: bitmap(1000, [999]) }, { clusterBits, allOnes: false }),
  );
  const dice = random(clusterBits);
  let session = openSession(store);
  const model = new Set([0]);
  for (let turn = 0; turn < 1000; turn++) {
    if (turn % 50 === 0) session = openSession(store);
    const bit = Math.floor(dice() * bits);
    model.add(bit);
    flip(store, session, "a", true, bit, bit + 1);
    if (clusterBits < 16 || turn % 20 === 19) expectShort(store);
  }
  expect(view(store.bytes).split("\n")[0]?.split("|").at(-1)).toBe(hexOf(bitmap(bits, model).toBytes()));
  expect(check(store.bytes).findings).toEqual([]);
});

test.each([9, 12, 16])("all but the last of 100 data clusters cleared, clusters of 2^%i bytes", (clusterBits) => {
  const per = 2 ** clusterBits * 8;
  const dirty = Array.from({ length: 100 }, (_, at) => at * per);
  for (const allOnes of [false, true]) {
    const store = new MemoryStore(fileOf({ a: bitmap(per * 100, dirty) }, { clusterBits, allOnes }));
    const session = openSession(store);
    flip(store, session, "a", false, 0, per * 99);
    expectShort(store);
    expect(check(store.bytes).findings).toEqual([]);
    const [, , , , , , bits] = view(store.bytes).split("|");
    expect(bits).toBe(hexOf(bitmap(per * 100, [99 * per]).toBytes()));
  }
});

test("one cluster at a time is cleared, the last one stays", () => {
  const dirty = Array.from({ length: 100 }, (_, at) => at * 4096);
  const store = new MemoryStore(fileOf({ a: bitmap(409600, dirty) }));
  const session = openSession(store);
  for (let cluster = 0; cluster < 99; cluster++) {
    flip(store, session, "a", false, cluster * 4096, cluster * 4096 + 4096);
    expectShort(store);
  }
});

test.each([9, 12, 16])("random long edits, clusters of 2^%i bytes", (clusterBits) => {
  const per = 2 ** clusterBits * 8;
  const dice = random(clusterBits + 7);
  const store = new MemoryStore(fileOf({ a: bitmap(per * 8) }, { clusterBits, allOnes: dice() < 0.5 }));
  let session = openSession(store);
  const sizes = new Map([["a", per * 8]]);
  let next = 0;
  for (let turn = 0; turn < (clusterBits === 16 ? 80 : 250); turn++) {
    if (dice() < 0.1) session = openSession(store);
    const edits = editsOf(session);
    const names = [...sizes.keys()];
    const name = names[Math.floor(dice() * names.length)] ?? "a";
    const roll = dice();
    if (roll < 0.15 && names.length < 12) {
      const bits = Math.ceil(per * (1 + dice() * 20));
      const dirty = Array.from({ length: 20 }, () => Math.floor(dice() * bits));
      edits.add({
        name: `n${next}`,
        bits: bitmap(bits, dirty),
        flags: 0,
        extraData: [{ type: 6, data: rep(65, Math.floor(dice() * 3000)) }],
      });
      sizes.set(`n${next++}`, bits);
      commit(store, session, edits);
    } else if (roll < 0.3 && names.length > 1) {
      edits.remove(name);
      sizes.delete(name);
      commit(store, session, edits);
    } else {
      const bits = sizes.get(name) ?? 0;
      const first = Math.floor(dice() * bits);
      flip(store, session, name, dice() < 0.5, first, first + Math.ceil(dice() ** 2 * (bits - first)));
    }
    expectShort(store);
  }
  expect(check(store.bytes).findings).toEqual([]);
});

test.each([9, 10, 11, 12, 14])(
  "a cut, and a file that became longer, end at a multiple of 4096 and of the cluster size, clusters of 2^%i bytes",
  (clusterBits) => {
    const per = 2 ** clusterBits * 8;
    const dice = random(clusterBits + 99);
    const store = new MemoryStore(fileOf({ a: bitmap(per * 30, []), b: bitmap(per, [3]) }, { clusterBits }));
    const unit = Math.max(4096, 2 ** clusterBits);
    const start = store.size;
    let cuts = 0;
    for (let turn = 0; turn < 60; turn++) {
      const session = openSession(store);
      store.log.length = 0;
      const first = Math.floor(dice() * per * 30);
      flip(store, session, "a", dice() < 0.5, first, first + Math.ceil(dice() * (per * 30 - first)));
      for (const op of store.changes) {
        if (op.kind !== "truncate") continue;
        cuts++;
        expect(op.length % unit).toBe(0);
      }
      if (store.size !== start) expect(store.size % unit).toBe(0);
      expect(check(store.bytes).findings).toEqual([]);
    }
    expect(cuts).toBeGreaterThan(5);
  },
);

test("many small bitmaps, each cluster in a block of its own", () => {
  const store = new MemoryStore(fileOf({ first: bitmap(10, [1]) }));
  const session = openSession(store);
  for (let turn = 0; turn < 60; turn++) {
    const edits = editsOf(session);
    edits.add({ name: `n${turn}`, bits: bitmap(10, [1]), flags: 0, extraData: [] });
    commit(store, session, edits);
    expectShort(store);
  }
  for (let turn = 0; turn < 59; turn++) {
    const edits = editsOf(session);
    edits.remove(`n${turn}`);
    commit(store, session, edits);
    expectShort(store);
  }
});

test("what another writer stored though it is all zeros, all ones, or nothing yet, does not count as content", () => {
  const count = 600;
  for (const kind of ["zeros", "ones", "preallocated"] as const) {
    const clusters = Array.from({ length: count }, (_, at) =>
      kind === "preallocated"
        ? { descriptor: BigInt(8192 + 32768 + at * 512 + 1) }
        : rep(kind === "ones" ? 0xff : 0, 512),
    );
    const bytes = file({
      header: { incompatible: 1n },
      bitmaps: [
        { name: "u", size: 512n * 4096n * BigInt(count), granularity: 512, clusters },
        { name: "v", size: 512n * 10n, granularity: 512, clusters: [rep(0, 512).with(0, 1)] },
      ],
      length: 8192 + 32768 + count * 512 + 4096,
    });
    const before = view(bytes);
    const store = new MemoryStore(bytes);
    const session = openSession(store);
    expect(session.state.mapped.map((one) => one.findProblem())).toEqual([undefined, undefined]);
    flip(store, session, "v", true, 3, 4);
    expectShort(store);
    expect(view(store.bytes).split("\n")[0]).toBe(before.split("\n")[0]);
    expect(check(store.bytes).findings.map(({ code }) => code)).toEqual([]);
  }
});

test("a cluster that is moved unread keeps its checksum: damage is not made good", () => {
  const dirty = Array.from({ length: 300 }, (_, at) => at * 4096);
  const bytes = fileOf({ a: bitmap(4096 * 300, dirty), b: bitmap(4096, [7]) });
  const store = new MemoryStore(bytes);
  const place = openSession(store).state.mapped[1]?.map?.offset(0) ?? 0;
  store.writeSync(place, rep(0x55, 1));
  const session = openSession(store);
  const edits = editsOf(session);
  edits.remove("a");
  commit(store, session, edits);
  expect(session.state.mapped[0]?.map?.offset(0)).not.toBe(place);
  expect(check(store.bytes).findings.map(({ code }) => code)).toEqual(["BAD_CHECKSUM"]);
});
