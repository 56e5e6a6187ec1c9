// Runs one hostile file through everything that a reader does, in a process of its own (`node --expose-gc`), and prints what
// each call took. Memory is looked at whenever bytes are read or something is put out; garbage does not count, so it is
// collected first where there seems to be too much. What a call holds between two such moments is bounded by the
// `--max-old-space-size` that the parent sets in a second run.
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { type ExtentsVisitor, QdbEditor } from "../src/container.ts";
import { Bitmap, bytesSource, checkQdb, countAll, dumpQdb, extentsOfAll, isQdbError, QdbFile } from "../src/index.ts";
import { BOUND_REPAIRS, EDITED, FEW, FEWER, HOSTILE, REPAIRED } from "./hostile-files.ts";
import { fileStore, type SparseSource, sparseStore } from "./sparse.ts";

export interface Measured {
  readonly call: string;
  readonly outcome: string;
  readonly bytesRead: number;
  /** Bytes that opening and this call read: what the bounds of section 7.4 are about. */
  readonly bytes: number;
  readonly reads: number;
  /** Time of the processor, whatever else the machine does. */
  readonly ms: number;
  /** Most bytes that were held above what the source itself takes. */
  readonly peak: number;
  /** What it may hold: 16 MiB and four times `bytes`. */
  readonly bound: number;
  /** What came out: extents, findings, characters. */
  readonly put: number;
  /** Length of the file in bytes when the call has ended, where it changes it. */
  readonly size?: number;
}

const isSoak = process.env.QDB_SOAK === "1";

const gc = (globalThis as { gc?: () => void }).gc ?? (() => undefined);
const collect = (): void => {
  gc();
  // The bytes of arrays that the first one found are given back by the next one at the latest.
  gc();
};
/** Time of the processor in ms. */
const cpuTime = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};
const memoryHeld = (): number => {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

const sha256 = () => {
  const hash = createHash("sha256");
  return { update: (bytes: Uint8Array) => void hash.update(bytes), hex: () => hash.digest("hex") };
};
const options = { digests: { crc32, sha256 } };

/** Runs one call; `opening` is how many bytes were read before that it still holds: those of the open file. */
async function measure(
  call: string,
  source: SparseSource,
  { base, opening }: { readonly base: number; readonly opening: number },
  run: (look: () => void) => Promise<number>,
): Promise<Measured> {
  const before = source.bytesRead;
  const reads = source.reads;
  const bytes = (): number => opening + source.bytesRead - before;
  const bound = (): number => 16 * 2 ** 20 + 4 * bytes();
  let peak = 0;
  /** Bytes that were held after the last collection. */
  let lived = 0;
  let looking = 0;
  const start = cpuTime();
  const look = (isLast = false): void => {
    const since = cpuTime();
    let now = memoryHeld() - base;
    // Where what lives is near the bound all the time, collecting would take many times as long as the call itself.
    if (!isLast && now > bound() && looking > (since - start - looking) / 4 + 500) return;
    if (now > bound()) {
      // Where what lives is near the bound, each read would collect anew: only what has grown since is worth it.
      if (now > lived + 2 ** 22) {
        gc();
        lived = memoryHeld() - base;
        // The bytes of arrays are given back by another thread, which a busy machine lets wait.
        for (let time = 0; time < 20 && lived > bound(); time++) {
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
          collect();
          lived = memoryHeld() - base;
        }
      }
      now = lived;
    }
    peak = Math.max(peak, now);
    looking += cpuTime() - since;
  };
  let looked = 0;
  source.onRead = () => {
    // To look takes longer than to read a few bytes.
    if (source.reads % 64 !== 0 && source.bytesRead < looked + 65536) return;
    looked = source.bytesRead;
    look();
  };
  let put = 0;
  let outcome = "ok";
  try {
    put = await run(look);
  } catch (error) {
    if (!isQdbError(error)) throw error;
    outcome = error.code;
  }
  const ms = cpuTime() - start - looking;
  look(true);
  delete source.onRead;
  return {
    call,
    outcome,
    bytesRead: source.bytesRead - before,
    bytes: bytes(),
    reads: source.reads - reads,
    ms,
    peak,
    bound: bound(),
    put,
  };
}

/** What an open file is asked for. */
async function measureOpen(source: SparseSource, base: number): Promise<Measured[]> {
  let file: QdbFile | undefined;
  const opening = await measure("open", source, { base, opening: 0 }, async () => {
    file = await QdbFile.open(source, options);
    return file.bitmaps.length;
  });
  const results = [opening];
  if (file === undefined) return results;
  const opened = file;
  const held = { base, opening: source.bytesRead };
  results.push(
    await measure("count", source, held, async (look) => {
      const counted = await countAll(opened);
      look();
      return counted.length;
    }),
  );
  results.push(
    await measure("extents of all", source, held, async (look) => {
      let runs = 0;
      const begin = (): ExtentsVisitor => {
        runs = 0;
        return (_, batch) => {
          // Each small bitmap has a batch of its own: to look takes longer.
          if (batch.count > 1000 || runs % 16384 === 0) look();
          runs += batch.count;
        };
      };
      await extentsOfAll(opened, begin);
      look();
      return runs;
    }),
  );
  /** The file keeps the L1 area that was read last: a second call on the bitmap holds bytes that the first one read. */
  let kept = { at: -1, bytesRead: 0 };
  for (const at of [0, 1, opened.bitmaps.length - 1]) {
    const bitmap = opened.bitmaps[at];
    if (bitmap === undefined) continue;
    const before = kept.at === at ? kept.bytesRead : 0;
    const measured = await measure(`extents ${at}`, source, { base, opening: held.opening + before }, async (look) => {
      let runs = 0;
      for await (const batch of bitmap.batches()) {
        look();
        runs += batch.count;
      }
      return runs;
    });
    results.push(measured);
    kept = { at, bytesRead: measured.bytesRead };
  }
  results.push(
    await measure("dump", source, held, async (look) => {
      let length = 0;
      let pieces = 0;
      for await (const text of dumpQdb(opened)) {
        length += text.length;
        if (pieces++ % 16384 === 0) look();
      }
      return length;
    }),
  );
  return results;
}

/** A bitmap is added and stored: whatever the other one names must stay free. */
function measureEdit(source: SparseSource, base: number): Promise<Measured> {
  return measure("edit", source, { base, opening: 0 }, async (look) => {
    const editor = await QdbEditor.open(sparseStore(source), { ...options, randomId: () => new Uint8Array(16) });
    look();
    const bits = Bitmap.clean({ size: 4096n, granularity: 512 });
    editor.edits.add({ name: "added", bits, flags: 0, extraData: [] });
    await editor.commit();
    look();
    return editor.state.mapped.length;
  });
}

/** What can be put right is, in a file on the disk, and every finding is gone through. */
async function measureRepair(source: SparseSource, base: number, maxRepairBytes?: number): Promise<Measured> {
  const directory = mkdtempSync(join(tmpdir(), "qdb-repair-"));
  try {
    const store = fileStore(source, join(directory, "file.qdb"));
    const randomId = (): Uint8Array => new Uint8Array(16);
    const bounds = maxRepairBytes === undefined ? {} : { maxRepairBytes };
    const call = maxRepairBytes === undefined ? "repair" : "repair within 16 MiB";
    const measured = await measure(call, source, { base, opening: 0 }, async (look) => {
      const editor = await QdbEditor.open(store, { ...options, ...bounds, randomId, repair: true });
      const report = await editor.repair();
      look();
      let findings = 0;
      for (const _ of report.findings()) if (findings++ % 16384 === 0) look();
      return findings;
    });
    return { ...measured, size: store.size };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function main(name: string): Promise<void> {
  const make = HOSTILE[name];
  if (make === undefined) throw new Error(`no hostile file ${name}`);
  const source = FEWER.has(name) && !isSoak ? make(FEW) : make();
  // Everything is loaded before memory is counted.
  await QdbFile.open(bytesSource(new Uint8Array(0)), options).catch(() => undefined);
  collect();
  const base = memoryHeld();
  const results = await measureOpen(source, base);
  collect();
  results.push(
    await measure("check", source, { base, opening: 0 }, async (look) => {
      let findings = 0;
      for await (const _finding of checkQdb(source, options)) if (findings++ % 16384 === 0) look();
      return findings;
    }),
  );
  collect();
  if (EDITED.has(name)) results.push(await measureEdit(source, base));
  if (REPAIRED.has(name)) {
    results.push(await measureRepair(source, base));
    collect();
  }
  if (BOUND_REPAIRS.has(name) || (isSoak && REPAIRED.has(name))) {
    results.push(await measureRepair(source, base, 2 ** 24));
  }
  collect();
  process.stdout.write(JSON.stringify({ size: source.size, heap: process.memoryUsage().heapUsed, results }));
}

await main(process.argv[2] ?? "");
