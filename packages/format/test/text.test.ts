import { decodeUtf8 } from "@qdb/format/container";
import { describe, expect, it } from "vitest";
import { fc, runs } from "./support/seed.ts";

/** What the platform's decoder says, which throws where bytes are not UTF-8. */
function platform(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** The bytes that begin and end what one byte of UTF-8 can mean. */
const EDGES = [
  0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbb, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee,
  0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff,
];

describe("decodeUtf8", () => {
  it("takes what the platform's decoder takes: every row of one to four of the bytes where rules change", () => {
    let rows: number[][] = [[]];
    const wrong: number[][] = [];
    for (let length = 1; length <= 4; length++) {
      // Exceptions are slow: the longest rows begin with a character of four bytes, and end at the edges of what continues one.
      if (length === 4) rows = rows.filter(([first = 0]) => first >= 0xf0);
      const last = length < 4 ? EDGES : [0x7f, 0x80, 0xbf, 0xc0];
      rows = rows.flatMap((row) => last.map((byte) => [...row, byte]));
      for (const row of rows) {
        const bytes = Uint8Array.from(row);
        if (decodeUtf8(bytes) !== platform(bytes)) wrong.push(row);
      }
    }
    expect(wrong).toEqual([]);
  });

  it("gives back any text, and refuses it cut inside a character", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.nat(), (text, at) => {
        const bytes = new TextEncoder().encode(text);
        expect(decodeUtf8(bytes)).toBe(text);
        const cut = bytes.subarray(0, at % (bytes.length + 1));
        expect(decodeUtf8(cut)).toBe(platform(cut));
      }),
      runs(500),
    );
  });
});
