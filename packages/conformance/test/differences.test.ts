import { describe, expect, test } from "vitest";
import { contentsOf, differences, findingDifferences } from "../src/bench/differences.ts";
import type { Json } from "../src/text/json.ts";

describe("models", () => {
  test.each<[expected: Json, came: Json]>([
    [
      { a: 1, b: [1, 2] },
      { b: [1, 2], a: 1 },
    ],
    [{ error: { code: "LIMIT" } }, { error: { code: "LIMIT", message: "any text" } }],
    [{ id: "*" }, { id: "8f14e45f" }],
    [{ list: "*" }, { list: [{ a: 1 }] }],
    [1, 1.0],
  ])("%j is the same as %j", (expected, came) => {
    expect(differences(expected, came)).toEqual([]);
  });

  test.each<[expected: Json, came: Json, difference: string]>([
    [{ a: 1 }, { a: 2 }, "a: expected 1, came 2"],
    [{ a: 1 }, { a: "1" }, 'a: expected 1, came "1"'],
    [{ a: 1 }, {}, "a: expected 1, came nothing"],
    [{}, { a: null }, "a: expected nothing, came null"],
    [{ a: [] }, { a: {} }, "a: expected [], came {}"],
    [{ a: ["0"] }, { a: ["0", "1"] }, "a: 1 items expected, 2 came"],
    [{ id: "*" }, {}, 'id: expected "*", came nothing'],
    [{ toString: 1 }, {}, "toString: expected 1, came nothing"],
  ])("%j differs from %j", (expected, came, difference) => {
    expect(differences(expected, came)).toEqual([difference]);
  });

  test("contents leave out where things stand, and nothing else", () => {
    const header = { generation: "1", writer_id: "w", bitmaps_offset: "2", table_checksum: "3", header_checksum: "4" };
    const model = {
      header: { ...header, file_id: "f", bitmaps_size: 5 },
      bitmaps: [{ name: "a", l1_table_offset: "6", l1_checksum: "7", l1_size: 8 }],
    };
    expect(contentsOf(model)).toEqual({
      header: { file_id: "f", bitmaps_size: 5 },
      bitmaps: [{ name: "a", l1_size: 8 }],
    });
  });
});

describe("findings are multisets", () => {
  const leak = { code: "LEAK", severity: "leak", repairable: true };
  const tail = { code: "TAIL", severity: "noncanonical", repairable: true, bitmap: "a" };

  test("any order", () => {
    expect(findingDifferences([leak, tail, tail], [tail, leak, tail])).toEqual([]);
  });

  test.each([
    [[leak], [], /LEAK .* is missing/],
    [[], [leak], /LEAK .* is not expected/],
    [[tail, tail], [tail], /TAIL .* is missing/],
    [[leak], [{ ...leak, repairable: false }], /LEAK/],
    [[leak], [{ ...leak, severity: "corrupt" }], /LEAK/],
    [[tail], [{ ...tail, bitmap: "b" }], /of "a" is missing/],
  ])("%j is not %j", (expected, came, difference) => {
    expect(findingDifferences(expected, came)[0]).toMatch(difference);
  });
});
