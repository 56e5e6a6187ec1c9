import { Bitmap, QdbError } from "@qdb/format";
import { imageBytes, JsonLoader, writeImage } from "@qdb/format/container";
import { describe, expect, test } from "vitest";
import { validator } from "../../conformance/test/support/schema.ts";
import { plainContents } from "./support/contents.ts";
import { errorOf, expectCode } from "./support/errors.ts";
import { digests, dump, IDS, load } from "./support/json.ts";
import { GOOD, REFUSED } from "./support/refusals.ts";
import { fc, runs } from "./support/seed.ts";

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

test("the document of the refusals loads", () => {
  const { bitmaps, extensions } = load(GOOD);
  expect(bitmaps.map(({ bits }) => bits.count())).toEqual([0, 2]);
  expect(extensions.map(({ type }) => type)).toEqual([0x51444e4d, 0x0badcafe]);
  expect(writeImage(load(GOOD)).length).toBeGreaterThan(0);
});

describe("load refuses", () => {
  /** Expects the same error however the text is cut into pieces. */
  function refusal(text: string): QdbError {
    const error = expectCode("USAGE", () => load(text));
    for (const size of [1, 7]) {
      const other = expectCode("USAGE", () => load(text, size));
      expect([other.message, other.where]).toEqual([error.message, error.where]);
    }
    return error;
  }

  test.each(REFUSED)("%s", (_, from, to, path, message) => {
    expect(GOOD.split(from).length, "the text to be changed stands there").toBeGreaterThan(1);
    const at = GOOD.indexOf(from);
    const text = GOOD.slice(0, at) + to + GOOD.slice(at + from.length);
    const error = refusal(text);
    expect(error.message).toMatch(message);
    expect(error.where.field ?? "").toBe(path);
    expect(error.message.startsWith(path === "" ? "" : `${path}: `)).toBe(true);
    expect(error.where.structure).toBe("JSON form");
    const place = / \(line (\d+), column (\d+)\)$/.exec(error.message);
    const lines = text.split("\n");
    expect((lines[Number(place?.[1]) - 1] ?? "").length + 1).toBeGreaterThanOrEqual(Number(place?.[2]));
  });

  test.each<[string, string, string, string, string]>([
    ["a value of the wrong kind, at its start", '"format": "qdb"', '"format": 5', "format", "5"],
    ["a value that was read, behind it", '"8192"', '"x",', "header.bitmaps_offset", ","],
    ["a key, behind it", '"version":', '"magic":', "header", ":  1"],
    ["in the middle of a range", '["0", "65536"]', '["0", @]', "bitmaps[1].dirty[0][1]", "@"],
    ["behind everything", "  ]\n}\n", "  ]\n}  ?", "", "?"],
  ])("line and column of %s", (_, from, to, path, marker) => {
    const text = GOOD.replace(from, to).replace('"magic": 1', '"magic":  1');
    const error = refusal(text);
    expect(error.where.field ?? "").toBe(path);
    const at = text.indexOf(marker, text.indexOf(to.slice(0, 8)));
    const before = text.slice(0, at).split("\n");
    expect(error.message).toContain(`(line ${before.length}, column ${(before.at(-1) ?? "").length + 1})`);
  });

  test("a digest of other bits", () => {
    const error = refusal(
      GOOD.replace(/"bits_sha256": "../, (found) => `${found.slice(0, -2)}${found.endsWith("00") ? "11" : "00"}`),
    );
    expect(error.message).toMatch(/^bitmaps\[1\]: the ranges do not match bits_sha256/);
  });

  const missing: [string, RegExp, RegExp][] = [
    ["header", /"header": \{[^}]*\},/, /^header is needed/],
    ["form", /"form": "full",/, /^header: form and cluster_bits are needed/],
    ["cluster_bits", /"cluster_bits": 9,/, /^header: form and cluster_bits are needed/],
    ["name", /"name": "daily",/, /^bitmaps\[1\]: a name/],
    ["size", /"size": "1000000",/, /^bitmaps\[1\]\.dirty: size and granularity/],
    ["granularity", /"granularity": 65536,/, /^bitmaps\[1\]\.dirty: size and granularity/],
    ["dirty", /"dirty": \[\n[^"]*"0", "65536"\],\n[^\]]*\]\n *\],/, /^bitmaps\[1\]: size, granularity and dirty/],
  ];
  test.each(missing)("a document without %s", (_, what, message) => {
    const text = GOOD.replace(what, "");
    expect(text).not.toBe(GOOD);
    expect(refusal(text).message).toMatch(message);
  });

  test("a document without what is optional loads: form name, extensions, flags, records, digests, ids", () => {
    const text =
      '{"header":{"cluster_bits":9,"form":"full"},"bitmaps":[{"name":"a","size":"1","granularity":512,"dirty":[]}]}';
    const contents = load(text);
    expect(contents).toMatchObject({ allOnes: false, extensions: [], fileId: IDS.fileId, writerId: IDS.writerId });
    expect(load('{"header":{"cluster_bits":9,"form":"draft"}}').bitmaps).toEqual([]);
  });

  test("what would break a rule of the format, with the place in the form", () => {
    const bitmap = (name: string, more: object = {}): object => ({
      name,
      size: "5000",
      granularity: 512,
      ...more,
      dirty: [],
    });
    const form = (bitmaps: readonly object[], header: object = {}, extensions: readonly object[] = []): string =>
      JSON.stringify({ header: { form: "full", cluster_bits: 9, ...header }, extensions, bitmaps });
    const successor = (name: string): object => ({ type: "0x00000008", successor: name });
    const cases: [string, string, RegExp][] = [
      [form([], { cluster_bits: 8 }), "header.cluster_bits", /cluster_bits is 8/],
      [form([], { cluster_bits: 22 }), "header.cluster_bits", /cluster_bits is 22/],
      [form([bitmap("a"), bitmap("b"), bitmap("a")]), "bitmaps[2]", /same name/],
      [form([bitmap("")]), "bitmaps[0]", /1 to 1023 bytes/],
      [form([bitmap("a"), bitmap("x\0y")]), "bitmaps[1]", /without NUL/],
      [form([bitmap("ä".repeat(512))]), "bitmaps[0]", /1 to 1023 bytes/],
      [form([bitmap("a"), bitmap("b", { flags: ["frozen"] })]), "bitmaps[1]", /no successor/],
      [
        form([bitmap("a", { flags: ["enabled", "frozen"], extra_data: [successor("b")] }), bitmap("b")]),
        "bitmaps[0]",
        /frozen and enabled/,
      ],
      [
        form([bitmap("a", { flags: ["frozen"], extra_data: [successor("gone")] })]),
        "bitmaps[0]",
        /name of its successor/,
      ],
      [form([bitmap("a", { extra_data: [successor("b")] }), bitmap("b")]), "bitmaps[0]", /not frozen/],
      [
        form([
          bitmap("a", {
            extra_data: [
              { type: "0x00000009", data: "" },
              { type: "0x00000009", data: "" },
            ],
          }),
        ]),
        "bitmaps[0]",
        /twice/,
      ],
      [
        form([bitmap("a", { extra_data: [{ type: "0x00000009", data: "00".repeat(4089) }] })]),
        "bitmaps[0].extra_data[0]",
        /4096 bytes/,
      ],
      [
        form([], {}, [
          { type: "0x00000009", data: "" },
          { type: "0x00000009", data: "00" },
        ]),
        "extensions",
        /twice/,
      ],
      [form([], {}, [{ type: "0x00000009", data: "00".repeat(500) }]), "extensions", /do not fit/],
      [
        form(
          [],
          {},
          Array.from({ length: 65 }, (_, at) => ({ type: `0x000001${(at + 16).toString(16)}`, data: "" })),
        ),
        "extensions[64]",
        /more than 64/,
      ],
    ];
    for (const [text, path, message] of cases) {
      const error = refusal(text);
      expect([error.where.field, error.message]).toEqual([path, expect.stringMatching(message)]);
    }
  });

  test("every truncation of the text", () => {
    for (let length = 0; length < GOOD.trimEnd().length; length++) {
      const error = errorOf(() => load(GOOD.slice(0, length)));
      expect([length, error.code]).toEqual([length, "USAGE"]);
      expect(error.message).toMatch(/\(line \d+, column \d+\)$/);
    }
  });

  test("a changed character: the same contents, other contents, or USAGE with its place", () => {
    const change = fc.tuple(
      fc.nat(GOOD.length - 1),
      fc.oneof(fc.constantFrom(...'{}[],:"\\0-9e. \n', ""), fc.string({ unit: "binary", maxLength: 2 })),
    );
    fc.assert(
      fc.property(change, ([at, to]) => {
        const text = GOOD.slice(0, at) + to + GOOD.slice(at + 1);
        try {
          const contents = load(text, 64);
          expect(writeImage(contents).length).toBeGreaterThan(0);
          // A text that loads is JSON and matches the schema.
          expect(validator("qdb-load")(JSON.parse(text)), text).toBe(true);
        } catch (error) {
          if (!(error instanceof QdbError)) throw error;
          expect(error.code).toBe("USAGE");
          expect(error.message).toMatch(/\(line \d+, column \d+\)$/);
        }
      }),
      runs(1500),
    );
  });

  test.each<[string, string, RegExp]>([
    [
      "a name for a type that version 1 defines",
      GOOD.replace('"type": "0x0badcafe", "name"', '"type": "0x6803f857", "name"'),
      /^extensions\[1\]\.names\[0\]: version 1 defines this type/,
    ],
    ["a million open arrays", `{"bitmaps":${"[".repeat(1_000_000)}`, /"\{" expected/],
    ["a million open arrays for a range", GOOD.replace('["0", "65536"]', "[".repeat(1_000_000)), /a string expected/],
    ["a million open objects", '{"header":'.repeat(1_000_000), /is not known/],
    ["a string without end", `{"${"x".repeat(1_000_000)}`, /more than 262144 characters/],
    ["a string of escapes without end", `{"${"\\u0041".repeat(200_000)}`, /more than 262144 characters/],
    ["a number without end", `{"header":{"version":${"1".repeat(1_000_000)}`, /whole number|too many digits/],
    ["a key of many characters", `{"${"k".repeat(200_000)}":1}`, /^the key "k{40}"… is not known/],
    ["a key of a million characters", `{"${"k".repeat(1_000_000)}":1}`, /more than 262144 characters/],
    ["a million spaces, then nothing", " ".repeat(1_000_000), /"\{" expected, the end found/],
    ["a million lines, then nothing", `{${"\n".repeat(1_000_000)}`, /line 1000001, column 1/],
  ])("%s, quickly, and with a short message", (_, text, message) => {
    const whole = expectCode("USAGE", () => load(text));
    const pieces = expectCode("USAGE", () => load(text, 4096));
    for (const error of [whole, pieces]) {
      expect(error.message).toMatch(message);
      expect(error.message.length).toBeLessThan(300);
    }
  });

  test("many short ranges in one piece and in many", () => {
    const count = 50_000;
    const ranges = Array.from({ length: count }, (_, at) => `["${at * 1024}", "512"]`);
    const text = `{"header":{"form":"full","cluster_bits":12},"bitmaps":[{"name":"a","size":"${count * 1024}","granularity":512,"dirty":[${ranges.join(",\n")}]}]}`;
    for (const size of [text.length, 65536, 333]) expect(load(text, size).bitmaps[0]?.bits.count()).toBe(count);
  });
});

describe("load and its host", () => {
  test("a digest cannot be verified where the host brought no SHA-256", () => {
    const loader = new JsonLoader({ ...IDS, newBits: Bitmap.clean });
    expectCode("NOT_SUPPORTED", () => loader.push(GOOD));
  });

  test("bits above the caller's bound are LIMIT, all bitmaps together, before they take memory", () => {
    const form = (sizes: readonly bigint[]): string =>
      JSON.stringify({
        header: { form: "full", cluster_bits: 16 },
        bitmaps: sizes.map((size, at) => ({ name: `b${at}`, size: String(size), granularity: 512, dirty: [] })),
      });
    const kib = 8n * 1024n * 512n;
    expect(load(form([kib, kib]), 100, { maxBitmapBytes: 2048 }).bitmaps).toHaveLength(2);
    const error = expectCode("LIMIT", () => load(form([kib, kib + 1n]), 100, { maxBitmapBytes: 2048 }));
    expect(error.message).toMatch(/bitmaps\[1\].*maxBitmapBytes/);
    const huge = new Array<bigint>(5).fill(2n ** 32n * 512n);
    expectCode("LIMIT", () => load(form(huge), 1e6, { maxBitmapBytes: 2 ** 20 }));
  });

  test("the file id comes from the form, where it gives one; the writer id never", () => {
    const contents = plainContents([], { fileId: new Uint8Array(16).fill(7), writerId: new Uint8Array(16).fill(9) });
    const loaded = load(dump(imageBytes(writeImage(contents))).text);
    expect([hex(loaded.fileId), hex(loaded.writerId)]).toEqual(["07".repeat(16), hex(IDS.writerId)]);
  });

  test("a loader that has ended, well or badly, takes no more", () => {
    const failed = new JsonLoader({ ...IDS, newBits: Bitmap.clean });
    expectCode("USAGE", () => failed.push("["));
    expectCode("USAGE", () => failed.push("{"));
    expectCode("USAGE", () => failed.finish());
    const ended = new JsonLoader({ ...IDS, digests, newBits: Bitmap.clean });
    ended.push(GOOD);
    const contents = ended.finish();
    expect(ended.finish()).toBe(contents);
    expectCode("USAGE", () => ended.push(" "));
    expect(ended.finish()).toBe(contents);
  });
});
