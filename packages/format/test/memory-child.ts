// Runs one hostile file through everything that a reader does, in a process of its own (`node --expose-gc`), and prints what
// each call took. Memory is looked at whenever bytes are read or something is put out; garbage does not count, so it is
// collected first where there seems to be too much. What a call holds between two such moments is bounded by the
// `--max-old-space-size` that the parent sets in a second run.
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { bytesSource, isQdbError, QdbFile } from "../src/index.ts";
import { HOSTILE } from "./hostile-files.ts";
import type { SparseSource } from "./sparse.ts";

export interface Measured {
  readonly call: string;
  readonly outcome: string;
  readonly bytesRead: number;
  readonly reads: number;
  readonly ms: number;
  /** Most bytes that were held above what the source itself takes. */
  readonly peak: number;
  /** What it may hold: 16 MiB and four times the bytes read since the file was opened. */
  readonly bound: number;
  /** What came out: extents, findings, characters. */
  readonly put: number;
}

const collect = (globalThis as { gc?: () => void }).gc ?? (() => undefined);
const held = (): number => {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

const sha256 = () => {
  const hash = createHash("sha256");
  return { update: (bytes: Uint8Array) => void hash.update(bytes), hex: () => hash.digest("hex") };
};
const options = { digests: { crc32, sha256 } };

async function measure(
  call: string,
  source: SparseSource,
  base: number,
  run: (look: () => void) => Promise<number>,
): Promise<Measured> {
  const before = source.bytesRead;
  const reads = source.reads;
  let peak = 0;
  /** Bytes that were held after the last collection. */
  let lived = 0;
  let looking = 0;
  const look = (): void => {
    const since = performance.now();
    // What opening read is held by the open file: the bound is one of all bytes that were read for it.
    let now = held() - base;
    if (now > 16 * 2 ** 20 + 4 * source.bytesRead) {
      // Where what lives is near the bound, each read would collect anew: only what has grown since is worth it.
      if (now > lived + 2 ** 22) {
        collect();
        lived = held() - base;
      }
      now = lived;
    }
    peak = Math.max(peak, now);
    looking += performance.now() - since;
  };
  source.onRead = look;
  const start = performance.now();
  let put = 0;
  let outcome = "ok";
  try {
    put = await run(look);
  } catch (error) {
    if (!isQdbError(error)) throw error;
    outcome = error.code;
  }
  const ms = performance.now() - start - looking;
  look();
  delete source.onRead;
  const bound = 16 * 2 ** 20 + 4 * source.bytesRead;
  return { call, outcome, bytesRead: source.bytesRead - before, reads: source.reads - reads, ms, peak, bound, put };
}

async function main(name: string): Promise<void> {
  const make = HOSTILE[name];
  if (make === undefined) throw new Error(`no hostile file ${name}`);
  const source = make();
  // Everything is loaded before memory is counted.
  await QdbFile.open(bytesSource(new Uint8Array(0)), options).catch(() => undefined);
  collect();
  const base = held();
  const results: Measured[] = [];
  let file: QdbFile | undefined;
  let bitmaps = 0;
  const opening = await measure("open", source, base, async () => {
    file = await QdbFile.open(source, options);
    return file.bitmaps.length;
  });
  results.push(opening);
  if (file !== undefined) {
    const opened = file;
    bitmaps = opened.bitmaps.length;
    results.push(await measure("count", source, base, async () => (await opened.count()).length));
    for (const at of [0, 1, opened.bitmaps.length - 1]) {
      const bitmap = opened.bitmaps[at];
      if (bitmap === undefined) continue;
      results.push(
        await measure(`extents ${at}`, source, base, async (look) => {
          let runs = 0;
          for await (const batch of bitmap.extents()) {
            look();
            runs += batch.count;
          }
          return runs;
        }),
      );
    }
    results.push(
      await measure("dump", source, base, async (look) => {
        let length = 0;
        let pieces = 0;
        for await (const text of opened.dump()) {
          length += text.length;
          if (pieces++ % 16384 === 0) look();
        }
        return length;
      }),
    );
  }
  file = undefined;
  source.bytesRead = 0;
  collect();
  results.push(
    await measure("check", source, base, async (look) => {
      let findings = 0;
      for await (const _finding of QdbFile.check(source, options)) if (findings++ % 16384 === 0) look();
      return findings;
    }),
  );
  collect();
  process.stdout.write(JSON.stringify({ size: source.size, bitmaps, heap: process.memoryUsage().heapUsed, results }));
}

await main(process.argv[2] ?? "");
