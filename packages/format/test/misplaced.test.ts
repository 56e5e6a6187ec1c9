// References to wrong places, with matching checksums: into other bitmaps, the table, the header, behind the end. Whatever is done to
// the file, no good bitmap changes or comes into error, and nothing is written inside the file (spec §5, Files in error).
import { crc32 } from "node:zlib";
import { type Bitmap, bytesSource, isQdbError, QdbError } from "@qdb/format";
import { bitmapPlan, loadMaps, readIndex, runSync } from "@qdb/format/container";
import { expect, test } from "vitest";
import { be, edit } from "./hand.ts";
import { bitmap, fileOf, hexOf, MemoryStore, openEditor, openSession, random, ZLIB } from "./store.ts";

/** For each bitmap its bits in hex, or the code of its error. */
function said(bytes: Uint8Array): ReadonlyMap<string, string> {
  const source = bytesSource(bytes);
  const index = runSync(readIndex(bytes.length, ZLIB), source);
  const mapped = runSync(loadMaps(index, index.table.entries, ZLIB), source);
  return new Map(
    mapped.map((one) => {
      const { entry, map } = one;
      const problem = one.findProblem();
      if (map === undefined || problem !== undefined) return [entry.label, problem?.code ?? "no map"] as const;
      try {
        return [entry.label, hexOf(runSync(bitmapPlan(map), source).toBytes())] as const;
      } catch (error) {
        if (isQdbError(error)) return [entry.label, error.code] as const;
        throw error;
      }
    }),
  );
}

const isGood = (one: string | undefined): boolean => one !== undefined && /^[0-9a-f]*$/.test(one);

/** 0 behind the end. */
const u64 = (bytes: Uint8Array, at: number): number =>
  at + 8 > bytes.length ? 0 : Number(new DataView(bytes.buffer).getBigUint64(at));
const u32 = (bytes: Uint8Array, at: number): number => new DataView(bytes.buffer).getUint32(at);

/** The file with one wrong reference: an L1 entry, or the offset of an L1 area. */
function misled(bytes: Uint8Array, names: readonly string[], dice: () => number): Uint8Array {
  const pick = (count: number): number => Math.floor(dice() * count);
  const cluster = 2 ** u32(bytes, 8);
  const table = u64(bytes, 16);
  const [at, other] = [table + pick(names.length) * 48, table + pick(names.length) * 48];
  const [l1, count] = [u64(bytes, at), u32(bytes, at + 8)];
  const length = Math.ceil((count * 12) / 8) * 8;
  const place =
    [u64(bytes, other), u64(bytes, u64(bytes, other)), table, 512, Math.ceil(bytes.length / cluster) * cluster][
      pick(7)
    ] ?? cluster * pick(bytes.length / cluster + 20) + 512 * pick(2);
  let next = bytes;
  if (dice() < 0.5 && l1 + length <= bytes.length) {
    next = edit(next, [l1 + pick(count) * 8, be(Math.floor(place / 512) * 512 + pick(2), 8)]);
    next = edit(next, [at + 28, be(crc32(next.subarray(l1, l1 + length)), 4)]);
  } else {
    next = edit(next, [at, be(place, 8)]);
    if (place + length <= bytes.length)
      next = edit(next, [at + 28, be(crc32(next.subarray(place, place + length)), 4)]);
  }
  next = edit(next, [64, be(crc32(next.subarray(table, table + u32(next, 28))), 4)], [68, be(0, 4)]);
  next = edit(next, [68, be(crc32(next.subarray(0, 4096)), 4)]);
  return edit(next, [Math.max(4096, cluster), next.slice(0, 4096)]);
}

/** Returns the number of bitmaps that became dirty to keep others good. */
async function act(store: MemoryStore, name: string, verb: string, dice: () => number): Promise<number> {
  const editor = await openEditor(store, { repair: verb === "repair" });
  if (verb === "repair") {
    const { after, written } = await editor.repair();
    expect(after.filter(({ repairable }) => repairable)).toEqual([]);
    expect(written || after.length === 0 || after.every(({ repairable }) => !repairable)).toBe(true);
  } else if (verb === "mark") {
    await editor.change(
      name,
      (bits: Bitmap) => (bits.markBits({ first: 0, end: 1 + Math.floor(dice() * bits.bitCount) }), bits),
    );
  } else if (verb === "mark all") editor.edits.markAll(name);
  else if (verb === "remove") editor.edits.remove(name);
  else if (verb === "rename") editor.edits.rename(name, `${name}+`);
  else
    editor.edits.add({
      name: `new ${dice()}`,
      bits: bitmap(40_000, [Math.floor(dice() * 40_000)]),
      flags: 0,
      extraData: [],
    });
  const dirtied = verb === "repair" ? 0 : (await editor.commit()).madeDirty.length;
  // The state of the session is the one that the next session reads.
  const states = (mapped: typeof editor.state.mapped): unknown[] =>
    mapped.map((one) => [one.entry.label, one.map !== undefined, one.findProblem()?.code]);
  expect(states(editor.state.mapped)).toEqual(states(openSession(store).state.mapped));
  return dirtied;
}

test("500 files with references that lead anywhere", { timeout: 180_000 }, async () => {
  const seen = new Map<string, number>();
  const count = (what: string): void => void seen.set(what, (seen.get(what) ?? 0) + 1);
  for (let seed = 1; seed <= 500; seed++) {
    const dice = random(seed);
    const clusterBits = 9 + Math.floor(dice() * 5);
    const names = ["a", "b", "c", "d"].slice(0, 2 + Math.floor(dice() * 3));
    const made = names.map((name) => {
      const bits = Math.ceil(2 ** clusterBits * 8 * (0.2 + dice() * 5));
      return [
        name,
        bitmap(
          bits,
          Array.from({ length: 6 }, () => Math.floor(dice() * bits)),
        ),
      ] as const;
    });
    let bytes = fileOf(Object.fromEntries(made), { clusterBits, allOnes: dice() < 0.5 });
    for (let more = 1 + Math.floor(dice() * 2); more > 0; more--) bytes = misled(bytes, names, dice);
    const store = new MemoryStore(bytes);
    let before: ReadonlyMap<string, string>;
    try {
      before = said(bytes);
    } catch (error) {
      // The table itself was written over.
      expect(error).toBeInstanceOf(QdbError);
      continue;
    }
    for (let step = 0; step < 4; step++) {
      const name = [...before.keys()][Math.floor(dice() * before.size)];
      if (name === undefined) break;
      const verb = ["mark", "mark all", "remove", "rename", "add", "repair"][Math.floor(dice() * 6)] ?? "add";
      const was = store.bytes;
      const isWhole = openSession(store).state.mapped.every(({ map }) => map !== undefined);
      const label = `seed ${seed}, step ${step}: ${verb} ${name}`;
      store.log.length = 0;
      let outcome = "done";
      try {
        if ((await act(store, name, verb, dice)) > 0) count("others made dirty");
      } catch (error) {
        if (!isQdbError(error)) throw new Error(label, { cause: error });
        outcome = error.code;
        expect(store.bytes, label).toEqual(was);
      }
      count(`${verb} ${outcome}`);
      // There is always free space, and the file can be repaired.
      if (verb === "add" || verb === "repair" || verb === "remove") expect(outcome, label).toBe("done");
      const now = said(store.bytes);
      for (const [one, bits] of before)
        if (isGood(bits) && one !== name) expect(now.get(one), `${label}: ${one}`).toBe(bits);
      if (outcome === "done" && verb === "mark all") expect(isGood(now.get(name)), label).toBe(true);
      // Writes are behind the end, except those of commits that pack the file once no bitmap is damaged.
      const space = 2 * Math.max(4096, 2 ** clusterBits);
      const writes = store.changes.flatMap((op) => (op.kind === "write" ? [op] : []));
      const first = writes.slice(
        0,
        writes.findIndex(({ offset }, at) => offset === 0 && at > 0),
      );
      if (!isWhole) for (const { offset } of first) expect(offset < space || offset >= was.length, label).toBe(true);
      before = now;
    }
  }
  for (const what of [
    "mark done",
    "mark all done",
    "remove done",
    "add done",
    "repair done",
    "mark OVERLAP",
    "others made dirty",
  ])
    expect(seen.get(what) ?? 0, what).toBeGreaterThan(0);
});
