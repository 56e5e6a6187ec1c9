import { quote } from "@qdb/format";
import { quoteJson } from "@qdb/format/container";
import { describe, expect, test } from "vitest";
import { fc, runs } from "./support/seed.ts";

/** Characters that act on a terminal or turn the direction of text, named here one by one and by range, not by class. */
const HARMFUL: readonly (readonly [first: number, last: number])[] = [
  [0x00, 0x1f],
  [0x7f, 0x9f],
  [0xad, 0xad],
  [0x61c, 0x61c],
  [0x200b, 0x200f],
  [0x2028, 0x202e],
  [0x2060, 0x206f],
  [0xd800, 0xdfff],
  [0xfeff, 0xfeff],
  [0xfff9, 0xfffb],
  [0x1d173, 0x1d17a],
  [0xe0001, 0xe0001],
  [0xe0020, 0xe007f],
];

function isHarmful(code: number): boolean {
  return HARMFUL.some(([first, last]) => code >= first && code <= last);
}

const harmful = fc
  .oneof(...HARMFUL.map(([min, max]) => fc.integer({ min, max })))
  .map((code) => String.fromCodePoint(code));
const piece = fc.oneof(
  fc.string({ unit: "binary", maxLength: 6 }),
  fc.string({ unit: "grapheme", maxLength: 6 }),
  harmful,
  fc.constantFrom(
    '"',
    "\\",
    "\\n",
    "\\u0041",
    "\\u{41}",
    "\\x41",
    "\ud83d",
    "\ude00",
    "😀",
    "ä",
    "__proto__",
    "\r\n",
    "\u001b[31m",
  ),
);
const texts = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(""));

/** What quote() made of a text, read back. */
function unquote(quoted: string): string {
  const inner = quoted.slice(1, -1);
  return inner.replace(/\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|u\{([0-9a-f]+)\}|(["\\]))/g, (_, two, four, more, plain) =>
    plain === undefined ? String.fromCodePoint(Number.parseInt(two ?? four ?? more, 16)) : plain,
  );
}

describe("quote", () => {
  test.each([
    ["plain", '"plain"'],
    ["", '""'],
    ['say "hi"', String.raw`"say \"hi\""`],
    ["back\\slash", String.raw`"back\\slash"`],
    ["line\nfeed", String.raw`"line\x0afeed"`],
    ["\u001b[2J", String.raw`"\x1b[2J"`],
    ["abc\u202ecba", String.raw`"abc\u202ecba"`],
    ["\ufeffbom", String.raw`"\ufeffbom"`],
    ["\ud800", String.raw`"\ud800"`],
    ["\u{e0041}", String.raw`"\u{e0041}"`],
    ["päivä 😀 日本", '"päivä 😀 日本"'],
  ])("%j", (text, expected) => {
    expect(quote(text)).toBe(expected);
  });

  test("no character that could act on a terminal survives, and the text can be read back", () => {
    fc.assert(
      fc.property(texts, (text) => {
        const quoted = quote(text);
        for (const character of quoted) expect(isHarmful(character.codePointAt(0) ?? 0), quoted).toBe(false);
        expect(quoted).toMatch(/^".*"$/);
        expect(quoted.slice(1, -1).replace(/\\./gu, "")).not.toContain('"');
        expect(unquote(quoted)).toBe(text);
      }),
      runs(1000),
    );
  });
});

describe("quoteJson", () => {
  test.each([
    ["plain", '"plain"'],
    ['"\\', String.raw`"\"\\"`],
    ["\u009b31m", String.raw`"\u009b31m"`],
    ["\u2028", String.raw`"\u2028"`],
    ["\u202e", String.raw`"\u202e"`],
    ["\u{e0041}", String.raw`"\udb40\udc41"`],
    ["päivä 😀", '"päivä 😀"'],
  ])("%j", (text, expected) => {
    expect(quoteJson(text)).toBe(expected);
  });

  test("is JSON of the same text, and harmless", () => {
    fc.assert(
      fc.property(texts, (text) => {
        const quoted = quoteJson(text);
        expect(JSON.parse(quoted)).toBe(text);
        for (const character of quoted) expect(isHarmful(character.codePointAt(0) ?? 0), quoted).toBe(false);
      }),
      runs(1000),
    );
  });
});

test("every character of the list is escaped by both", () => {
  for (const [first, last] of HARMFUL) {
    for (let code = first; code <= last; code++) {
      const character = String.fromCodePoint(code);
      expect(quote(character)).toMatch(/^"\\(x[0-9a-f]{2}|u[0-9a-f]{4}|u\{[0-9a-f]{5}\})"$/);
      expect(quoteJson(character)).toMatch(/^"\\([bfnrt]|u[0-9a-f]{4}(\\u[0-9a-f]{4})?)"$/);
    }
  }
});
