// Images that change while they are read: what comes out is of one state of the image, or an error that says so.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isQdbError, QdbError, type SyncByteSource } from "@qdb/format";
import { bitmapPlan, type Clock, type Plan, shortRead } from "@qdb/format/container";
import { Qcow2File, type Qcow2Index } from "@qdb/qcow2";
import { afterAll, beforeAll, expect, test } from "vitest";
import { requirePeers, runPeer } from "../../cli/test/peers.ts";
import { readAll } from "./reading.ts";
import { Patchable } from "./small-image.ts";

let directory: string;
/** One image, as QEMU left it after each of several runs; each is longer than the one before it. */
let states: Uint8Array[];
beforeAll(() => {
  requirePeers("qemu-img", "qemu-io");
  directory = mkdtempSync(join(tmpdir(), "qdb-changing-"));
  states = makeStates();
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function makeStates(): Uint8Array[] {
  const path = join(directory, "growing.qcow2");
  runPeer("qemu-img", ["create", "-q", "-f", "qcow2", "-o", "cluster_size=512", path, "16M"]);
  const states: Uint8Array[] = [];
  for (let step = 0; step < 4; step++) {
    runPeer("qemu-img", ["bitmap", "--add", "-g", "512", path, `b${step}`]);
    runPeer("qemu-io", ["-f", "qcow2", "-c", `write -q ${step}M 64k`, "-c", `write -q -z ${8 + step}M 1M`, path]);
    states.push(new Uint8Array(readFileSync(path)));
  }
  return states;
}

interface ChangingSource extends SyncByteSource {
  reads: number;
}

/** A file whose contents are those that `contents` gives for the number of reads so far. */
function changingSource(contents: (reads: number) => Uint8Array, stamps: boolean): ChangingSource {
  let size = contents(0).length;
  const stamp = (): string => String(versionOf(contents(source.reads)));
  const source: ChangingSource = {
    reads: 0,
    get size() {
      return size;
    },
    refresh() {
      size = contents(source.reads).length;
    },
    readSync(offset, length) {
      const now = contents(source.reads++);
      if (offset + length > Math.min(size, now.length)) throw shortRead(offset, length, Math.min(size, now.length));
      return now.slice(offset, offset + length);
    },
    ...(stamps ? { stamp } : {}),
  };
  return source;
}

const versions = new Map<Uint8Array, number>();
function versionOf(bytes: Uint8Array): number {
  const version = versions.get(bytes) ?? versions.size;
  versions.set(bytes, version);
  return version;
}

/** The dirty bits of every bitmap, by name. */
function* readBits({ bitmaps }: Qcow2Index): Plan<Record<string, string>> {
  const bits: Record<string, string> = {};
  for (const bitmap of bitmaps) {
    const dirty = yield* bitmapPlan(bitmap.map());
    bits[`${bitmap.name}`] = JSON.stringify([...dirty.batches()], (_, value) =>
      typeof value === "bigint" ? `${value}` : value,
    );
  }
  return bits;
}

/** A clock that only pauses move: ten seconds take no time. */
function quickClock(): Clock {
  let now = 0;
  return {
    now: () => now,
    wait: async (ms) => {
      now += ms;
    },
  };
}

async function bitsOf(source: SyncByteSource): Promise<Record<string, string>> {
  const file = await Qcow2File.open(source, { clock: quickClock() });
  return file.run(readBits);
}

async function codeOfReading(source: SyncByteSource): Promise<string> {
  try {
    await bitsOf(source);
    return "none";
  } catch (error) {
    if (isQdbError(error)) return error.code;
    throw error;
  }
}

test.each([true, false])("an image that grows once, at any read (its host tells of changes: %s)", async (stamps) => {
  const expected = await Promise.all(states.map((bytes) => bitsOf(changingSource(() => bytes, stamps))));
  expect(new Set(expected.map((bits) => JSON.stringify(bits))).size).toBe(states.length);
  for (const [from, before] of states.entries()) {
    for (const [to, after] of states.entries()) {
      if (from === to) continue;
      const quiet = changingSource(() => before, stamps);
      await bitsOf(quiet);
      const seen = new Set<number>();
      for (let when = 0; when <= quiet.reads; when++) {
        const bits = await bitsOf(changingSource((reads) => (reads < when ? before : after), stamps));
        expect([expected[from], expected[to]], `${from} to ${to} at read ${when}`).toContainEqual(bits);
        seen.add(JSON.stringify(bits) === JSON.stringify(expected[from]) ? from : to);
      }
      expect([...seen].sort()).toEqual([from, to].sort());
    }
  }
});

test("an image that changes twice, at any two reads", async () => {
  const [first, second, third] = states;
  const expected = await Promise.all(states.map((bytes) => bitsOf(changingSource(() => bytes, true))));
  const quiet = changingSource(() => first!, true);
  await bitsOf(quiet);
  for (let when = 0; when <= quiet.reads; when++) {
    for (let again = when; again <= quiet.reads * 2; again += 4) {
      const contents = (reads: number): Uint8Array => (reads < when ? first! : reads < again ? second! : third!);
      expect(expected, `at read ${when} and ${again}`).toContainEqual(await bitsOf(changingSource(contents, false)));
    }
  }
});

test("an image that changes at every read ends with SOURCE_CHANGED", async () => {
  for (const every of [1, 2, 3]) {
    const contents = (reads: number): Uint8Array => states[Math.floor(reads / every) % states.length]!;
    expect(await codeOfReading(changingSource(contents, every === 2)), `every ${every}`).toBe("SOURCE_CHANGED");
  }
});

test("an image that is still being copied, front to back, is waited for", async () => {
  const whole = states.at(-1)!;
  const expected = await bitsOf(changingSource(() => whole, false));
  for (const start of [1, 100, 512, 4096, whole.length / 2, whole.length - 512]) {
    for (const pieces of [1, 2, 3]) {
      const prefix = Array.from({ length: pieces + 1 }, (_, piece) =>
        whole.subarray(0, Math.floor(start + ((whole.length - start) * piece) / pieces)),
      );
      const source = changingSource((reads) => prefix[Math.min(reads, pieces)]!, false);
      expect(await bitsOf(source), `from ${start} in ${pieces} pieces`).toEqual(expected);
    }
  }
  // One that stops halfway is what it is.
  const half = whole.subarray(0, whole.length / 2);
  expect(await codeOfReading(changingSource(() => half, false))).toBe("OUT_OF_BOUNDS");
});

test("an image that is cut while it is read", async () => {
  const whole = states.at(-1)!;
  const quiet = changingSource(() => whole, false);
  await bitsOf(quiet);
  for (let when = 1; when < quiet.reads; when++) {
    const source = changingSource((reads) => (reads < when ? whole : whole.subarray(0, 600)), false);
    expect(["OUT_OF_BOUNDS", "SOURCE_CHANGED"]).toContain(await codeOfReading(source));
  }
});

test("new data in the old places, header and directory as they were: the host's word tells", async () => {
  const before = states[1]!;
  const image = new Patchable(before);
  // Another writer moved the dirt from the first bits of each cluster to the last ones, in the same clusters.
  for (const name of ["b0", "b1"]) {
    const data = Number(image.readTableEntry(name, 0));
    image.bytes.fill(0, data, data + 256).fill(255, data + 256, data + 512);
  }
  const after = image.bytes;
  const expected = [await bitsOf(changingSource(() => before, true)), await bitsOf(changingSource(() => after, true))];
  expect(expected[0]).not.toEqual(expected[1]);
  const quiet = changingSource(() => before, true);
  await bitsOf(quiet);
  let isMixed = false;
  for (let when = 0; when <= quiet.reads; when++) {
    const contents = (reads: number): Uint8Array => (reads < when ? before : after);
    expect(expected, `at read ${when}`).toContainEqual(await bitsOf(changingSource(contents, true)));
    const unaware = await bitsOf(changingSource(contents, false));
    isMixed ||= expected.every((bits) => JSON.stringify(bits) !== JSON.stringify(unaware));
  }
  // What a device cannot tell.
  expect(isMixed).toBe(true);
});

test("an image that grew just before its header was read is not read twice", async () => {
  const [before, after] = states;
  const quiet = changingSource(() => after!, false);
  await Qcow2File.open(quiet);
  let looks = 0;
  const source = changingSource(() => (looks < 2 ? before! : after!), false);
  const late: SyncByteSource = {
    get size() {
      return source.size;
    },
    refresh() {
      looks++;
      return source.refresh?.();
    },
    readSync(offset, length) {
      source.reads++;
      return after!.slice(offset, offset + length);
    },
  };
  await Qcow2File.open(late);
  expect(source.reads).toBe(quiet.reads);
});

test("what was handed out is of one state: after a change it is SOURCE_CHANGED, not the new one", async () => {
  const [before, after] = states;
  let isAfter = false;
  const source = changingSource(() => (isAfter ? after! : before!), false);
  const file = await Qcow2File.open(source);
  const plan = function* ({ bitmaps }: Qcow2Index): Plan<number> {
    yield* bitmapPlan(bitmaps[0]!.map());
    return bitmaps.length;
  };
  isAfter = true;
  // Nothing was handed out yet.
  expect(await file.run(plan)).toBe(2);
  expect(await file.run(plan)).toBe(2);
  isAfter = false;
  await expect(file.run(plan)).rejects.toMatchObject({ code: "SOURCE_CHANGED" });
});

test("errors of the plan come through as they are, and hand nothing out", async () => {
  const [before, after] = states;
  let isAfter = false;
  const file = await Qcow2File.open(changingSource(() => (isAfter ? after! : before!), false));
  // biome-ignore lint/correctness/useYield: the plan fails before it reads.
  const fail = function* (): Plan<never> {
    throw new QdbError("NOT_FOUND", "no such bitmap");
  };
  await expect(file.run(fail)).rejects.toMatchObject({ code: "NOT_FOUND" });
  isAfter = true;
  expect(Object.keys(await file.run(readBits))).toEqual(["b0", "b1"]);
});

test("a guest that writes is no change where no bitmap is read: all are in use", async () => {
  const image = new Patchable(states[0]!).entry("b0", { flags: 3 });
  const twin = image.bytes.slice();
  const source = changingSource((reads) => (reads % 2 === 0 ? image.bytes : twin), true);
  const file = await Qcow2File.open(source);
  const problems = await file.run(function* ({ bitmaps }) {
    return bitmaps.map(({ problem }) => problem?.code);
  });
  expect(problems).toEqual(["INCONSISTENT"]);
});

test("what is read of the states is what QEMU wrote", () => {
  const { dirty } = readAll(states.at(-1)!);
  expect(dirty.get("b3")).toEqual([
    [3145728, 65536],
    [11534336, 1048576],
  ]);
});

test("an aborted call ends with ABORTED", async () => {
  const signal = AbortSignal.abort();
  const source = changingSource(() => states[0]!, true);
  await expect(Qcow2File.open(source, { signal })).rejects.toMatchObject({ code: "ABORTED" });
});
