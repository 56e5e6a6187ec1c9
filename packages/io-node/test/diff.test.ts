import { appendFileSync, readFileSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Bitmap } from "@qdb/format";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { errorOf } from "../../format/test/contract/errors.ts";
import { diffImages, lookAtDisk } from "../src/index.ts";
import { twoDisks, twoImages, writeImages } from "./support/disks.ts";
import { pattern } from "./support/images.ts";
import { commandWith, loopDevice } from "./support/root.ts";
import { temporaryDirectory } from "./support/temp.ts";

/** Dirty is every granule of the current disk that the base does not have just so. */
function slowDiff(base: Uint8Array, current: Uint8Array, granularity: number): Bitmap {
  const bitmap = Bitmap.clean({ size: BigInt(current.length), granularity });
  for (let bit = 0; bit < bitmap.bitCount; bit++) {
    const [start, end] = [bit * granularity, (bit + 1) * granularity];
    const same = Buffer.compare(base.subarray(start, end), current.subarray(start, end)) === 0;
    if (!same) bitmap.markBits({ first: bit, end: bit + 1 });
  }
  return bitmap;
}

describe("what differs", () => {
  test("is what a slow comparison finds, at every size and granularity", async () => {
    const directory = temporaryDirectory();
    const granularity = fc.constantFrom(512, 1024, 4096, 65536);
    await fc.assert(
      fc.asyncProperty(twoDisks(6000), granularity, async ({ base, current }, granularity) => {
        const paths = writeImages(directory, base, current);
        const found = await diffImages(paths.base, paths.current, { granularity });
        expect(found.equals(slowDiff(base, current, granularity))).toBe(true);
      }),
      { numRuns: 400 },
    );
  });

  test("the same over many windows, with granules smaller and larger than one", async () => {
    const directory = temporaryDirectory();
    const granularity = fc.constantFrom(512, 65536, 131072, 262144, 524288, 2 ** 20, 2 ** 31);
    await fc.assert(
      fc.asyncProperty(twoDisks(2_500_000), granularity, async ({ base, current }, granularity) => {
        const paths = writeImages(directory, base, current);
        const found = await diffImages(paths.base, paths.current, { granularity });
        expect(found.equals(slowDiff(base, current, granularity))).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  test("is what cmp -l finds, byte by byte", async () => {
    const base = pattern(3 * 2 ** 20 + 777);
    const current = base.slice();
    for (let at = 5; at < current.length; at += 99_991) current[at] = 0;
    const paths = twoImages(base, current);
    const listed = commandWith([1], "cmp", "-l", paths.base, paths.current);
    const offsets = listed.split("\n").map((line) => Number(line.trim().split(/ +/)[0]) - 1);
    expect(offsets).toHaveLength(32);
    for (const granularity of [512, 4096, 2 ** 20]) {
      const wanted = Bitmap.clean({ size: BigInt(current.length), granularity });
      for (const offset of offsets) wanted.mark({ offset, length: 1 });
      const found = await diffImages(paths.base, paths.current, { granularity });
      expect(found.equals(wanted)).toBe(true);
    }
  });

  test("is found on both sides of a granule's end, whose granules take many windows", async () => {
    const base = pattern(5 * 2 ** 20);
    for (const granularity of [262144, 524288, 2 ** 20]) {
      const current = base.slice();
      // Each of the granules 1, 2 and 3 differs in one byte only: its last, its first, its last.
      for (const at of [2 * granularity - 1, 2 * granularity, 4 * granularity - 1]) current[at] = 0;
      const paths = twoImages(base, current);
      const found = await diffImages(paths.base, paths.current, { granularity });
      expect([found.count(), found.nextDirty(), found.nextClean(1)]).toEqual([3, 1, 4]);
    }
  });

  test.each([
    ["nothing, between equal images", 2048, 2048, []],
    ["what is new, from the granule on that holds the old end", 1536, 4096, [1, 2, 3]],
    ["what is new, where the old end is a granule's end", 2048, 4096, [2, 3]],
    ["the granule in which the shorter image ends", 4096, 1536, [1]],
    ["nothing, where the shorter image ends at a granule's end", 4096, 2048, []],
    ["everything, where there was nothing", 0, 2049, [0, 1, 2]],
    ["nothing, where there is nothing now", 4096, 0, []],
  ])("%s", async (_name, oldSize, newSize, dirty) => {
    const { base, current } = twoImages(pattern(oldSize), pattern(newSize));
    const bitmap = await diffImages(base, current, { granularity: 1024 });
    expect(bitmap.size).toBe(BigInt(newSize));
    expect(Array.from({ length: bitmap.bitCount }, (_, bit) => bit).filter((bit) => bitmap.isDirty(bit))).toEqual(
      dirty,
    );
  });

  test("is found on block devices, whose size no stat tells", async () => {
    const base = pattern(2 ** 20);
    const current = base.slice();
    current.fill(0, 700_000, 700_001);
    const paths = twoImages(base, current);
    const bitmap = await diffImages(loopDevice(paths.base), loopDevice(paths.current), { granularity: 65536 });
    expect(bitmap.size).toBe(2n ** 20n);
    expect([bitmap.count(), bitmap.nextDirty()]).toEqual([1, 10]);
  });
});

describe("an image that changes meanwhile", () => {
  /** Large enough for the comparison to pause in the middle; holes take no space. */
  function largeImages() {
    const paths = twoImages(new Uint8Array(1), new Uint8Array(1));
    truncateSync(paths.base, 2 ** 29);
    truncateSync(paths.current, 2 ** 29);
    return paths;
  }
  const once = (call: () => void) => {
    let isDone = false;
    return () => {
      if (!isDone) call();
      isDone = true;
    };
  };

  test("current: between its stamp and its opening", async () => {
    const { base, current } = twoImages(pattern(4096), pattern(4096));
    const stamp = lookAtDisk(current).diskStamp;
    expect((await diffImages(base, current, { granularity: 512, stamp })).dirtyBytes()).toBe(0n);
    utimesSync(current, 1, 1);
    const error = await errorOf(() => diffImages(base, current, { granularity: 512, stamp }));
    expect(error.code).toBe("SOURCE_CHANGED");
  });

  test.each(["base", "current"] as const)("%s: written, touched, longer, shorter", async (which) => {
    const changes: ((path: string) => void)[] = [
      (path) => writeFileSync(path, "new", { flag: "r+" }),
      (path) => utimesSync(path, new Date(), new Date(1)),
      (path) => appendFileSync(path, "more"),
      (path) => truncateSync(path, 4096),
    ];
    for (const change of changes) {
      const paths = largeImages();
      const onProgress = once(() => change(paths[which]));
      const error = await errorOf(() => diffImages(paths.base, paths.current, { granularity: 65536, onProgress }));
      expect(error.code).toBe("SOURCE_CHANGED");
      expect(error.message).toContain(paths[which]);
    }
  });

  test("the call can be aborted in the middle, by a timer too; progress is told", async () => {
    const { base, current } = largeImages();
    const told: number[] = [];
    const onProgress = (done: number, total: number) => {
      told.push(done);
      expect(total).toBe(2 ** 29);
    };
    const signal = AbortSignal.timeout(1);
    const error = await errorOf(() => diffImages(base, current, { granularity: 65536, signal, onProgress }));
    expect(error.code).toBe("ABORTED");
    expect(told.at(-1)).toBeLessThan(2 ** 29);
    await diffImages(base, current, { granularity: 65536, onProgress });
    expect(told.at(-1)).toBe(2 ** 29);
    expect(
      (await errorOf(() => diffImages(base, current, { granularity: 512, signal: AbortSignal.abort() }))).code,
    ).toBe("ABORTED");
  });
});

test("what cannot be compared is told, and nothing stays open", async () => {
  const { base, current } = twoImages(pattern(10), pattern(10));
  const codes = async (...args: Parameters<typeof diffImages>) => (await errorOf(() => diffImages(...args))).code;
  expect(await codes(join(base, "no"), current, { granularity: 512 })).toBe("NOT_FOUND");
  expect(await codes(base, `${current}.no`, { granularity: 512 })).toBe("NOT_FOUND");
  expect(await codes(base, temporaryDirectory(), { granularity: 512 })).toBe("USAGE");
  expect(await codes(base, current, { granularity: 1000 })).toBe("USAGE");
  truncateSync(current, 2 ** 42);
  expect(await codes(base, current, { granularity: 512 })).toBe("LIMIT");
  expect(readFileSync(base)).toHaveLength(10);
});
