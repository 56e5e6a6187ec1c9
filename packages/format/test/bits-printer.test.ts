import { expect, test } from "vitest";
import { BitsPrinter } from "../src/extents/bits-printer.ts";

/** What is pushed: words from a bit on, or a range of dirty or clean bits. */
type Push = { words: number[]; base: number } | { dirty: [number, number] } | { clean: number };

function printed(pushes: readonly Push[], bitCount: number): Uint8Array {
  const pieces: Uint8Array[] = [];
  const printer = new BitsPrinter((bytes) => void pieces.push(bytes.slice()));
  for (const push of pushes) {
    if ("words" in push) printer.pushWords(Uint32Array.from(push.words), push.base);
    else if ("dirty" in push) printer.pushDirty({ first: push.dirty[0], end: push.dirty[1] });
    else printer.pushClean();
  }
  printer.finish(bitCount);
  return new Uint8Array(Buffer.concat(pieces));
}

test.each<[string, Push[], number, number[]]>([
  ["no bits", [], 0, []],
  ["one dirty bit", [{ dirty: [0, 1] }], 1, [0x01]],
  ["one clean bit", [{ clean: 0 }], 1, [0x00]],
  ["nine dirty bits", [{ dirty: [0, 9] }], 9, [0xff, 0x01]],
  ["sixteen dirty bits", [{ dirty: [0, 16] }], 16, [0xff, 0xff]],
  ["words, the least significant byte first", [{ words: [0x04030201], base: 0 }], 32, [1, 2, 3, 4]],
  ["words that go on after the last bit", [{ words: [0x00000201, 0], base: 0 }], 10, [1, 2]],
  [
    "clean bits before, between and at the end",
    [{ clean: 0 }, { words: [0xff], base: 32 }, { clean: 64 }, { dirty: [96, 104] }, { clean: 104 }],
    121,
    [0, 0, 0, 0, 0xff, 0, 0, 0, 0, 0, 0, 0, 0xff, 0, 0, 0],
  ],
])("%s", (_, pushes, bitCount, bytes) => {
  expect([...printed(pushes, bitCount)]).toEqual(bytes);
});

test.each([0, 1, 5])("pieces end anywhere in words and ranges, %i bytes after a MiB", (extra) => {
  const MIB = 2 ** 20;
  const words = new Uint32Array((3 * MIB) / 4).fill(0x11111111);
  const first = 8 * (MIB - 8);
  const pieces: Uint8Array[] = [];
  const printer = new BitsPrinter((bytes) => void pieces.push(bytes.slice()));
  printer.pushDirty({ first: 0, end: first });
  printer.pushWords(words, first);
  const bitCount = first + words.length * 32 + 8 * (MIB + extra);
  printer.pushDirty({ first: first + words.length * 32, end: bitCount });
  printer.finish(bitCount);
  const expected = Buffer.alloc(bitCount / 8, 0xff).fill(0x11, first / 8, first / 8 + words.byteLength);
  expect(Buffer.concat(pieces).equals(expected)).toBe(true);
  expect(Math.max(...pieces.map(({ length }) => length))).toBe(MIB);
});

test("more bits than there are", () => {
  const printer = new BitsPrinter(() => undefined);
  printer.pushDirty({ first: 0, end: 8 * 2 ** 20 + 8 });
  expect(() => printer.finish(8)).toThrow("past the last bit");
});
