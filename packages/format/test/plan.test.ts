import {
  type AnySource,
  type ByteSource,
  bytesSource,
  countAll,
  dumpQdb,
  isQdbError,
  QdbError,
  QdbFile,
  readBitmap,
} from "@qdb/format";
import {
  bitmapPlan,
  checkPlan,
  dumpPlan,
  extentsPlan,
  type FileContents,
  FLAG,
  imageBytes,
  mapPut,
  type Plan,
  put,
  type RunOptions,
  read,
  readIndex,
  readMap,
  run,
  runSync,
  stream,
  streamSync,
  writeImage,
} from "@qdb/format/container";
import { describe, expect, test } from "vitest";
import { file as handFile } from "./hand.ts";
import { fileContents } from "./support/contents.ts";
import { expectCode, rejection } from "./support/errors.ts";
import { fc, runs } from "./support/seed.ts";
import { bentSource, byHand, LateSource } from "./support/sources.ts";

const BYTES = Uint8Array.from({ length: 64 }, (_, at) => at);

function bytesOf(contents: FileContents): Uint8Array {
  return imageBytes(writeImage(contents));
}

/** A plan that logs what happens to it. */
function* telling(log: string[], steps = 3): Plan<string, number> {
  try {
    for (let step = 0; step < steps; step++) {
      const [a, b] = yield* read([
        { offset: step, length: 2 },
        { offset: 40 + step, length: 1 },
      ]);
      log.push(`${a?.join()} ${b?.join()}`);
      yield* put(step);
    }
    return "done";
  } finally {
    log.push("finally");
  }
}

/** A plan without the values that it puts out. */
function dropPuts<T, O>(plan: Plan<T, O>): Plan<T> {
  return mapPut<T, O, never>(plan, () => undefined);
}

async function collect<T, O>(steps: AsyncGenerator<O, T>): Promise<{ puts: O[]; result: T }> {
  const puts: O[] = [];
  for (;;) {
    const step = await steps.next();
    if (step.done === true) return { puts, result: step.value };
    puts.push(step.value);
  }
}

function collectSync<T, O>(steps: Generator<O, T>): { puts: O[]; result: T } {
  const puts: O[] = [];
  for (;;) {
    const step = steps.next();
    if (step.done === true) return { puts, result: step.value };
    puts.push(step.value);
  }
}

describe("the drivers", () => {
  test("give a plan its bytes in order, hand on what it puts out, and return what it returns", async () => {
    const told = ["0,1 40", "1,2 41", "2,3 42", "finally"];
    const logs: string[][] = [[], [], []];
    const [a = [], b = [], c = []] = logs;
    const expected = { puts: [0, 1, 2], result: "done" };
    expect(collectSync(streamSync(telling(a), bytesSource(BYTES)))).toEqual(expected);
    expect(await collect(stream(telling(b), bytesSource(BYTES)))).toEqual(expected);
    const late = new LateSource(BYTES);
    expect(await collect(stream(telling(c), late))).toEqual(expected);
    expect(logs).toEqual([told, told, told]);
    expect(late.rounds.map((round) => round.length)).toEqual([2, 2, 2]);
    expect(runSync(dropPuts(telling([])), bytesSource(BYTES))).toBe("done");
    expect(await run(dropPuts(telling([])), late)).toBe("done");
  });

  test("all ranges of a round are asked for before the first is answered", async () => {
    const late = new LateSource(BYTES);
    const ranges = [0, 7, 3, 60].map((offset) => ({ offset, length: 4 }));
    const pieces = await run(read(ranges), late);
    expect(late.rounds).toEqual([ranges]);
    expect(pieces.map((piece) => piece[0])).toEqual([0, 7, 3, 60]);
  });

  test("nothing is read for no ranges, and for empty ones", async () => {
    const late = new LateSource(BYTES);
    expect(await run(read([]), late)).toEqual([]);
    const pieces = await run(
      read([
        { offset: 5, length: 0 },
        { offset: 9, length: 1 },
        { offset: 64, length: 0 },
      ]),
      late,
    );
    expect(pieces.map((piece) => [...piece])).toEqual([[], [9], []]);
    expect(late.rounds).toEqual([[{ offset: 9, length: 1 }]]);
    expect(byHand(read([{ offset: 5, length: 0 }]), BYTES)).toMatchObject({ rounds: [], result: [new Uint8Array(0)] });
  });

  test("real plans give the same under every driver and by hand, on any file", async () => {
    function* everything(size: number): Plan<unknown, unknown> {
      const index = yield* readIndex(size);
      const summary = yield* checkPlan(size);
      yield* dumpPlan(index, {}, {});
      const bits: unknown[] = [];
      for (const entry of index.table.entries) {
        if (index.problems.has(entry.index)) continue;
        const map = yield* readMap(index, entry);
        yield* mapPut(extentsPlan(map), (batch) => [...batch.runs]);
        bits.push((yield* bitmapPlan(map)).toBytes());
      }
      return { summary, bits };
    }
    await fc.assert(
      fc.asyncProperty(fileContents, async (contents) => {
        const bytes = bytesOf(contents);
        const { puts, result } = byHand(everything(bytes.length), bytes);
        expect(collectSync(streamSync(everything(bytes.length), bytesSource(bytes)))).toEqual({ puts, result });
        expect(await collect(stream(everything(bytes.length), bytesSource(bytes)))).toEqual({ puts, result });
        expect(await collect(stream(everything(bytes.length), new LateSource(bytes)))).toEqual({ puts, result });
      }),
      runs(25),
    );
  });
});

describe("a source that breaks its promise is SHORT_READ, never zeros", () => {
  const bent: [string, (length: number) => Uint8Array][] = [
    ["one byte too few", (length) => new Uint8Array(length - 1)],
    ["none", () => new Uint8Array(0)],
    ["one byte too many", (length) => new Uint8Array(length + 1)],
  ];
  test.each(bent)("%s", async (_, bend) => {
    const source = bentSource(BYTES, ({ length }) => bend(length));
    const plan = (): Plan<unknown> => read([{ offset: 3, length: 5 }]);
    const error = expectCode("SHORT_READ", () => runSync(plan(), source));
    expect(error.where.offset).toBe(3);
    expect((await rejection(() => run(plan(), source))).code).toBe("SHORT_READ");
    const late: ByteSource = { size: 64, read: async (_offset, length) => bend(length) };
    expect((await rejection(() => run(plan(), late))).code).toBe("SHORT_READ");
  });

  test("bytes in memory end where they end", () => {
    const source = bytesSource(BYTES);
    expect(source.readSync(60, 4)).toEqual(Uint8Array.of(60, 61, 62, 63));
    expect(source.readSync(64, 0)).toEqual(new Uint8Array(0));
    for (const [offset, length] of [
      [60, 5],
      [64, 1],
      [-1, 2],
      [0, -1],
      [Number.NaN, 1],
      [0, Number.NaN],
      [2 ** 53, 1],
    ] as const) {
      expectCode("SHORT_READ", () => source.readSync(offset, length));
    }
  });

  test("a file whose end is gone since it was opened gives no clean bits", () => {
    fc.assert(
      fc.property(
        fileContents.filter(({ bitmaps }) => bitmaps.length > 0),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (contents, part) => {
          const bytes = bytesOf(contents);
          const index = runSync(readIndex(bytes.length), bytesSource(bytes));
          const cut = Math.floor(bytes.length * part);
          const shorter = bytesSource(bytes.subarray(0, cut));
          for (const entry of index.table.entries) {
            if (index.problems.has(entry.index)) continue;
            const whole = runSync(bitmapPlan(runSync(readMap(index, entry), bytesSource(bytes))), bytesSource(bytes));
            try {
              const bits = runSync(bitmapPlan(runSync(readMap(index, entry), shorter)), shorter);
              expect(bits.equals(whole)).toBe(true);
            } catch (error) {
              expect(isQdbError(error, "SHORT_READ")).toBe(true);
            }
          }
        },
      ),
      runs(60),
    );
  });
});

describe("errors", () => {
  class Broken extends Error {}
  const failing = (times: number): AnySource & { readSync(offset: number, length: number): Uint8Array } => {
    let left = times;
    return {
      size: 64,
      readSync(offset, length) {
        if (left-- > 0) throw new QdbError("IO", "bad sector", { offset });
        return BYTES.subarray(offset, offset + length);
      },
    };
  };
  function* stubborn(log: string[]): Plan<number, string> {
    for (let attempt = 1; ; attempt++) {
      try {
        const [piece] = yield* read([{ offset: 8, length: 1 }]);
        yield* put(`got ${piece?.[0]}`);
        return attempt;
      } catch (error) {
        log.push(isQdbError(error) ? error.code : String(error));
        yield* put("again");
      }
    }
  }

  test("of a read are thrown into the plan, which may go on", async () => {
    const log: string[] = [];
    const expected = { puts: ["again", "again", "got 8"], result: 3 };
    expect(collectSync(streamSync(stubborn(log), failing(2)))).toEqual(expected);
    expect(await collect(stream(stubborn(log), failing(2)))).toEqual(expected);
    // Also through plans that map its values.
    const loud = (): Plan<number, string> => mapPut(stubborn(log), (word) => word.toUpperCase());
    expect(collectSync(streamSync(loud(), failing(1)))).toEqual({ puts: ["AGAIN", "GOT 8"], result: 2 });
    expect(runSync(dropPuts(stubborn(log)), failing(3))).toBe(4);
    expect(log).toEqual(new Array<string>(8).fill("IO"));
  });

  test("that the plan lets through come out as they are, and its finally blocks run", async () => {
    const error = new Broken("deep");
    const source: AnySource & { readSync(): Uint8Array } = {
      size: 64,
      readSync() {
        throw error;
      },
    };
    const log: string[] = [];
    expect(() => collectSync(streamSync(telling(log), source))).toThrow(error);
    await expect(collect(stream(telling(log), source))).rejects.toBe(error);
    await expect(
      collect(
        stream(
          mapPut(telling(log), (value) => value),
          source,
        ),
      ),
    ).rejects.toBe(error);
    expect(log).toEqual(["finally", "finally", "finally"]);
  });

  test("that the plan throws itself", async () => {
    function* bad(): Plan<void> {
      yield* read([{ offset: 0, length: 1 }]);
      throw new QdbError("LIMIT", "enough");
    }
    expectCode("LIMIT", () => runSync(bad(), bytesSource(BYTES)));
    expect((await rejection(() => run(bad(), new LateSource(BYTES)))).code).toBe("LIMIT");
  });
});

describe("a consumer that stops early", () => {
  const plans: [string, (log: string[]) => Plan<unknown, number>][] = [
    ["a plan", (log) => telling(log)],
    ["a plan inside mapPut", (log) => mapPut(telling(log), (value) => value + 10)],
    [
      "a plan inside two of them",
      (log) =>
        mapPut(
          mapPut(telling(log), (value) => value),
          (value) => value,
        ),
    ],
  ];
  test.each(plans)("runs the finally blocks of %s", async (_, plan) => {
    const log: string[] = [];
    for (const value of streamSync(plan(log), bytesSource(BYTES))) {
      expect(value % 10).toBe(0);
      break;
    }
    expect(log).toEqual(["0,1 40", "finally"]);
    for await (const value of stream(plan(log), new LateSource(BYTES))) {
      if (value % 10 === 1) break;
    }
    expect(log.slice(2)).toEqual(["0,1 40", "1,2 41", "finally"]);
  });

  test("reads no further", () => {
    const log: string[] = [];
    const steps = streamSync(telling(log), bytesSource(BYTES));
    steps.next();
    steps.return("x");
    expect(steps.next()).toEqual({ done: true, value: undefined });
    expect(log).toEqual(["0,1 40", "finally"]);
  });
});

describe("an AbortSignal", () => {
  test("that was aborted before: nothing is read", async () => {
    const late = new LateSource(BYTES);
    const options: RunOptions = { signal: AbortSignal.abort("no more") };
    const log: string[] = [];
    const error = await rejection(() => collect(stream(telling(log), late, options)));
    expect([error.code, error.cause]).toEqual(["ABORTED", "no more"]);
    expectCode("ABORTED", () => collectSync(streamSync(telling(log), bytesSource(BYTES), options)));
    expect(late.rounds).toEqual([]);
    expect(log).toEqual(["finally", "finally"]);
  });

  test("between two steps", async () => {
    for (const source of [new LateSource(BYTES), bytesSource(BYTES)]) {
      const log: string[] = [];
      const control = new AbortController();
      const seen: number[] = [];
      const error = await rejection(async () => {
        for await (const value of stream(telling(log), source, control)) {
          seen.push(value);
          if (value === 1) control.abort();
        }
      });
      expect([error.code, seen, log.at(-1)]).toEqual(["ABORTED", [0, 1], "finally"]);
      expect(log).toHaveLength(3);
    }
    const control = new AbortController();
    expectCode("ABORTED", () => {
      for (const value of streamSync(telling([]), bytesSource(BYTES), control)) if (value === 0) control.abort();
    });
  });

  test("from a timer, while a source that answers at once is read", async () => {
    const control = new AbortController();
    setTimeout(() => control.abort(), 5);
    function* endless(): Plan<void> {
      const end = performance.now() + 10_000;
      while (performance.now() < end) yield* read([{ offset: 0, length: 1 }]);
    }
    expect((await rejection(() => run(endless(), bytesSource(BYTES), control))).code).toBe("ABORTED");
  });

  test("reaches the source, whose own words for it become ABORTED", async () => {
    const control = new AbortController();
    const source: ByteSource = {
      size: 64,
      read: (_offset, _length, options) =>
        new Promise((_, reject) => {
          options?.signal?.addEventListener("abort", () => reject(options.signal?.reason));
        }),
    };
    setTimeout(() => control.abort(), 1);
    const log: string[] = [];
    const error = await rejection(() => collect(stream(telling(log), source, control)));
    expect([error.code, log]).toEqual(["ABORTED", ["finally"]]);
    expect(error.cause).toBeInstanceOf(DOMException);
  });

  test("ends the calls of an open file", async () => {
    const [contents] = fc.sample(
      fileContents.filter(({ bitmaps: [first] }) => first !== undefined && (first.flags & FLAG.in_use) === 0),
      { ...runs(1), numRuns: 1 },
    );
    if (contents === undefined) throw new Error("no sample");
    const bytes = bytesOf(contents);
    const signal = AbortSignal.abort();
    expect((await rejection(() => QdbFile.open(bytesSource(bytes), { signal }))).code).toBe("ABORTED");
    const file = await QdbFile.open(bytesSource(bytes));
    const [bitmap] = file.bitmaps;
    for (const call of [
      () => bitmap && readBitmap(bitmap, { signal }),
      () => bitmap?.count({ signal }),
      () => countAll(file, { signal }),
      () => collect(dumpQdb(file, { signal })),
    ]) {
      expect((await rejection(async () => call())).code).toBe("ABORTED");
    }
  });

  test("given to `open`, ends the calls of the file too", async () => {
    const bytes = handFile({ bitmaps: [{ name: "a", size: 512n, granularity: 512, clusters: ["zeros"] }] });
    const controller = new AbortController();
    const file = await QdbFile.open(bytesSource(bytes), { signal: controller.signal });
    expect((await file.bitmap("a").count()).bits).toBe(0);
    controller.abort();
    expect((await rejection(() => file.bitmap("a").count())).code).toBe("ABORTED");
  });
});

describe("the event loop gets its turn", () => {
  // Its promises are fulfilled when they are awaited, which is no turn of the event loop.
  const cached: ByteSource = {
    size: BYTES.length,
    read: async (offset, length) => BYTES.slice(offset, offset + length),
  };
  const steps: [string, AnySource, () => Plan<unknown, unknown>][] = [
    ["many reads of a source that answers at once", bytesSource(BYTES), () => read([{ offset: 0, length: 1 }])],
    ["many reads of an awaited source that has the bytes", cached, () => read([{ offset: 0, length: 1 }])],
    ["many values put out", bytesSource(BYTES), () => put(1)],
  ];
  test.each(steps)("between %s", async (_, source, step) => {
    let fired = false;
    setTimeout(() => {
      fired = true;
    }, 0);
    function* busy(): Plan<boolean, unknown> {
      const end = performance.now() + 200;
      while (!fired && performance.now() < end) yield* step();
      return fired;
    }
    expect((await collect(stream(busy(), source))).result).toBe(true);
  });
});
