import { readExtentMap } from "@qdb/format";
import type { AllocationRule } from "@qdb/format/container";
import { describe, expect, test } from "vitest";
import { fc, runs } from "./support/seed.ts";

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

test("clean is what is called clean and never dirty, against a model of bytes", async () => {
  await fc.assert(
    fc.asyncProperty(items, fc.integer({ min: 1, max: 90 }), fc.nat(3), async (list, length, steps) => {
      const size = 60_000;
      const granularity = UNIT << steps;
      const isClean = new Uint8Array(size);
      for (const { offset, length: bytes, dirty } of list) if (!dirty) isClean.fill(1, offset, offset + bytes);
      for (const { offset, length: bytes, dirty } of list) if (dirty) isClean.fill(0, offset, offset + bytes);
      for (const text of spellings(list)) {
        const bitmap = (await readExtentMap(pieces(text, length))).toBitmap({ size, granularity });
        for (let bit = 0; bit < bitmap.bitCount; bit++) {
          const bytes = isClean.subarray(bit * granularity, (bit + 1) * granularity);
          // Never fewer dirty bits: a clean granule is clean to its last byte.
          if (!bitmap.isDirty(bit)) expect(bytes.every((byte) => byte === 1)).toBe(true);
          // And no more, except if clean extents that do not follow each other share a granule.
          else if (list.filter(({ dirty }) => !dirty).length < 2) expect(bytes.includes(0)).toBe(true);
        }
      }
    }),
    runs(100),
  );
});

/** A map as another program printed it, and the dirty extents that are right for it, `[offset, length]`. */
interface Printed {
  readonly text: string;
  readonly rule?: AllocationRule;
  readonly size?: number;
  readonly dirty: readonly (readonly [offset: number, length: number])[];
  readonly droppedZeros?: bigint;
}

const K64 = 65536;
/** `qemu-img map --output=json` of an overlay of 1 MiB in which 64 KiB of zeros lie over data of the backing file. */
const OVERLAY = `[{ "start": 0, "length": 65536, "depth": 0, "present": true, "zero": false, "data": true, "offset": 327680},
{ "start": 65536, "length": 65536, "depth": 0, "present": true, "zero": true, "data": false},
{ "start": 131072, "length": 393216, "depth": 1, "present": false, "zero": true, "data": false},
{ "start": 524288, "length": 65536, "depth": 0, "present": true, "zero": false, "data": true, "offset": 393216},
{ "start": 589824, "length": 458752, "depth": 1, "present": false, "zero": true, "data": false}]
`;

describe("maps as programs print them", () => {
  test.each<[what: string, printed: Printed]>([
    [
      "qemu-img map of an overlay: local",
      {
        text: OVERLAY,
        rule: "local",
        dirty: [
          [0, 2 * K64],
          [8 * K64, K64],
        ],
      },
    ],
    [
      "qemu-img map of an overlay: data",
      {
        text: OVERLAY,
        rule: "data",
        dirty: [
          [0, K64],
          [8 * K64, K64],
        ],
        droppedZeros: 65536n,
      },
    ],
    [
      "nbdinfo --map=qemu:allocation-depth of the same",
      {
        text: `[
{ "offset": 0, "length": 131072, "type": 1, "description": "local"},
{ "offset": 131072, "length": 393216, "type": 0, "description": "absent"},
{ "offset": 524288, "length": 65536, "type": 1, "description": "local"},
{ "offset": 589824, "length": 458752, "type": 0, "description": "absent"}
]
`,
        rule: "local",
        dirty: [
          [0, 2 * K64],
          [8 * K64, K64],
        ],
      },
    ],
    [
      "nbdinfo before 1.9.1, which says allocated",
      {
        text: `[
{ "offset": 0, "length": 65536, "type": 0, "description": "allocated" },
{ "offset": 65536, "length": 983040, "type": 3, "description": "hole,zero" }
]
`,
        rule: "data",
        dirty: [[0, K64]],
      },
    ],
    [
      "qemu-img map --image-opts …,x-dirty-bitmap=…, which is inverted",
      {
        text: `[{ "start": 0, "length": 65536, "depth": 0, "present": true, "zero": false, "data": true, "offset": 0},
{ "start": 65536, "length": 65536, "depth": 0, "present": false, "zero": false, "data": false},
{ "start": 131072, "length": 917504, "depth": 0, "present": true, "zero": false, "data": true, "offset": 131072}]
`,
        rule: "nodata",
        dirty: [[K64, K64]],
      },
    ],
    [
      "a raw file of 1000001 bytes, which QEMU rounds up: the size must be given, and be the rounded one",
      {
        text: `[{ "start": 0, "length": 65536, "depth": 0, "present": true, "zero": false, "data": true, "offset": 0},
{ "start": 65536, "length": 934912, "depth": 0, "present": true, "zero": true, "data": false, "offset": 65536}]
`,
        rule: "data",
        dirty: [[0, K64]],
        droppedZeros: 934_912n,
      },
    ],
    [
      "dirty extents only, the first at 0: the rest is dirty",
      { text: `[{"offset":0,"length":65536,"dirty":true}]`, size: 4 * K64, dirty: [[0, 4 * K64]] },
    ],
  ])("%s", async (_, { text, rule, size, dirty, droppedZeros = 0n }) => {
    const map = await readExtentMap(text, { dirty: rule });
    expect(map.droppedZeros).toBe(droppedZeros);
    const extents = [...map.toBitmap({ size }).extents()];
    expect(extents.map(({ offset, length }) => [Number(offset), Number(length)])).toEqual(dirty);
    if (rule !== undefined) await expect(readExtentMap(text)).rejects.toMatchObject({ code: "USAGE" });
  });

  test("numbers above 2^53 are exact", async () => {
    const text = `[{"offset":0,"length":9223372036854774784,"dirty":false},{"offset":9223372036854774784,"length":512,"dirty":true}]`;
    const map = await readExtentMap(text);
    expect(map.size).toBe(2n ** 63n - 512n);
    const [last] = [...map.toBitmap().extents()];
    expect(last).toEqual({ offset: 2n ** 63n - 2n ** 31n, length: 2n ** 31n - 512n });
  });
});

describe("the size of the disk", () => {
  test.each([
    ["of no extents", "[]"],
    ["of extents with a gap", '[{"offset":0,"length":512,"dirty":true},{"offset":1024,"length":512,"dirty":true}]'],
    ["of extents that begin after 0", '[{"offset":512,"length":512,"dirty":true}]'],
    [
      "of extents in another order",
      '[{"offset":512,"length":512,"dirty":true},{"offset":0,"length":512,"dirty":true}]',
    ],
  ])("%s must be given", async (_, text) => {
    const map = await readExtentMap(text);
    expect(map.size).toBeUndefined();
    expect(() => map.toBitmap()).toThrowError(expect.objectContaining({ code: "USAGE" }));
    expect(map.toBitmap({ size: 2048 }).size).toBe(2048n);
  });

  test("is no number that is not exact, and none before the end of an extent", async () => {
    const map = await readExtentMap('[{"offset":0,"length":1024,"dirty":false}]');
    for (const size of [Number.NaN, 0.5, 2 ** 53, 1023, -1]) {
      expect(() => map.toBitmap({ size })).toThrowError(expect.objectContaining({ code: "USAGE" }));
    }
    expect(() => map.granularityFor(Number.NaN)).toThrowError(expect.objectContaining({ code: "USAGE" }));
    expect(() => map.toBitmap({ granularity: 1000 })).toThrowError(expect.objectContaining({ code: "USAGE" }));
  });
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
    expect((await readExtentMap([text])).granularityFor(BigInt(size))).toBe(granularity);
  });

  test("coarser where 2^32 bits would not do", async () => {
    const list = await readExtentMap(['[{"offset":512,"length":512,"dirty":true}]']);
    expect(list.granularityFor(2n ** 41n)).toBe(512);
    expect(list.granularityFor(2n ** 41n + 1n)).toBe(1024);
    expect(list.granularityFor(2n ** 63n - 1n)).toBe(2 ** 31);
  });
});

test("text in any pieces is the same text", async () => {
  const text =
    ' [\n{"offset" : 0,"length":512 ,"dirty":false , "note":"a \\" [{,}] \\u00e9"},\r\n\t{"start":1024,"length":512,"data":true,"dirty":true}]\n ';
  for (let length = 1; length <= text.length; length++) {
    const bitmap = (await readExtentMap(pieces(text, length))).toBitmap({ size: 2048, granularity: 512 });
    expect([...bitmap.toBytes()]).toEqual([0b1110]);
  }
});

test("errors name the object and its place in the text", async () => {
  const lines = [
    "[",
    ...Array.from(
      { length: 5 },
      (_, index) => `{ "offset": ${index * 512}, "length": 512, "type": 0, "description": "clean"},`,
    ),
  ];
  const reading = readExtentMap([`${lines.join("\n")}\n{"offset": 2560, "length": 512}]`]);
  await expect(reading).rejects.toMatchObject({
    code: "USAGE",
    message: expect.stringContaining("([5], line 7)"),
    where: { structure: "extents", field: "[5]", line: 7, column: 32 },
  });
});

test("a string without an end is not collected for ever", async () => {
  const endless = function* (): Generator<string, void> {
    yield '["';
    for (let count = 0; count < 1000; count++) yield "x".repeat(1000);
    throw new Error("read to the end");
  };
  await expect(readExtentMap(endless())).rejects.toMatchObject({ code: "USAGE" });
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
    ["a map of depths", '[{"offset":0,"length":512,"type":1,"description":"local"}]', 'dirty: "local"'],
    ["a map with depths", '[{"start":0,"length":512,"depth":0,"data":true}]', 'dirty: "local"'],
    ["an end past 2^63", '[{"offset":9223372036854775807,"length":512,"dirty":true}]', "past 2^63"],
  ])("%s", async (_, json, words) => {
    await expect(readExtentMap([json])).rejects.toMatchObject({
      code: "USAGE",
      message: expect.stringContaining(words),
    });
  });
});

const utf8 = new TextEncoder();
/** Characters of one to four bytes. */
const WORDS = '[{"offset":0,"length":512,"dirty":true,"é":"ab€ 😀"}]';

describe("bytes of UTF-8", () => {
  test("in any pieces are the same text, with a BOM too", async () => {
    for (const text of [WORDS, `\ufeff${WORDS}`]) {
      const bytes = utf8.encode(text);
      for (let length = 1; length <= bytes.length; length++) {
        const parts = Array.from({ length: Math.ceil(bytes.length / length) }, (_, index) =>
          bytes.subarray(index * length, (index + 1) * length),
        );
        expect((await readExtentMap(parts)).size).toBe(512n);
      }
      expect((await readExtentMap(bytes)).size).toBe(512n);
      expect((await readExtentMap(text)).size).toBe(512n);
      expect((await readExtentMap([text.slice(0, 20), utf8.encode(text.slice(20))])).size).toBe(512n);
    }
  });

  test.each<[what: string, bytes: number[], offset: number]>([
    ["a byte that begins nothing", [0x5b, 0x20, 0xff, 0x5d], 2],
    ["UTF-16 with its mark", [0xff, 0xfe, 0x5b, 0x00, 0x5d, 0x00], 0],
    ["a continuation alone", [0x5b, 0x80, 0x5d], 1],
    ["an overlong form", [0x5b, 0xe0, 0x80, 0x80], 1],
    ["a surrogate", [0x5b, 0x5d, 0xed, 0xa0, 0x80], 2],
    ["a character cut at the end", [0x5b, 0x5d, 0x20, 0xf0, 0x9f, 0x98], 3],
  ])("%s is refused with its offset", async (_, bytes, offset) => {
    for (let length = 1; length <= bytes.length; length++) {
      const parts = Array.from({ length: Math.ceil(bytes.length / length) }, (_, index) =>
        Uint8Array.from(bytes.slice(index * length, (index + 1) * length)),
      );
      await expect(readExtentMap(parts)).rejects.toMatchObject({
        code: "USAGE",
        where: { structure: "extents", offset },
        message: `the extents are not UTF-8 text from byte ${offset} on`,
      });
    }
  });

  test("cut inside a character by a string are refused", async () => {
    const bytes = utf8.encode('["é').subarray(0, 3);
    await expect(readExtentMap([bytes, '"]'])).rejects.toMatchObject({ code: "USAGE", where: { offset: 2 } });
  });
});

describe("long input", () => {
  /** A map of extents of 512 bytes, dirty and clean in turn, in chunks of a thousand. */
  function* chunks(count: number): Generator<string, void> {
    yield "[";
    for (let at = 0; at < count; at += 1000) {
      const objects = Array.from({ length: Math.min(1000, count - at) }, (_, index) => {
        const bit = at + index;
        return `${bit === 0 ? "" : ","}{"offset":${bit * 512},"length":512,"dirty":${bit % 2 === 0}}`;
      });
      yield objects.join("");
    }
    yield "]";
  }

  test("can be aborted before it begins, between chunks and inside one, by a timer too", async () => {
    const reason = new Error("enough");
    const aborted = { code: "ABORTED", cause: reason };
    await expect(readExtentMap("[]", { signal: AbortSignal.abort(reason) })).rejects.toMatchObject(aborted);
    const between = new AbortController();
    let isClosed = false;
    async function* endless(): AsyncGenerator<string, void> {
      try {
        yield "[";
        between.abort(reason);
        for (;;) yield " ";
      } finally {
        isClosed = true;
      }
    }
    await expect(readExtentMap(endless(), { signal: between.signal })).rejects.toMatchObject(aborted);
    expect(isClosed).toBe(true);
    const inside = new AbortController();
    setTimeout(() => inside.abort(reason), 20);
    const whole = [...chunks(400_000)].join("");
    await expect(readExtentMap(whole, { signal: inside.signal })).rejects.toMatchObject(aborted);
  });

  test("tells its progress, up to the end", async () => {
    const text = [...chunks(200_000)];
    const told: number[] = [];
    const map = await readExtentMap(text, { onProgress: (done) => void told.push(done) });
    expect(map.size).toBe(200_000n * 512n);
    expect(told.length).toBeGreaterThan(1);
    expect(told).toEqual([...told].sort((a, b) => a - b));
    expect(told.at(-1)).toBe(text.join("").length);
  });

  test("has at most as many extents as the caller allows, adjacent ones joined", async () => {
    const read = (count: number) => readExtentMap(chunks(count), { maxExtents: 5000 });
    expect((await read(5000)).size).toBe(5000n * 512n);
    await expect(read(5001)).rejects.toMatchObject({ code: "LIMIT", message: expect.stringContaining("maxExtents") });
    const joined = `[${Array.from({ length: 9 }, (_, at) => `{"offset":${at * 512},"length":512,"dirty":true}`)}]`;
    expect((await readExtentMap(joined, { maxExtents: 1 })).size).toBe(9n * 512n);
    for (const maxExtents of [Number.NaN, -1, 0.5]) {
      await expect(readExtentMap("[]", { maxExtents })).rejects.toMatchObject({ code: "USAGE" });
    }
  });

  test("that fails, or has a chunk of another type, ends the call", async () => {
    const fault = new Error("the disk died");
    async function* failing(): AsyncGenerator<string, void> {
      yield "[";
      throw fault;
    }
    await expect(readExtentMap(failing())).rejects.toBe(fault);
    await expect(readExtentMap([1] as never)).rejects.toMatchObject({ code: "USAGE" });
  });
});
