// What the tests read files by: everything that the library says of a file, in plain values.
import { crc32 } from "node:zlib";
import {
  Bitmap,
  bytesSource,
  type CheckSummary,
  type Digests,
  type Finding,
  isQdbError,
  type Problem,
  type QdbError,
  type SyncByteSource,
} from "@qdb/format";
import {
  bitmapPlan,
  checkPlan,
  countPlan,
  extentsPlan,
  loadMaps,
  type MappedBitmap,
  type QdbIndex,
  readIndex,
  readMap,
  runSync,
  streamSync,
} from "@qdb/format/container";
import { expect } from "vitest";

export const ZLIB: Digests = { crc32 };

export function index(source: Uint8Array | SyncByteSource, digests: Digests = ZLIB): QdbIndex {
  const from = source instanceof Uint8Array ? bytesSource(source) : source;
  return runSync(readIndex(from.size, digests), from);
}

/** The QdbError that a call throws; the test fails where it throws none, or something else. */
export function thrown(call: () => unknown): QdbError {
  try {
    call();
  } catch (error) {
    if (isQdbError(error)) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

/** `CODE field`, and ` bitmap` where one is named. */
export function brief({ code, where }: { readonly code: string; readonly where: Problem["where"] }): string {
  const words = [code, where.field ?? where.structure ?? "-"];
  return (where.bitmap === undefined ? words : [...words, where.bitmap]).join(" ");
}

/** The error of a file in brief; `ok` when it opens. */
export function fileError(source: Uint8Array | SyncByteSource): string {
  try {
    index(source);
    return "ok";
  } catch (error) {
    if (isQdbError(error)) return brief(error);
    throw error;
  }
}

/** A bitmap's problem, or its dirty bits. */
export interface Read {
  readonly label: string;
  readonly problem: Problem | undefined;
  readonly bitmap: Bitmap | undefined;
}

function bitsOf(from: SyncByteSource, { entry, map }: Pick<MappedBitmap, "entry" | "map">, problem?: Problem): Read {
  if (map === undefined || problem !== undefined) {
    if (problem === undefined) throw new Error(`${entry.label}: neither a map nor a problem`);
    return { label: entry.label, problem, bitmap: undefined };
  }
  try {
    return { label: entry.label, problem: undefined, bitmap: runSync(bitmapPlan(map), from) };
  } catch (error) {
    if (isQdbError(error)) return { label: entry.label, problem: error, bitmap: undefined };
    throw error;
  }
}

/** Every bitmap of a file, all mapped together as check and dump do. @throws what opening throws */
export function readAll(source: Uint8Array | SyncByteSource): Read[] {
  const from = source instanceof Uint8Array ? bytesSource(source) : source;
  const opened = index(from);
  const maps = runSync(loadMaps(opened, opened.table.entries, ZLIB), from);
  return maps.map((mapped) => bitsOf(from, mapped, mapped.findProblem()));
}

/** The same of one bitmap alone, by its place in the table. */
export function readOne(source: Uint8Array | SyncByteSource, place: number): Read {
  const from = source instanceof Uint8Array ? bytesSource(source) : source;
  const opened = index(from);
  const entry = opened.table.entries[place];
  if (entry === undefined) throw new Error(`no entry ${place}`);
  try {
    const map = runSync(readMap(opened, entry, ZLIB), from);
    return bitsOf(from, { entry, map });
  } catch (error) {
    if (isQdbError(error)) return { label: entry.label, problem: error, bitmap: undefined };
    throw error;
  }
}

/** Dirty bits as runs `first-last`, seen alike by streaming, counting and loading. */
export function dirtyRuns(source: Uint8Array | SyncByteSource, place: number): string {
  const from = source instanceof Uint8Array ? bytesSource(source) : source;
  const opened = index(from);
  const entry = opened.table.entries[place];
  if (entry === undefined) throw new Error(`no entry ${place}`);
  const map = runSync(readMap(opened, entry, ZLIB), from);
  const runs: string[] = [];
  const loaded = Bitmap.clean(map.shape);
  for (const batch of streamSync(extentsPlan(map), from)) {
    for (let at = 0; at < batch.runs.length; at += 2) {
      const [first = 0, last = 0] = batch.runs.subarray(at, at + 2);
      runs.push(first === last ? `${first}` : `${first}-${last}`);
      loaded.markBits({ first, end: last + 1 });
    }
  }
  expect(runSync(bitmapPlan(map), from).equals(loaded)).toBe(true);
  expect(runSync(countPlan(map), from)).toEqual({ bits: loaded.count(), bytes: loaded.dirtyBytes() });
  return runs.join(" ");
}

/** The first problem of each bitmap in brief, `ok` where there is none; what one reader of one bitmap sees is compared. */
export function problems(source: Uint8Array): string[] {
  return readAll(source).map(({ problem }) => (problem === undefined ? "ok" : brief(problem)));
}

/** The one problem of the only bitmap of a file. */
export function problem(source: Uint8Array): string {
  const [first = "none", ...others] = problems(source);
  expect(others).toEqual([]);
  const alone = readOne(source, 0).problem;
  expect(alone === undefined ? "ok" : brief(alone)).toBe(first);
  return first;
}

/** What check says. @throws what check throws */
export function check(source: Uint8Array | SyncByteSource): CheckSummary & { readonly findings: Finding[] } {
  const from = source instanceof Uint8Array ? bytesSource(source) : source;
  const findings: Finding[] = [];
  const steps = streamSync(checkPlan(from.size, ZLIB), from);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return { ...step.value, findings };
    findings.push(step.value);
  }
}

/** The findings of check, `severity CODE field bitmap`. */
export function found(source: Uint8Array | SyncByteSource): string[] {
  return check(source).findings.map((finding) => `${finding.severity} ${brief(finding)}`);
}
