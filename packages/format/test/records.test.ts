import { decodeRecord } from "@qdb/format/container";
import { describe, expect, it } from "vitest";
import { be, edit, file, type HandBitmap, hex, join, rep, tlv, utf8 } from "./hand.ts";
import { found, index, problem, problems } from "./reading.ts";

const one = (bitmap: HandBitmap): string => problem(file({ bitmaps: [bitmap] }));

describe("a name", () => {
  it.each([
    ["one byte", "a", "ok"],
    ["1023 bytes", "x".repeat(1023), "ok"],
    ["a leading U+FEFF", "\ufeffa", "ok"],
    ["every plane", "aä€😀", "ok"],
    ["a control character", "a\n", "ok"],
  ])("is 1 to 1023 bytes of UTF-8 without NUL: %s", (_what, name, expected) => {
    expect(one({ name })).toBe(expected);
    expect(index(file({ bitmaps: [{ name }] })).table.entries[0]?.name).toBe(name);
  });

  it("of 0 or 1024 bytes breaks the rule of name_size", () => {
    expect(one({ name: "" })).toBe("BAD_FIELD name_size ");
    expect(one({ name: "x".repeat(1024) })).toContain("BAD_FIELD name_size");
    expect(one({ name: rep(0x78, 65535) })).toContain("BAD_FIELD name_size");
  });

  it.each([
    ["a lone continuation", "80"],
    ["a cut character", "61 c3"],
    ["an overlong slash", "c0 af"],
    ["a surrogate", "ed a0 80"],
    ["above U+10FFFF", "f4 90 80 80"],
  ])("that is no UTF-8 is listed by its bytes: %s", (_what, text) => {
    const name = hex(text);
    const label = `hex:${text.replaceAll(" ", "")}`;
    expect(one({ name })).toBe(`BAD_FIELD name ${label}`);
    expect(index(file({ bitmaps: [{ name }] })).table.entries[0]).toMatchObject({ name: undefined, label });
  });

  it("holds no NUL, at its end neither", () => {
    for (const name of ["\0", "a\0", "\0a", "a\0b"]) expect(one({ name })).toContain("BAD_FIELD name ");
  });

  it("is unique byte for byte, never normalised, and every bitmap of a double name is in error", () => {
    const twins = (a: string | Uint8Array, b: string | Uint8Array): string[] =>
      problems(file({ bitmaps: [{ name: a }, { name: "c" }, { name: b }] }));
    expect(twins("a", "a")).toEqual(["DUPLICATE_NAME name a", "ok", "DUPLICATE_NAME name a"]);
    expect(twins("a", "A")).toEqual(["ok", "ok", "ok"]);
    expect(twins("ä", "a\u0308")).toEqual(["ok", "ok", "ok"]);
    expect(twins("a", "\ufeffa")).toEqual(["ok", "ok", "ok"]);
    // Names that are no UTF-8, and look alike only as text.
    expect(twins(hex("ff"), hex("fe"))).toEqual(["BAD_FIELD name hex:ff", "ok", "BAD_FIELD name hex:fe"]);
    const codes = found(file({ bitmaps: [{ name: hex("ff") }, { name: hex("ff") }, { name: "hex:ff" }] }));
    expect(codes).toEqual([
      "corrupt BAD_FIELD name hex:ff",
      "corrupt DUPLICATE_NAME name hex:ff",
      "corrupt BAD_FIELD name hex:ff",
      "corrupt DUPLICATE_NAME name hex:ff",
    ]);
  });
});

describe("extra data", () => {
  it("is at most 4096 bytes", () => {
    expect(one({ extra: tlv(9, rep(1, 4088)) })).toBe("ok");
    expect(one({ extra: tlv(9, rep(1, 4096)) })).toBe("BAD_FIELD extra_data_size a");
  });

  it("is filled exactly by records, each with its padding", () => {
    expect(one({ extra: join(tlv(9, rep(1, 3)), tlv(10, rep(0, 0))) })).toBe("ok");
    expect(one({ extra: tlv(9, rep(1, 3)).slice(0, 11) })).toBe("BAD_FIELD length a");
    expect(one({ extra: join(tlv(9, rep(1, 3)), rep(0, 7)) })).toBe("BAD_FIELD length a");
    expect(one({ extra: rep(1, 1) })).toBe("BAD_FIELD length a");
    for (const length of [1, 8, 0x7fffffff, 0xfffffff8, 0xffffffff]) {
      expect(one({ extra: join(be(9, 4), be(length, 4)) })).toBe("BAD_FIELD length a");
    }
  });

  it("has no record of type 0 and none of a type twice", () => {
    expect(one({ extra: rep(0, 8) })).toBe("BAD_FIELD type a");
    expect(one({ extra: join(tlv(9, rep(1, 1)), rep(0, 8)) })).toBe("BAD_FIELD type a");
    expect(one({ extra: join(tlv(9, rep(1, 1)), tlv(9, rep(2, 1))) })).toBe("DUPLICATE_TYPE type a");
    expect(one({ extra: join(tlv(9, rep(1, 1)), tlv(10, rep(1, 1)), tlv(11, rep(1, 1))) })).toBe("ok");
  });

  it("keeps records that nobody knows, bytes and order", () => {
    const extra = join(tlv(0xffffffff, hex("01")), tlv(7, hex("")), tlv(1, utf8("disk")));
    const [entry] = index(file({ bitmaps: [{ extra }] })).table.entries;
    expect(entry?.parseRecords()).toEqual([
      { type: 0xffffffff, data: hex("01") },
      { type: 7, data: new Uint8Array(0) },
      { type: 1, data: utf8("disk") },
    ]);
    expect(entry?.extraData).toEqual(extra);
  });

  it("leaves the bits usable where a known record breaks its rule; check speaks of it", () => {
    const broken = (type: number, data: Uint8Array): string[] => {
      const bytes = file({ bitmaps: [{ extra: tlv(type, data) }] });
      expect(problem(bytes)).toBe("ok");
      return found(bytes);
    };
    const bad = ["noncanonical BAD_RECORD extra data a"];
    for (const type of [1, 6]) {
      expect(broken(type, hex("ff"))).toEqual(bad);
      expect(broken(type, new Uint8Array(0))).toEqual([]);
    }
    for (const type of [3, 4]) {
      for (const length of [0, 15, 17]) expect(broken(type, rep(1, length))).toEqual(bad);
      expect(broken(type, rep(1, 16))).toEqual([]);
    }
    for (const length of [0, 7, 9, 16]) expect(broken(5, rep(1, length))).toEqual(bad);
    expect(broken(5, rep(0xff, 8))).toEqual([]);
    for (const length of [0, 23, 25]) expect(broken(2, rep(1, length))).toEqual(["unsafe BAD_RECORD extra data a"]);
    expect(broken(2, rep(1, 24))).toEqual([]);
    expect(broken(7, hex("ff"))).toEqual([]);
  });

  it("decodes what version 1 defines", () => {
    const decode = (type: number, data: Uint8Array): unknown => decodeRecord({ type, data });
    expect(decode(1, utf8("drive0"))).toEqual({ kind: "disk", text: "drive0" });
    expect(decode(2, join(be(5, 8), rep(0xff, 8), be(2n ** 64n - 1n, 8)))).toEqual({
      kind: "stamp",
      stamp: { length: 5n, mtime: -1n, file: 2n ** 64n - 1n },
    });
    const uuid = hex("c0a1e5d23b744f198a6d92e07b15c348");
    expect(decode(3, uuid)).toEqual({ kind: "id", uuid: "c0a1e5d2-3b74-4f19-8a6d-92e07b15c348" });
    expect(decode(4, uuid)).toEqual({ kind: "parent", uuid: "c0a1e5d2-3b74-4f19-8a6d-92e07b15c348" });
    expect(decode(5, be(2n ** 63n, 8))).toEqual({ kind: "created", ns: -(2n ** 63n) });
    expect(decode(6, utf8("note"))).toEqual({ kind: "comment", text: "note" });
    expect(decode(8, utf8("next"))).toEqual({ kind: "successor", text: "next" });
    for (const name of [rep(0x78, 1023), utf8("a")]) expect(decode(8, name)).toMatchObject({ kind: "successor" });
    for (const name of [rep(0x78, 1024), new Uint8Array(0), hex("61 00"), hex("ff")]) {
      expect(decode(8, name)).toMatchObject({ kind: "unknown" });
    }
  });
});

describe("flags", () => {
  const named = (name: string): Uint8Array => tlv(8, utf8(name));

  it.each([
    [1, "ok"],
    [2, "INCONSISTENT flags a"],
    [3, "INCONSISTENT flags a"],
    [8, "UNSUPPORTED_FEATURE flags a"],
    [0x8000, "UNSUPPORTED_FEATURE flags a"],
    [0xa, "UNSUPPORTED_FEATURE flags a"],
  ])("%i", (flags, expected) => {
    expect(one({ flags })).toBe(expected);
  });

  it("that are unknown are named in the message, and leave the bitmap's L1 area under the rules of ownership", () => {
    const bytes = file({
      bitmaps: [
        { name: "a", flags: 0x1008, size: 1n, clusters: [{ descriptor: 9217n }] },
        { name: "b", size: 1n, clusters: [{ descriptor: 9217n }] },
      ],
      length: 9728,
    });
    expect(problems(bytes)).toEqual(["UNSUPPORTED_FEATURE flags a", "OVERLAP descriptor b"]);
    expect(index(bytes).problems.get(0)?.message).toContain("bit3, bit12");
  });

  /** A frozen bitmap "a" with the successor "b", and what is changed of either. */
  const frozen = (a: HandBitmap, b: HandBitmap = {}): string[] =>
    problems(
      file({
        bitmaps: [
          { name: "a", flags: 4, extra: named("b"), size: 65536n, clusters: ["zeros"], ...a },
          { name: "b", flags: 1, size: 65536n, clusters: ["zeros"], ...b },
        ],
      }),
    );

  it("frozen needs a successor: another bitmap, not frozen, of the same size; the granularity may differ", () => {
    expect(frozen({})).toEqual(["ok", "ok"]);
    expect(frozen({ granularity: 512, clusters: ["zeros"] })).toEqual(["ok", "ok"]);
    const bad = ["BAD_FIELD flags a", "ok"];
    expect(frozen({ flags: 5 })).toEqual(bad);
    expect(frozen({ extra: rep(0, 0) })).toEqual(bad);
    expect(frozen({ extra: named("a") })).toEqual(bad);
    expect(frozen({ extra: named("c") })).toEqual(bad);
    expect(frozen({ extra: named("B") })).toEqual(bad);
    expect(frozen({ extra: named("") })).toEqual(bad);
    expect(frozen({ extra: tlv(8, hex("ff")) })).toEqual(bad);
    expect(frozen({ extra: named("b\0") })).toEqual(bad);
    expect(frozen({ size: 65535n })).toEqual(bad);
    expect(frozen({}, { size: 65537n, clusters: ["zeros"] })).toEqual(bad);
    expect(frozen({}, { flags: 4, extra: named("a") })).toEqual(["BAD_FIELD flags a", "BAD_FIELD flags b"]);
    expect(frozen({ flags: 0 })).toEqual(bad);
    expect(frozen({ flags: 1 })).toEqual(bad);
    expect(frozen({ flags: 0, extra: tlv(8, hex("ff")) })).toEqual(bad);
  });

  it("frozen needs a successor whose name exactly one bitmap has", () => {
    const bytes = file({ bitmaps: [{ name: "a", flags: 4, extra: named("b") }, { name: "b" }, { name: "b" }] });
    expect(problems(bytes)).toEqual(["BAD_FIELD flags a", "DUPLICATE_NAME name b", "DUPLICATE_NAME name b"]);
  });

  it("frozen may have a successor that is in use, or in error otherwise", () => {
    expect(frozen({}, { flags: 3 })).toEqual(["ok", "INCONSISTENT flags b"]);
    expect(frozen({}, { reserved: 1 })).toEqual(["ok", "RESERVED_NOT_ZERO reserved b"]);
    expect(frozen({ flags: 6 })).toEqual(["INCONSISTENT flags a", "ok"]);
  });

  it("frozen is not blamed for a successor that stands in extra data in error", () => {
    const twice = join(named("b"), tlv(10, rep(0, 1)), tlv(10, rep(0, 1)));
    const bytes = file({ bitmaps: [{ name: "a", flags: 4, extra: twice }, { name: "b" }] });
    expect(found(bytes)).toEqual(["corrupt DUPLICATE_TYPE type a"]);
  });
});

describe("an entry's padding", () => {
  it("decides nothing", () => {
    const bytes = file({ bitmaps: [{ name: "abc", padding: 0x61 }] });
    expect(index(bytes).table.entries[0]?.name).toBe("abc");
    expect(problem(edit(bytes))).toBe("ok");
    expect(found(bytes)).toEqual(["noncanonical PADDING bitmap table entry abc"]);
  });
});
