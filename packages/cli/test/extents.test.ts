import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { readDiskMap } from "../src/disk-maps/read-disk-map.ts";

interface Item {
  offset: number;
  length: number;
  dirty: boolean;
}

const UNIT = 512;
const items = fc.array(fc.record({ offset: fc.nat(40_000), length: fc.nat(12_000), dirty: fc.boolean() }), {
  maxLength: 12,
});

/** The spelling of nbdinfo, and another one of the same meaning: they take different ways through the reader. */
function spellings(list: readonly Item[]): string[] {
  const nbdinfo = list.map(
    ({ offset, length, dirty }) =>
      `{ "offset": ${offset}, "length": ${length}, "type": ${Number(dirty)}, "description": "${dirty ? "dirty" : "clean"}"}`,
  );
  return [`[\n${nbdinfo.join(",\n")}\n]\n`, JSON.stringify(list)];
}

function pieces(text: string, length: number): string[] {
  return Array.from({ length: Math.ceil(text.length / length) }, (_, index) =>
    text.slice(index * length, (index + 1) * length),
  );
}

describe("against a model of bytes", () => {
  property.prop([items, fc.integer({ min: 1, max: 90 }), fc.nat(3)])(
    "clean is what is called clean and never dirty",
    async (list, length, steps) => {
      const size = 60_000;
      const granularity = UNIT << steps;
      const isClean = new Uint8Array(size);
      for (const { offset, length: bytes, dirty } of list) if (!dirty) isClean.fill(1, offset, offset + bytes);
      for (const { offset, length: bytes, dirty } of list) if (dirty) isClean.fill(0, offset, offset + bytes);
      for (const text of spellings(list)) {
        const bitmap = (await readDiskMap(pieces(text, length), undefined)).toBitmap(BigInt(size), granularity);
        for (let bit = 0; bit < bitmap.bitCount; bit++) {
          const bytes = isClean.subarray(bit * granularity, (bit + 1) * granularity);
          // Never fewer dirty bits: a clean granule is clean to its last byte.
          if (!bitmap.isDirty(bit)) expect(bytes.every((byte) => byte === 1)).toBe(true);
          // And no more, but where clean extents that do not follow each other share a granule.
          else if (list.filter(({ dirty }) => !dirty).length < 2) expect(bytes.includes(0)).toBe(true);
        }
      }
    },
  );
});

describe("the granularity that a map asks for", () => {
  test.each<[what: string, list: Item[], size: number, granularity: number]>([
    ["64 KiB where all edges allow it", [{ offset: 0, length: 2 ** 20, dirty: true }], 2 ** 20, 65536],
    ["not more for coarser edges", [{ offset: 0, length: 2 ** 30, dirty: true }], 2 ** 30, 65536],
    [
      "finer where an edge is",
      [
        { offset: 0, length: 4096, dirty: true },
        { offset: 4096, length: 61440, dirty: false },
      ],
      65536,
      4096,
    ],
    ["the disk's end is no edge", [{ offset: 0, length: 65536 + 512, dirty: true }], 65536 + 512, 65536],
    [
      "512 is the finest",
      [
        { offset: 0, length: 100, dirty: true },
        { offset: 100, length: 412, dirty: false },
      ],
      512,
      512,
    ],
  ])("%s", async (_, list, size, granularity) => {
    const [text = ""] = spellings(list);
    expect((await readDiskMap([text], undefined)).granularityFor(BigInt(size))).toBe(granularity);
  });

  test("coarser where 2^32 bits would not do", async () => {
    const list = await readDiskMap(['[{"offset":512,"length":512,"dirty":true}]'], undefined);
    expect(list.granularityFor(2n ** 41n)).toBe(512);
    expect(list.granularityFor(2n ** 41n + 1n)).toBe(1024);
    expect(list.granularityFor(2n ** 63n - 1n)).toBe(2 ** 31);
  });
});

test("text in any pieces is the same text", async () => {
  const text =
    ' [\n{"offset" : 0,"length":512 ,"dirty":false , "note":"a \\" [{,}] \\u00e9"},\r\n\t{"start":1024,"length":512,"data":true,"dirty":true}]\n ';
  for (let length = 1; length <= text.length; length++) {
    const bitmap = (await readDiskMap(pieces(text, length), undefined)).toBitmap(2048n, 512);
    expect([...bitmap.toBytes()]).toEqual([0b1110]);
  }
});

test("errors name the object and the line", async () => {
  const lines = [
    "[",
    ...Array.from(
      { length: 5 },
      (_, index) => `{ "offset": ${index * 512}, "length": 512, "type": 0, "description": "clean"},`,
    ),
  ];
  const reading = readDiskMap([`${lines.join("\n")}\n{"offset": 2560, "length": 512}]`], undefined);
  await expect(reading).rejects.toMatchObject({ code: "USAGE", message: expect.stringContaining("([5], line 7)") });
});

test("a string without an end is not collected for ever", async () => {
  const endless = function* (): Generator<string, void> {
    yield '["';
    for (let count = 0; count < 1000; count++) yield "x".repeat(1000);
    throw new Error("read to the end");
  };
  await expect(readDiskMap(endless(), undefined)).rejects.toMatchObject({ code: "USAGE" });
});

describe("what is refused, with its place", () => {
  const item = '{"offset":0,"length":512,"dirty":true}';
  test.each<[what: string, json: string, words: string]>([
    ["nothing", "", "nothing in it"],
    ["an object", item, "array of objects"],
    ["no end", `[${item}`, "ends too early"],
    ["an end in a string", '[{"off', "inside a string"],
    ["more behind the array", `[${item}] []`, "more follows"],
    ["a comma too many", `[${item},]`, '"{" is expected'],
    ["no object", "[[0,512]]", "is expected"],
    ["a nested value", '[{"offset":0,"length":512,"dirty":true,"x":{}}]', "plain value"],
    ["a key twice", '[{"offset":0,"length":512,"dirty":true,"dirty":false}]', "[0].dirty, line 1"],
    ["no offset", '[{"length":512,"dirty":true}]', "offset is missing"],
    ["no length", `[${item},\n{"offset":512,"dirty":true}]`, "[1], line 2"],
    ["a fraction", '[{"offset":0.5,"length":512,"dirty":true}]', "whole number"],
    ["an exponent", '[{"offset":0,"length":1e3,"dirty":true}]', "whole number"],
    ["a negative number", '[{"offset":-512,"length":512,"dirty":true}]', "whole number"],
    ["a number in quotes", '[{"offset":"0","length":512,"dirty":true}]', "whole number"],
    ["no number", '[{"offset":01,"length":512,"dirty":true}]', "no JSON value"],
    ["a bad escape", '[{"\\x":0}]', "bad escape"],
    ["a control character", '[{"a\u0001":0}]', "control character"],
    ["no word on dirt", '[{"offset":0,"length":512}]', "does not say"],
    ["dirty of another kind", '[{"offset":0,"length":512,"dirty":1}]', "neither true nor false"],
    ["two places", '[{"offset":0,"start":0,"length":512,"dirty":true}]', "both start and offset"],
    ["a type alone", '[{"offset":0,"length":512,"type":1}]', "no description"],
    ["a type and another's description", '[{"offset":0,"length":512,"type":1,"description":"clean"}]', "contradict"],
    ["dirty and description", '[{"offset":0,"length":512,"dirty":true,"type":0,"description":"clean"}]', "contradict"],
    ["an unknown description", '[{"offset":0,"length":512,"type":1,"description":"new"}]', "description is none of"],
    ["a depth of 1", '[{"offset":0,"length":512,"description":"backing depth 1"}]', "description is none of"],
    [
      "a depth and another's type",
      '[{"offset":0,"length":512,"type":3,"description":"backing depth 2"}]',
      "contradict",
    ],
    ["a map of depths", '[{"offset":0,"length":512,"type":1,"description":"local"}]', "--dirty=local"],
    ["a map with depths", '[{"start":0,"length":512,"depth":0,"data":true}]', "--dirty=local"],
    ["an end past 2^63", '[{"offset":9223372036854775807,"length":512,"dirty":true}]', "past 2^63"],
  ])("%s", async (_, json, words) => {
    await expect(readDiskMap([json], undefined)).rejects.toMatchObject({
      code: "USAGE",
      message: expect.stringContaining(words),
    });
  });
});
