// Long images are compared by several threads: the same bits as by one, whatever becomes of the others, or an error.
import { closeSync, openSync, readFileSync, truncateSync, utimesSync, writeSync } from "node:fs";
import { availableParallelism } from "node:os";
import { Worker, type WorkerOptions } from "node:worker_threads";
import { Bitmap } from "@qdb/format";
import type { LongCallOptions } from "@qdb/format/container";
import { LongCall } from "@qdb/format/internal";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { errorOf } from "../../format/test/contract/errors.ts";
import { compareImages } from "../src/disk/compare-images.ts";
import type { CompareOrder, CompareReport, StartThread } from "../src/disk/compare-thread.ts";
import { WatchedImage } from "../src/disk/watched-image.ts";
import { bundleOf } from "./support/child.ts";
import { twoImages } from "./support/disks.ts";

const MIB = 2 ** 20;
/** Length of the images: 33 parts, of which the last is short. Holes take no space. */
const SIZE = 256 * MIB + 12_345;
/** Offsets at which one byte differs: at the ends of the images and of parts, in parts in a row, and here and there. */
const OFFSETS = [0, 8 * MIB - 1, 8 * MIB, 16 * MIB, 24 * MIB + 70_000, 100 * MIB, 200 * MIB - 1, 256 * MIB, SIZE - 1];

let paths: { readonly base: string; readonly current: string };
let old: WatchedImage;
let now: WatchedImage;
beforeEach(() => {
  paths = twoImages(new Uint8Array(1), new Uint8Array(1));
  for (const path of [paths.base, paths.current]) truncateSync(path, SIZE);
  const fd = openSync(paths.current, "r+");
  for (const offset of OFFSETS) writeSync(fd, "x", offset);
  closeSync(fd);
  for (const path of [paths.base, paths.current]) utimesSync(path, 1000, 1000);
  old = new WatchedImage(paths.base);
  now = new WatchedImage(paths.current);
  onTestFinished(() => {
    old.handle.close();
    now.handle.close();
  });
});

const workerFile = (): string => bundleOf("../../src/disk/compare-worker.ts");

/** What a comparison had of a thread. */
interface Seen {
  readonly workers: Worker[];
  readonly reports: CompareReport[];
}

/** Starts threads by `make`, and keeps what they say. */
function watched(make: (options: WorkerOptions) => Worker): Seen & { readonly start: StartThread } {
  const seen: Seen = { workers: [], reports: [] };
  const start: StartThread = (options) => {
    const worker = make(options);
    worker.on("message", (report: CompareReport) => seen.reports.push(report));
    seen.workers.push(worker);
    return worker;
  };
  return { ...seen, start };
}

/** A call whose thread does not go on before `isReady`, so that the other threads have their share. */
class PatientCall extends LongCall {
  readonly #isReady: () => boolean;

  constructor(isReady: () => boolean, options: LongCallOptions = {}) {
    super(options);
    this.#isReady = isReady;
  }

  override async step(done: number, total: number): Promise<void> {
    for (let tries = 0; !this.#isReady() && tries < 2000; tries++) await new Promise((next) => setTimeout(next, 5));
    await super.step(done, total);
  }
}

async function compare(start: StartThread, call = new LongCall({}), granularity = 65536): Promise<Bitmap> {
  const bitmap = Bitmap.clean({ size: now.size, granularity });
  await compareImages(old, now, bitmap, call, start);
  return bitmap;
}

function wanted(granularity = 65536): Bitmap {
  const bitmap = Bitmap.clean({ size: BigInt(SIZE), granularity });
  for (const offset of OFFSETS) bitmap.mark({ offset, length: 1 });
  return bitmap;
}

/** A thread that runs a text. */
const running =
  (text: string): StartThread =>
  (options) =>
    new Worker(text, { ...options, eval: true });

const BEGINS = `const { parentPort, workerData } = require("node:worker_threads"); parentPort.postMessage({ kind: "begins" });`;
const TAKES = `${BEGINS} Atomics.add(new Int32Array(workerData.taken), 0, 1);`;

test("a machine with one processor starts no thread, and tests none here", () => {
  expect(availableParallelism()).toBeGreaterThan(1);
});

describe("the same bits as one thread finds", () => {
  test.each([512, 65536, 2 ** 25, 2 ** 31])("by two, granules of %d bytes", async (granularity) => {
    const { start, reports, workers } = watched((options) => new Worker(workerFile(), options));
    // Where one part of 2 GiB is all of the images, there is no thread.
    const isShared = granularity < SIZE;
    const hasBegun = () => !isShared || reports.length > 1;
    const told: number[] = [];
    const onProgress = (done: number, total: number) => {
      told.push(done);
      expect(total).toBe(SIZE);
    };
    const found = await compare(start, new PatientCall(hasBegun, { onProgress }), granularity);
    expect(found.equals(wanted(granularity))).toBe(true);
    expect(reports.slice(0, 2).map(({ kind }) => kind)).toEqual(isShared ? ["begins", "part"] : []);
    expect(told.at(-1)).toBe(SIZE);
    expect(told).toEqual([...told].sort((a, b) => a - b));
    for (const worker of workers) expect(worker.threadId).toBe(-1);
  });

  test.each<[string, StartThread]>([
    [
      "where a thread cannot be started",
      () => {
        throw new TypeError("Invalid URL");
      },
    ],
    ["where its module is missing", (options) => new Worker("/none/compare-worker.js", options)],
    ["where it ends before it begins", running("process.exit(0)")],
    ["where it fails before it begins", running("throw new Error('no')")],
    ["where it never begins", running("setInterval(() => undefined, 1000)")],
    [
      "where threads share no file descriptors",
      (options) => {
        const order = options.workerData as CompareOrder;
        const fd = openSync(paths.base, "r");
        onTestFinished(() => closeSync(fd));
        return new Worker(workerFile(), {
          ...options,
          workerData: { ...order, now: { ...order.now, descriptor: fd } },
        });
      },
    ],
  ])("%s", async (_, start) => {
    const seen = watched(start);
    let isOver = false;
    setTimeout(() => {
      isOver = true;
    }, 200);
    expect((await compare(seen.start, new PatientCall(() => isOver))).equals(wanted())).toBe(true);
    expect(seen.reports).toEqual([]);
    for (const worker of seen.workers) expect(worker.threadId).toBe(-1);
  });
});

describe("an error, never fewer bits", () => {
  test.each([
    ["ends with a part that it has taken", `${TAKES} process.exit(0)`, "IO", /has not reported all/],
    // On a busy machine the end of a thread can be seen before its error.
    ["is killed by an error", `${TAKES} throw new Error("out of order")`, "IO", /out of order|has not reported all/],
    [
      "ends, with a part reported",
      `${TAKES} ${TAKES.slice(TAKES.indexOf(" Atomics"))} parentPort.postMessage({ kind: "part", part: 0, differing: new Float64Array(0) })`,
      "IO",
      /has not reported all/,
    ],
    [
      "finds an image changed",
      `${TAKES} parentPort.postMessage({ kind: "failed", code: "SOURCE_CHANGED", message: "was changed" })`,
      "SOURCE_CHANGED",
      /^was changed$/,
    ],
  ])("a thread that %s", async (_, text, code, message) => {
    const { start, reports, workers } = watched(running(text));
    const error = await errorOf(() => compare(start, new PatientCall(() => reports.length > 0)));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    for (const worker of workers) expect(worker.threadId).toBe(-1);
  });

  test("a thread that cannot read", async () => {
    const { start } = watched((options) => {
      const order = options.workerData as CompareOrder;
      const descriptor = openSync(paths.current, "a");
      onTestFinished(() => closeSync(descriptor));
      return new Worker(workerFile(), { ...options, workerData: { ...order, now: { ...order.now, descriptor } } });
    });
    let isOver = false;
    setTimeout(() => {
      isOver = true;
    }, 1000);
    const error = await errorOf(() => compare(start, new PatientCall(() => isOver)));
    expect(error.code).toBe("IO");
    expect(error.message).toBe(`cannot read ${JSON.stringify(paths.current)}: EBADF: bad file descriptor`);
  });

  test("a call that is aborted while it waits for a thread", async () => {
    const aborter = new AbortController();
    const { start, workers } = watched(running(`${TAKES} setInterval(() => undefined, 1000)`));
    setTimeout(() => aborter.abort(), 300);
    const error = await errorOf(() => compare(start, new LongCall({ signal: aborter.signal })));
    expect(error.code).toBe("ABORTED");
    for (const worker of workers) expect(worker.threadId).toBe(-1);
    expect(readFileSync(paths.base).length).toBe(SIZE);
  });
});
