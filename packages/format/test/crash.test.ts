// Power cuts: every state that one could leave behind a commit, opened with the real reader, and what a second session makes of it.

import { createHash } from "node:crypto";
import { QdbError } from "@qdb/format";
import { runSync, type Session, type SyncStore, shortRead } from "@qdb/format/container";
import { describe, expect, test } from "vitest";
import { MappedBitmap } from "../src/maps/mapped-bitmap.ts";
import { QdbClusterMap } from "../src/maps/qdb-cluster-map.ts";
import { l1AreaSize } from "../src/records/l1.ts";
import {
  bitmap,
  type Change,
  changesOf,
  commit,
  editsOf,
  fileOf,
  flip,
  MemoryStore,
  openSession,
  random,
  unchanged,
  view,
  written,
  ZLIB,
} from "./store.ts";

const SECTOR = 512;
const H = 4096;
/** Ways in which each subset of writes is torn: at any of them, and at the last one. */
const TEARS = 15;

/** What a workload left: its operations, what had been said to be stored before each of them, and what was being stored. */
interface Recording {
  readonly start: Uint8Array;
  readonly log: readonly Change[];
  /** For each number of operations done: what the file may say. */
  readonly allowed: readonly ReadonlySet<string>[];
}

type Step = (store: SyncStore, session: Session) => void;

const mark =
  (name: string, first: number, end: number): Step =>
  (store, session) =>
    flip(store, session, name, true, first, end);
const clear =
  (name: string, first: number, end: number): Step =>
  (store, session) =>
    flip(store, session, name, false, first, end);
const edits =
  (make: (edits: ReturnType<typeof editsOf>) => void): Step =>
  (store, session) => {
    const made = editsOf(session);
    make(made);
    commit(store, session, made);
  };
const drain = (plan: Generator<unknown, unknown, readonly Uint8Array[]>, store: SyncStore): void => {
  let step = plan.next([]);
  while (step.done !== true) {
    const { read = [] } = step.value as { read?: readonly { offset: number; length: number }[] };
    step = plan.next(read.map(({ offset, length }) => store.readSync(offset, length)));
  }
};
const release =
  (name: string, outcome: "done" | "failed"): Step =>
  (store, session) => {
    const made = editsOf(session);
    drain(made.release(name, outcome), store);
    commit(store, session, made);
  };
const resize =
  (name: string, size: bigint): Step =>
  (store, session) => {
    const made = editsOf(session);
    drain(made.resize(name, size, "dirty"), store);
    commit(store, session, made);
  };

const START = fileOf({ a: bitmap(9000, [1, 4100, 8999]), b: bitmap(300, [7]), still: bitmap(5000, [0, 4999]) });

/** Sessions of steps; each step is a commit. */
const WORKLOADS: Readonly<Record<string, readonly (readonly Step[])[]>> = {
  "marks in one session": [[mark("a", 3, 9), mark("b", 0, 5), mark("a", 8000, 8100)]],
  "marks in many sessions": [[mark("a", 3, 9)], [mark("b", 0, 5)], [mark("a", 0, 9000)]],
  "clears that cut the file": [[mark("a", 0, 4000), clear("a", 0, 9000), mark("b", 9, 10)]],
  "bitmaps come and go": [
    [edits((made) => made.add({ name: "new", bits: bitmap(4096 * 3, [5, 9000]), flags: 1, extraData: [] }))],
    [edits((made) => made.remove("a")), mark("new", 1, 2), edits((made) => made.rename("b", "c"))],
  ],
  "a backup": [
    [edits((made) => made.freeze("a", "next")), mark("next", 100, 200), release("a", "failed"), mark("next", 1, 3)],
  ],
  "sizes and all dirty": [[resize("a", 20000n * 512n), edits((made) => made.markAll("b")), resize("a", 512n)]],
};

function record(
  workload: readonly (readonly Step[])[],
  wrap: (store: MemoryStore) => SyncStore = (store) => store,
): Recording {
  const store = new MemoryStore(START);
  const through = wrap(store);
  let said = view(START);
  const allowed = [new Set([said])];
  for (const steps of workload) {
    const session = openSession(through);
    for (const step of steps) {
      const from = store.changes.length;
      step(through, session);
      const done = store.changes;
      const next = view(store.bytes);
      // Acknowledged by the flush behind the primary that follows the mirror; whatever comes then is packing and cutting.
      const mirror = done.findIndex((op, at) => at >= from && op.kind === "write" && op.offset === H);
      const primary = done.findIndex((op, at) => at > mirror && op.kind === "write" && op.offset === 0);
      const flushed = done.findIndex((op, at) => at > primary && op.kind === "flush");
      for (let at = from + 1; at <= done.length; at++) {
        allowed.push(flushed >= 0 && at > flushed ? new Set([next]) : new Set([said, next]));
      }
      said = next;
    }
  }
  return { start: START, log: store.changes, allowed };
}

/** A state of the disk: which of the pending operations are on it, and how. */
function* states(base: Uint8Array, pending: readonly Change[], dice: () => number): Generator<Uint8Array, void> {
  const apply = (kept: (at: number) => boolean, torn: number, keptLength: boolean): Uint8Array => {
    let bytes: Uint8Array = base.slice();
    let longest = base.length;
    pending.forEach((op, at) => {
      if (op.kind === "flush") return;
      if (op.kind === "truncate") {
        if (kept(at)) bytes = bytes.slice(0, op.length);
        longest = kept(at) ? op.length : longest;
        return;
      }
      longest = Math.max(longest, op.offset + op.bytes.length);
      if (at !== torn) {
        if (kept(at)) bytes = written(bytes, op.offset, op.bytes);
        return;
      }
      for (let sector = 0; sector < op.bytes.length; sector += SECTOR) {
        const fate = dice();
        const piece: Uint8Array = op.bytes.slice(sector, sector + SECTOR);
        if (fate < 0.2) piece.set(piece.map(() => Math.floor(dice() * 256)));
        if (fate < 0.6) bytes = written(bytes, op.offset + sector, piece);
      }
    });
    if (!keptLength && base.length < bytes.length) return bytes.slice(0, base.length);
    return longest > bytes.length ? written(bytes, longest, new Uint8Array(0)) : bytes;
  };
  const all = pending.length <= 10;
  const count = all ? 2 ** pending.length : 600;
  for (let subset = 0; subset < count; subset++) {
    const choice = all ? subset : Math.floor(dice() * 2 ** pending.length);
    const kept = (at: number): boolean => Math.floor(choice / 2 ** at) % 2 === 1;
    yield apply(kept, -1, true);
    if (pending.length === 0) continue;
    yield apply(kept, -1, false);
    for (let tries = 0; tries < TEARS; tries++) yield apply(kept, Math.floor(dice() * pending.length), dice() < 0.7);
    for (let tries = 0; tries < TEARS; tries++) yield apply(kept, pending.length - 1, true);
  }
}

interface Count {
  states: number;
  sessions: number;
  readonly wrong: string[];
}

/** Goes through every state of a recording; `also` looks at one and at what it may say. */
function enumerate(
  { start, log, allowed }: Recording,
  count: Count,
  dice: () => number,
  read: (bytes: Uint8Array) => string = view,
  also: (bytes: Uint8Array, said: string) => void = () => undefined,
  enough = Number.POSITIVE_INFINITY,
): void {
  let base = start;
  let pending: Change[] = [];
  // Many states come to the same bytes.
  const known = new Map<string, string>();
  const readOnce = (bytes: Uint8Array): string => {
    const key = createHash("sha1").update(bytes).digest("base64");
    const said = known.get(key) ?? read(bytes);
    known.set(key, said);
    return said;
  };
  for (let done = 0; done <= log.length; done++) {
    for (const bytes of states(base, pending, dice)) {
      count.states++;
      if (count.wrong.length >= enough) return;
      const said = readOnce(bytes);
      if (allowed[done]?.has(said) !== true) count.wrong.push(`after ${done} operations: ${said.slice(0, 60)}`);
      else also(bytes, said);
    }
    const op = log[done];
    if (op === undefined) break;
    if (op.kind !== "flush") pending.push(op);
    else {
      for (const kept of pending) {
        if (kept.kind === "write") base = written(base.slice(), kept.offset, kept.bytes);
        else if (kept.kind === "truncate") base = base.slice(0, kept.length);
      }
      pending = [];
    }
  }
}

/** A second session on what a cut left: it opens that state, and its commit is right, wherever it is cut itself. */
function secondSession(bytes: Uint8Array, said: string, count: Count, dice: () => number): void {
  const store = new MemoryStore(bytes);
  const session = openSession(store, { repair: true });
  const name = session.state.index.table.entries.at(-1)?.label ?? "";
  flip(store, session, name, true, 17, 23);
  const next = view(store.bytes);
  if (next.startsWith("error") || next.split("\n").length !== said.split("\n").length)
    count.wrong.push(`second: ${next.slice(0, 60)}`);
  const log = store.changes;
  const stop = Math.floor(dice() * (log.length + 1));
  let base = bytes;
  let pending: Change[] = [];
  for (const op of log.slice(0, stop)) {
    if (op.kind !== "flush") pending.push(op);
    else {
      for (const kept of pending) if (kept.kind === "write") base = written(base.slice(), kept.offset, kept.bytes);
      for (const kept of pending) if (kept.kind === "truncate") base = base.slice(0, kept.length);
      pending = [];
    }
  }
  let tried = 0;
  for (const state of states(base, pending, dice)) {
    if (tried++ > 6) break;
    count.sessions++;
    const seen = view(state);
    if (seen !== said && seen !== next) count.wrong.push(`cut in the second session: ${seen.slice(0, 60)}`);
  }
}

test("a power cut at any operation leaves the old state or the new one, and a second session goes on from there", () => {
  const count: Count = { states: 0, sessions: 0, wrong: [] };
  const dice = random(1);
  for (const workload of Object.values(WORKLOADS)) {
    let turn = 0;
    enumerate(record(workload), count, dice, view, (bytes, said) => {
      if (turn++ % 61 === 0) secondSession(bytes, said, count, dice);
    });
  }
  expect(count.wrong.slice(0, 5)).toEqual([]);
  expect(count.states).toBeGreaterThan(20_000);
  expect(count.sessions).toBeGreaterThan(1_000);
});

/** A disk with a cache before it: a failed flush leaves pages that look stored, and may leave the cache. */
class CachedDisk implements SyncStore {
  #disk: Uint8Array;
  #diskLength: number;
  #length: number;
  readonly #cache = new Map<number, { bytes: Uint8Array; dirty: boolean }>();
  readonly #dice: () => number;
  /** Operations until something goes wrong. */
  fuse = Number.POSITIVE_INFINITY;
  /** Failed flush, or power cut. */
  end: "flush" | "cut" = "cut";

  constructor(bytes: Uint8Array, dice: () => number) {
    this.#disk = bytes.slice();
    this.#diskLength = bytes.length;
    this.#length = bytes.length;
    this.#dice = dice;
  }

  get size(): number {
    return this.#length;
  }

  #page(at: number): Uint8Array {
    const cached = this.#cache.get(at)?.bytes;
    if (cached !== undefined) return cached;
    const page = new Uint8Array(4096);
    page.set(this.#disk.subarray(at * 4096, Math.min(at * 4096 + 4096, this.#diskLength)));
    return page;
  }

  #tick(): void {
    for (const [at, page] of this.#cache) if (!page.dirty && this.#dice() < 0.15) this.#cache.delete(at);
    if (this.fuse-- > 0 || this.end === "flush") return;
    throw new QdbError("IO", "the power is gone");
  }

  readSync(offset: number, length: number): Uint8Array {
    if (offset + length > this.#length) throw shortRead(offset, length, this.#length);
    const result = new Uint8Array(length);
    for (let at = 0; at < length; ) {
      const page = this.#page(Math.floor((offset + at) / 4096));
      const piece = page.subarray((offset + at) % 4096, ((offset + at) % 4096) + (length - at));
      result.set(piece, at);
      at += piece.length;
    }
    return result;
  }

  writeSync(offset: number, bytes: Uint8Array): void {
    this.#tick();
    for (let at = 0; at < bytes.length; ) {
      const number = Math.floor((offset + at) / 4096);
      const page = this.#page(number).slice();
      const start = (offset + at) % 4096;
      const piece = bytes.subarray(at, at + 4096 - start);
      page.set(piece, start);
      this.#cache.set(number, { bytes: page, dirty: true });
      at += piece.length;
    }
    this.#length = Math.max(this.#length, offset + bytes.length);
  }

  flushSync(): void {
    this.#tick();
    if (this.end === "flush" && this.fuse < 0) {
      this.fuse = Number.POSITIVE_INFINITY;
      for (const [at, page] of this.#cache) {
        if (page.dirty) this.#store(at, page.bytes, () => false, this.#dice() < 0.5);
        page.dirty = false;
      }
      if (this.#dice() < 0.5) this.#diskLength = this.#length;
      throw new QdbError("IO", "the flush failed");
    }
    for (const [at, page] of this.#cache) {
      if (page.dirty) this.#store(at, page.bytes, () => true, true);
      page.dirty = false;
    }
    this.#diskLength = this.#length;
  }

  truncateSync(length: number): void {
    this.#tick();
    for (const at of this.#cache.keys()) if (at * 4096 >= length) this.#cache.delete(at);
    this.#length = length;
  }

  #store(at: number, bytes: Uint8Array, kept: () => boolean, whole: boolean): void {
    for (let sector = 0; sector < 4096; sector += SECTOR) {
      if (whole || kept()) this.#disk = written(this.#disk, at * 4096 + sector, bytes.slice(sector, sector + SECTOR));
    }
  }

  /** The cache is gone; of what was not flushed some sectors are on the disk, some garbage. */
  cut(): void {
    const torn = this.#dice() < 0.5;
    for (const [at, page] of this.#cache) {
      if (page.dirty && this.#dice() < 0.6) this.#store(at, page.bytes, () => this.#dice() < 0.5, !torn);
    }
    this.#cache.clear();
    if (this.#dice() < 0.5) this.#diskLength = this.#length;
    this.#length = Math.max(this.#diskLength, 0);
    if (this.#disk.length < this.#length) this.#disk = written(this.#disk, this.#length, new Uint8Array(0));
    // What lies behind the file's end is not there any more.
    this.#disk = this.#disk.slice(0, this.#length);
    this.#diskLength = this.#length;
  }

  get bytes(): Uint8Array {
    return this.readSync(0, this.#length);
  }
}

/** Sessions one after the other over a disk that fails and forgets. Gives what went wrong. */
function live(seed: number, wrap: (disk: CachedDisk) => SyncStore = (disk) => disk): string | undefined {
  const dice = random(seed);
  const disk = new CachedDisk(START, dice);
  let allowed = new Set([view(START)]);
  for (let turn = 0; turn < 5; turn++) {
    const seen = view(disk.bytes);
    if (!allowed.has(seen)) return `turn ${turn}: ${seen.slice(0, 60)}`;
    disk.fuse = Math.floor(dice() * 14);
    disk.end = dice() < 0.5 ? "flush" : "cut";
    const store = wrap(disk);
    try {
      const session = openSession(store, { repair: true });
      const opened = view(disk.bytes);
      if (!allowed.has(opened)) return `turn ${turn}, opened: ${opened.slice(0, 60)}`;
      runSync(session.fence(), store);
      allowed = new Set([opened]);
      for (let step = 0; step < 2; step++) {
        const made = editsOf(session);
        const first = Math.floor(dice() * 250);
        const name = dice() < 0.5 ? "a" : "b";
        const before = [...allowed][0] ?? "";
        drain(
          made.change(name, (bits) => {
            bits.invert();
            bits.markBits({ first, end: first + 20 });
            return bits;
          }),
          store,
        );
        const next = projected(session, changesOf(store, session, made) ?? unchanged(session), disk);
        allowed = new Set([before, next]);
        commit(store, session, made);
        allowed = new Set([next]);
      }
    } catch (error) {
      if (!(error instanceof QdbError) || (error.code !== "POISONED" && error.code !== "IO"))
        return `turn ${turn}: ${error}`;
    }
    if (disk.end === "cut" || dice() < 0.3) disk.cut();
  }
  return undefined;
}

/** What the file will say when a commit is done, found by doing it on a copy. */
function projected(session: Session, next: Parameters<Session["commit"]>[0], disk: CachedDisk): string {
  const copy = new MemoryStore(disk.bytes);
  const twin = openSession(copy, { repair: true });
  const mapped = new Map(twin.state.mapped.map((one) => [one.entry.index, one]));
  const moved = next.map(({ from, ...rest }) => {
    const own = from === undefined ? undefined : mapped.get(from.entry.index);
    return own === undefined ? rest : { ...rest, from: own };
  });
  expect(twin.state.mapped.length).toBe(session.state.mapped.length);
  runSync(twin.commit(moved), copy);
  return view(copy.bytes);
}

test("flushes that fail, pages that leave the cache, cuts, one session after the other: never a state that was not", () => {
  const wrong: string[] = [];
  for (let seed = 1; seed <= 300; seed++) {
    const found = live(seed);
    if (found !== undefined) wrong.push(`seed ${seed}: ${found}`);
  }
  expect(wrong).toEqual([]);
});

describe("what is caught when the protocol is weaker", () => {
  /** A store that forgets what it is told to forget. */
  const dropping = (store: SyncStore, drop: (op: Change) => boolean): SyncStore => ({
    get size() {
      return store.size;
    },
    readSync: (offset, length) => store.readSync(offset, length),
    writeSync: (offset, bytes) => {
      if (!drop({ kind: "write", offset, bytes })) store.writeSync(offset, bytes);
    },
    flushSync: () => {
      if (!drop({ kind: "flush" })) store.flushSync();
    },
    truncateSync: (length) => store.truncateSync(length),
  });
  const violations = (wrap: (store: SyncStore) => SyncStore, read = view): number => {
    const count: Count = { states: 0, sessions: 0, wrong: [] };
    for (const workload of Object.values(WORKLOADS).slice(0, 3))
      enumerate(record(workload, wrap), count, random(2), read, undefined, 1);
    return count.wrong.length;
  };

  const breaks = (wrap: (disk: CachedDisk) => SyncStore): boolean => {
    for (let seed = 1; seed <= 1000; seed++) if (live(seed, wrap) !== undefined) return true;
    return false;
  };

  test("the mirror is not written", () => {
    expect(violations((store) => dropping(store, (op) => op.kind === "write" && op.offset === H))).toBeGreaterThan(0);
  });

  test("the flush between mirror and primary is left out", () => {
    const wrap = (store: SyncStore): SyncStore => {
      let mirror = false;
      return dropping(store, (op) => {
        const skip = op.kind === "flush" && mirror;
        mirror = op.kind === "write" && op.offset === H;
        return skip;
      });
    };
    expect(violations(wrap)).toBeGreaterThan(0);
  });

  test("the flush behind the primary is left out", () => {
    const wrap = (store: SyncStore): SyncStore => {
      let primary = false;
      return dropping(store, (op) => {
        const skip = op.kind === "flush" && primary;
        primary = op.kind === "write" && op.offset === 0;
        return skip;
      });
    };
    expect(breaks(wrap)).toBe(true);
  });

  test("the fence is left out", () => {
    const wrap = (disk: SyncStore): SyncStore => {
      let fence = true;
      let flushes = 0;
      return dropping(disk, (op) => {
        if (op.kind === "write" && op.offset !== 0) fence = false;
        if (fence && op.kind === "flush") return flushes++ < 2;
        return fence;
      });
    };
    expect(breaks(wrap)).toBe(true);
  });

  test("the fence flushes, but does not write the primary again", () => {
    const wrap = (disk: SyncStore): SyncStore => {
      let fence = true;
      return dropping(disk, (op) => {
        if (op.kind === "write" && op.offset !== 0) fence = false;
        return fence && op.kind === "write";
      });
    };
    expect(breaks(wrap)).toBe(true);
  });

  test("space of what is being replaced is used again at once", () => {
    const start = fileOf({ a: bitmap(90000, [1, 41000, 89000]) }, { clusterBits: 12 });
    const store = new MemoryStore(start);
    const session = openSession(store);
    const made = editsOf(session);
    drain(
      made.change("a", (bits) => (bits.invert(), bits)),
      store,
    );
    const next = changesOf(store, session, made);
    if (next === undefined) throw new Error("nothing changes");
    const mapped = session.state.mapped as MappedBitmap[];
    const [first] = mapped;
    if (first?.map === undefined) throw new Error("no bitmap");
    const { entry } = first;
    const zeros = new DataView(new ArrayBuffer(l1AreaSize(entry.l1Size, "full")));
    const context = { form: "full" as const, clusterSize: 4096, crc32: ZLIB.crc32 ?? (() => 0) };
    const map = new QdbClusterMap(entry, zeros, 0, context);
    mapped[0] = new MappedBitmap(session.state.index, entry, map);
    const said = view(start);
    runSync(session.commit(next), store);
    const allowed = store.changes.map(() => new Set([said, view(store.bytes)]));
    const count: Count = { states: 0, sessions: 0, wrong: [] };
    enumerate({ start, log: store.changes, allowed: [new Set([said]), ...allowed] }, count, random(3));
    expect(count.wrong.length).toBeGreaterThan(0);
  });

  test("the newest header is taken", () => {
    const newest = (bytes: Uint8Array): string => {
      const generation = (at: number): bigint => new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(at + 56);
      if (bytes.length < 2 * H || generation(H) <= generation(0)) return view(bytes);
      return view(written(bytes.slice(), 0, bytes.slice(H, 2 * H)));
    };
    expect(violations((store) => store, newest)).toBeGreaterThan(0);
  });
});
