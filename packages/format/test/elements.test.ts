import { Bitmap, bytesSource } from "@qdb/format";
import { BitmapEntry, imageBytes, readIndex, runSync, writeImage } from "@qdb/format/container";
import { describe, expect, test } from "vitest";
import { coarsen } from "../src/bitmap/granularity.ts";
import { andNotWords, andWords, countBits, nextBit, orWords, xorWords } from "../src/bitmap/words.ts";
import { byteAt, itemAt, numberAt, wordAt } from "../src/elements.ts";

const ID = new Uint8Array(16);
/** A file without bitmaps. */
const EMPTY = imageBytes(
  writeImage({ form: "full", clusterBits: 12, fileId: ID, writerId: ID, allOnes: false, extensions: [], bitmaps: [] }),
);

describe("an element that is not there is never zero", () => {
  test("each kind of list throws past its end, before its start and between its elements", () => {
    for (const index of [2, -1, 0.5, Number.NaN]) {
      expect(() => itemAt(["a", "b"], index)).toThrow(RangeError);
      expect(() => byteAt(Uint8Array.of(1, 2), index)).toThrow(RangeError);
      expect(() => wordAt(Uint32Array.of(1, 2), index)).toThrow(RangeError);
      expect(() => numberAt(Float64Array.of(1, 2), index)).toThrow(RangeError);
    }
    expect([
      byteAt(Uint8Array.of(7, 0), 1),
      wordAt(Uint32Array.of(7, 0), 1),
      numberAt(Float64Array.of(7, 0), 1),
    ]).toEqual([0, 0, 0]);
    expect(itemAt([undefined], 0)).toBeUndefined();
  });

  // The source has one word, the target two: the missing word must neither clear the second one (AND) nor leave it as it is.
  test.each([
    ["OR", orWords],
    ["AND", andWords],
    ["AND NOT", andNotWords],
    ["XOR", xorWords],
  ])("%s refuses a source that is shorter than its target", (_, kernel) => {
    expect(() => kernel(Uint32Array.of(1, 2), Uint32Array.of(1))).toThrow(RangeError);
  });

  test("an entry of a table that ends inside it has no flags, no length and no name", () => {
    const entry = new BitmapEntry(0, new Uint8Array(20), 0, 0);
    expect(() => entry.has("in_use")).toThrow(RangeError);
    expect(() => entry.length).toThrow(RangeError);
    expect(() => entry.compareName(Uint8Array.of(97))).toThrow(RangeError);
  });

  test("the problems of an entry that a table does not have are not none", () => {
    const index = runSync(readIndex(EMPTY.length), bytesSource(EMPTY));
    expect(() => index.problems.has(0)).toThrow(RangeError);
    expect(() => index.problems.isBeyondRepair(0)).toThrow(RangeError);
  });

  test("a search throws where the words end before the bits", () => {
    expect(() => nextBit(Uint32Array.of(0), 0, 64, true)).toThrow(RangeError);
  });
});

test("an odd number of words is coarsened as if a word of clean bits followed", () => {
  expect(coarsen(Uint32Array.of(0, 0, 0x80000001), 1, 2)).toEqual(Uint32Array.of(0, 0x8001));
  expect(countBits(coarsen(Uint32Array.of(0xffffffff), 5, 1))).toBe(1);
});

test("a search that begins before the first bit begins at it", () => {
  const bitmap = Bitmap.clean({ size: 100n * 512n, granularity: 512 });
  expect(bitmap.nextClean(-5)).toBe(0);
  bitmap.markBits({ first: 3, end: 4 });
  expect(bitmap.nextDirty(-40)).toBe(3);
});
