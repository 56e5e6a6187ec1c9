import { crc32 as zlibCrc32 } from "node:zlib";
import { crc32 } from "@qdb/format/container";
import { expect, test } from "vitest";
import { fc, runs } from "./support/seed.ts";

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

test("the check value of the spec: 123456789 gives CBF43926", () => {
  expect(crc32(ascii("123456789"))).toBe(0xcbf43926);
});

test.each<[string, Uint8Array, number]>([
  ["nothing", new Uint8Array(0), 0],
  ["a zero byte", new Uint8Array(1), 0xd202ef8d],
  ["four bytes of ones", new Uint8Array(4).fill(0xff), 0xffffffff],
  ["32 zero bytes", new Uint8Array(32), 0x190a55ad],
  ["32 bytes of ones", new Uint8Array(32).fill(0xff), 0xff6cab0b],
])("values from elsewhere: %s", (_, bytes, expected) => {
  expect(crc32(bytes)).toBe(expected);
});

test("the same as zlib's on random bytes of every length, from any place of a buffer", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 0, max: 20 }), (bytes, skip) => {
      const part = bytes.subarray(Math.min(skip, bytes.length));
      expect(crc32(part)).toBe(zlibCrc32(part));
    }),
    runs(500),
  );
});

test("continues where it was left, as zlib's does", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.uint8Array({ maxLength: 100 }), (head, tail) => {
      expect(crc32(tail, crc32(head))).toBe(zlibCrc32(new Uint8Array([...head, ...tail])));
      expect(crc32(tail, zlibCrc32(head))).toBe(zlibCrc32(tail, zlibCrc32(head)));
    }),
    runs(300),
  );
});

test("a megabyte", () => {
  const bytes = Uint8Array.from({ length: 2 ** 20 + 5 }, (_, at) => (at * 2654435761) >>> 24);
  expect(crc32(bytes)).toBe(zlibCrc32(bytes));
});
