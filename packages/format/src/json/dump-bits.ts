// The bits of the bitmaps of a file in the JSON form (spec §6), whatever container they are from.
import type { ExtentBatch } from "../bitmap/runs.ts";
import { dirtyBytes } from "../bitmap/shape.ts";
import { BitsHasher } from "../bits/bits-hasher.ts";
import type { ClusterMap } from "../bits/cluster-map.ts";
import { windows } from "../bits/cluster-windows.ts";
import { type BitOptions, extentsPlan } from "../bits/read-bits.ts";
import { Scratch } from "../bits/scratch.ts";
import { storedIn } from "../bits/stored-clusters.ts";
import { wordAt } from "../elements.ts";
import { isQdbError, type Problem } from "../errors.ts";
import type { Digests, Sha256 } from "../ports/digest.ts";
import { mapPut, type Plan, put, read } from "../ports/plan.ts";
import { text, UNSTORED_BYTES } from "./dump-values.ts";

/** Options of a dump. */
export interface DumpOptions extends Pick<BitOptions, "onProgress"> {
  /**
   * Whether to write `bits_sha256` of every bitmap whose bits can be used. By default a bitmap goes without it if more than 16 MiB of
   * unstored data would have to be hashed, together with the bitmaps before it.
   */
  readonly allDigests?: boolean | undefined;
}

/** The result of a dump. */
export interface DumpSummary {
  /** Number of bitmaps for which `error` was written in place of the bits. */
  readonly errors: number;
  /** Label and problem of the first such bitmap; undefined if there is none. */
  readonly first: { readonly label: string; readonly problem: Problem } | undefined;
}

/** Puts out the bits of the bitmaps of a file, one bitmap after the other. */
export class BitsDump {
  readonly #digests: Digests;
  readonly #options: DumpOptions;
  /** Number of bits of all bitmaps together, for progress. */
  readonly #total: number;
  #done = 0;
  #unstored = 0;
  #errors = 0;
  #first: DumpSummary["first"];

  constructor(digests: Digests, options: DumpOptions, total: number) {
    this.#digests = digests;
    this.#options = options;
    this.#total = total;
  }

  /**
   * Puts out the keys of a bitmap's bits and the end of its object: `dirty`, `dirty_bytes` and `bits_sha256`, or `error` if the bits cannot be
   * used. `bits` is the cluster map or, if the bits cannot be used, the first problem of the bitmap. All data is read and verified before the first extent is put out, and then read again.
   * @throws {QdbError} as `dumpPlan`
   */
  *put(label: string, bits: ClusterMap | Problem): Plan<void, string> {
    const problem = "code" in bits ? bits : yield* verify(bits);
    if (problem !== undefined) {
      this.#errors++;
      this.#first ??= { label, problem };
      yield* put(`"error": ${text({ code: problem.code, message: problem.message })} }`);
    } else if (!("code" in bits)) {
      const before = this.#done;
      const needed = this.#unstored + unstoredBytes(bits);
      const isDigestDue = this.#options.allDigests === true || needed <= UNSTORED_BYTES;
      if (isDigestDue) this.#unstored = needed;
      yield* dumpBits(bits, isDigestDue ? this.#digests.sha256 : undefined, {
        ...this.#options,
        onProgress: (count) => this.#options.onProgress?.(before + count, this.#total),
      });
    }
    if (!("code" in bits)) this.#done += bits.bitCount;
  }

  /** The result of the dump so far. */
  get summary(): DumpSummary {
    return { errors: this.#errors, first: this.#first };
  }
}

/** Reads and verifies all data of a bitmap. Returns the first problem of the data, or undefined if there is none. */
function* verify(map: ClusterMap): Plan<Problem | undefined> {
  try {
    const scratch = new Scratch();
    for (const window of windows(map)) {
      for (const [cluster, bytes] of storedIn(map, window, yield* read(scratch.ranges(window.ranges)))) {
        const bad = map.verify(cluster, bytes);
        if (bad !== undefined) return bad;
      }
    }
  } catch (error) {
    if (isQdbError(error, "IO", "SHORT_READ")) return error;
    throw error;
  }
  return undefined;
}

/** Returns the number of bytes of a bitmap's data that no cluster stores. They take time to hash, although nothing is read for them. */
function unstoredBytes(map: ClusterMap): number {
  let stored = 0;
  for (let cluster = 0; cluster < map.count; cluster++) if (map.kind(cluster) === "data") stored++;
  const bytes = Math.ceil(map.bitCount / 8);
  const isLastStored = map.count > 0 && map.kind(map.count - 1) === "data";
  // The bitmap can end inside its last cluster; the bytes of that cluster past the end are not data of the bitmap.
  const beyond = isLastStored ? map.count * map.clusterSize - bytes : 0;
  return bytes - (stored * map.clusterSize - beyond);
}

function* dumpBits(map: ClusterMap, sha256: (() => Sha256) | undefined, options: DumpOptions): Plan<void, string> {
  const hasher = sha256 === undefined ? undefined : new BitsHasher(sha256(), map.bitCount);
  const totals = { bitCount: 0, last: -1, first: true };
  yield* put('"dirty": [');
  yield* mapPut(
    extentsPlan(map, { onProgress: options.onProgress, ...(hasher === undefined ? {} : { also: hasher }) }),
    (batch) => rangesJson(batch, totals),
  );
  const bytes = dirtyBytes(totals.bitCount, map.shape, { last: totals.last === map.bitCount - 1 && map.bitCount > 0 });
  const digest = hasher === undefined ? "" : `, "bits_sha256": "${hasher.finish()}"`;
  yield* put(`${totals.first ? "" : "\n      "}], "dirty_bytes": "${bytes}"${digest} }`);
}

function rangesJson(batch: ExtentBatch, totals: { bitCount: number; last: number; first: boolean }): string {
  const pieces: string[] = [];
  const { runs } = batch;
  for (let at = 0; at < runs.length; at += 2) {
    totals.bitCount += wordAt(runs, at + 1) - wordAt(runs, at) + 1;
  }
  totals.last = runs.at(-1) ?? totals.last;
  for (const { offset, length } of exactRanges(batch)) {
    pieces.push(`${totals.first ? "" : ","}\n      ["${offset}", "${length}"]`);
    totals.first = false;
  }
  return pieces.join("");
}

function exactRanges(
  batch: ExtentBatch,
): Iterable<{ readonly offset: number | bigint; readonly length: number | bigint }> {
  return batch.shape.size <= BigInt(Number.MAX_SAFE_INTEGER) ? batch.ranges() : batch.rangesBig();
}
