// Bytes that a driver did not deliver, and elements that a list does not have, are errors: read as zeros they would be clean bits.
import { bytesSource, QdbError } from "@qdb/format";
import { type ClusterMap, type Plan, readMap, runSync } from "@qdb/format/container";
import { describe, expect, test } from "vitest";
import type { BitRange } from "../src/bitmap/shape.ts";
import { type Window, windows } from "../src/bits/cluster-windows.ts";
import { Counts } from "../src/bits/read-bits.ts";
import { Scratch } from "../src/bits/scratch.ts";
import { readClusters } from "../src/bits/stored-clusters.ts";
import { OwnedRanges } from "../src/maps/owned-ranges.ts";
import { L1Builder } from "../src/records/l1.ts";
import { file, rep } from "./hand.ts";
import { index, ZLIB } from "./reading.ts";

/** The map of a draft, whose clusters have no checksum, and its only window: three clusters of 512 bytes, the first two side by side. */
function draft(): { readonly map: ClusterMap; readonly window: Window } {
  const clusters = [rep(0xff, 512), rep(0xff, 512), "zeros" as const, rep(0xff, 512)];
  const bytes = file({ draft: true, bitmaps: [{ size: 4n * 4096n * 512n, granularity: 512, clusters }] });
  const opened = index(bytes);
  const [entry] = opened.table.entries;
  if (entry === undefined) throw new Error("no bitmap");
  const map = runSync(readMap(opened, entry, ZLIB), bytesSource(bytes));
  const [window, ...others] = windows(map);
  if (window === undefined || others.length > 0) throw new Error("not one window");
  return { map, window };
}

/** Counts the dirty bits that a window shows for some pieces. */
function dirtyIn(window: Window, pieces: readonly Uint8Array[]): number {
  const range: BitRange = { first: 0, end: 4 * 4096 };
  const counts = new Counts(1);
  window.visit(pieces, counts.visitor(0, range));
  return counts.total({ size: 4n * 4096n * 512n, granularity: 512 }, 0).bits;
}

/** Answers the first read of a plan with an error and the second one with pieces; gives what the plan returns. */
function answered<T>(plan: Plan<T>, pieces: readonly Uint8Array[]): T {
  plan.next([]);
  plan.throw(new QdbError("IO", "a bad sector"));
  const step = plan.next(pieces);
  if (step.done !== true) throw new Error("the plan reads once more");
  return step.value;
}

describe("data clusters", () => {
  const { map, window } = draft();
  const lengths = window.ranges.map(({ length }) => length);
  const whole = lengths.map((length) => rep(0xff, length));

  test("that are all there are shown whole", () => {
    expect(lengths.reduce((sum, length) => sum + length, 0)).toBe(3 * 512);
    expect(dirtyIn(window, whole)).toBe(3 * 4096);
  });

  test("of a missing piece are an error", () => {
    expect(() => dirtyIn(window, [])).toThrow("missing");
    expect(() => dirtyIn(window, whole.slice(0, -1))).toThrow("missing");
  });

  test.each([0, 1, 256, 511])("of a piece of only %i bytes are an error", (length) => {
    expect(() =>
      dirtyIn(
        window,
        whole.map((piece) => piece.subarray(0, length)),
      ),
    ).toThrow(`answered with ${length} `);
  });

  test("read one by one are an error when a piece is missing or short", () => {
    const alone = [0, 1, 3].map(() => rep(0xff, 512));
    expect(Array.from(answered(readClusters(map, window, new Scratch()), alone), ([cluster]) => cluster)).toEqual([
      0, 1, 3,
    ]);
    expect(() => Array.from(answered(readClusters(map, window, new Scratch()), alone.slice(0, 2)))).toThrow("missing");
    const short = alone.map((piece) => piece.subarray(0, 100));
    expect(() => Array.from(answered(readClusters(map, window, new Scratch()), short))).toThrow("answered with 100 ");
  });

  test("behind the last one are an error", () => {
    for (const cluster of [4, -1, Number.NaN]) {
      expect(() => map.kind(cluster)).toThrow(RangeError);
      expect(() => map.offset(cluster)).toThrow(RangeError);
    }
  });
});

test("counts of a bitmap that is not in the list are an error", () => {
  const counts = new Counts(2);
  const shape = { size: 512n, granularity: 512 };
  expect(() => counts.total(shape, 2)).toThrow(RangeError);
  expect(() => counts.visitor(2, { first: 0, end: 1 }).pushDirty({ first: 0, end: 1 })).toThrow(RangeError);
});

test("the place of a range that is not in the list is an error", () => {
  const ranges = new OwnedRanges(Float64Array.of(512), Float64Array.of(512), 512);
  expect([ranges.offset(0), ranges.length(0), ranges.isShared(0)]).toEqual([512, 512, false]);
  expect(() => ranges.offset(1)).toThrow(RangeError);
  expect(() => ranges.length(1)).toThrow(RangeError);
  expect(() => ranges.isShared(1)).toThrow(RangeError);
});

test("an L1 entry that is not in the area cannot be set: its bytes are those of checksums", () => {
  const builder = new L1Builder(1, "full");
  builder.setData(0, 4096, 7);
  const before = builder.bytes.slice();
  for (const index of [1, -1]) {
    expect(() => builder.setZeros(index)).toThrow(RangeError);
    expect(() => builder.setOnes(index)).toThrow(RangeError);
    expect(() => builder.setData(index, 4096, 7)).toThrow(RangeError);
  }
  expect(builder.bytes).toEqual(before);
});
