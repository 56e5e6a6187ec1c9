import { bytesSource, checkQdb, isQdbError } from "@qdb/format";
import { describe, expect, it } from "vitest";
import { be, bits, edit, file, type HandFile, hex, join, named, rep, sealed, tlv, utf8 } from "./hand.ts";
import { brief, check, found, thrown } from "./reading.ts";

const SIZE = 65536n * 5000n; // 5000 bits, 625 bytes, two clusters of 512
const base = { size: SIZE, clusters: [bits(512, 3), bits(113, 9)] };
const good: HandFile = {
  bitmaps: [
    { ...base, name: "a" },
    { ...base, name: "b", flags: 1 },
  ],
};
const ALL_ONES = tlv(0x6803f857, named(hex("00 00"), "all-ones clusters"));

/** Code, severity, file offset and whether it can be repaired, of each finding. */
function details(bytes: Uint8Array): unknown[] {
  return check(bytes).findings.map(({ code, severity, where, repairable }) => [
    code,
    severity,
    where.offset,
    repairable,
  ]);
}

describe("a canonical file", () => {
  it.each([
    ["with bitmaps", good],
    ["without", {}],
    [
      "with everything",
      {
        header: { incompatible: 1n },
        extensions: join(ALL_ONES, tlv(0x0badcafe, hex("aa bb cc")), rep(0, 8)),
        bitmaps: [
          { size: SIZE, name: "frozen", flags: 4, extra: tlv(8, utf8("next")), clusters: ["ones", "zeros"] },
          {
            ...base,
            name: "next",
            flags: 1,
            extra: join(tlv(1, utf8("drive0")), tlv(2, rep(1, 24)), tlv(5, rep(0, 8))),
          },
          { name: "empty", size: 0n },
        ],
      },
    ],
  ] as [string, HandFile][])("has no finding: %s", (_what, spec) => {
    const { findings, counts, complete } = check(file(spec));
    expect(findings).toEqual([]);
    expect(counts).toEqual({ corrupt: 0, unsafe: 0, leak: 0, noncanonical: 0, info: 0 });
    expect(complete).toBe(true);
  });
});

describe("what cannot be checked", () => {
  it.each([
    ["BAD_MAGIC", edit(file({ mirror: "none" }), [0, rep(0, 4)])],
    ["UNSUPPORTED_VERSION", file({ header: { version: 2 } })],
    ["UNSUPPORTED_FEATURE", file({ header: { incompatible: 4n, generation: 0n } })],
  ])("fails with %s, and lists nothing", (code, bytes) => {
    expect(thrown(() => check(bytes)).code).toBe(code);
  });
});

describe("an error of the file", () => {
  it.each([
    ["BAD_CHECKSUM header_checksum", edit(file({ ...good, mirror: "none" }), [99, rep(1, 1)])],
    ["TRUNCATED header", file(good).slice(0, 4000)],
    ["BAD_FIELD cluster_bits", file({ ...good, header: { clusterBits: 8 } })],
    ["LIMIT nb_bitmaps", file({ ...good, header: { nbBitmaps: 65536 } })],
    ["OUT_OF_BOUNDS bitmaps_offset", file({ ...good, header: { bitmapsOffset: 2n ** 40n } })],
    ["MISALIGNED bitmaps_offset", file({ ...good, header: { bitmapsOffset: 8193n } })],
    ["OVERLAP bitmaps_offset", file({ ...good, header: { bitmapsOffset: 4096n } })],
    ["BAD_CHECKSUM bitmap table", edit(file(good), [8192 + 40, hex("00")])],
    ["OUT_OF_BOUNDS bitmap table", file({ ...good, header: { nbBitmaps: 3 } })],
    ["BAD_FIELD bitmaps_size", file({ ...good, header: { nbBitmaps: 1 } })],
  ])("is corrupt, not repairable, and leaves the check incomplete: %s", (expected, bytes) => {
    const { findings, complete, counts } = check(bytes);
    const corrupt = findings.filter(({ severity }) => severity === "corrupt");
    expect(corrupt.map(brief)).toEqual([expected]);
    expect(corrupt.map(({ repairable }) => repairable)).toEqual([false]);
    expect(counts.corrupt).toBe(1);
    expect(complete).toBe(false);
  });

  it("does not hide the others that can be reached", () => {
    expect(found(file({ header: { generation: 0n, tableChecksum: 1 }, length: 8192 }))).toEqual([
      "corrupt BAD_FIELD generation",
      "corrupt BAD_FIELD table_checksum",
    ]);
    const bytes = file({
      ...good,
      header: { generation: 0n },
      extensions: join(tlv(5, rep(1, 3)), tlv(5, rep(1, 3))),
      bitmaps: [
        { ...base, name: "a", reserved: 1, flags: 2 },
        { ...base, name: "b", clusters: [{ data: bits(512, 1), crc: 1 }, "zeros"] },
      ],
    });
    expect(found(bytes)).toEqual([
      "corrupt BAD_FIELD generation",
      "corrupt DUPLICATE_TYPE type",
      "corrupt RESERVED_NOT_ZERO reserved a",
      "unsafe INCONSISTENT flags a",
      "corrupt BAD_CHECKSUM descriptor b",
    ]);
  });
});

describe("a damaged primary", () => {
  it("is corrupt and repairable where the mirror speaks for it", () => {
    for (const damage of [rep(0, 4096), rep(0xff, 1)]) {
      expect(details(edit(file(good), [0, damage]))).toEqual([["BAD_CHECKSUM", "corrupt", 0, true]]);
    }
  });
});

describe("findings that are no errors", () => {
  it("LEAK: the file goes on behind the block of the last cluster in use", () => {
    const bytes = file(good);
    const end = Math.ceil(bytes.length / 4096) * 4096;
    expect(bytes.length % 4096).not.toBe(0);
    for (const [length, leaks] of [
      [bytes.length + 1, false],
      [bytes.length + 512, false],
      [end, false],
      [end + 1, true],
      [end + 512, true],
    ] as const)
      expect(details(join(bytes, rep(0, length - bytes.length)))).toEqual(leaks ? [["LEAK", "leak", end, true]] : []);
    expect(details(file({ length: 8192 + 512 }))).toEqual([["LEAK", "leak", 8192, true]]);
    // Free space between clusters in use is none.
    const hole = file({ bitmaps: [{ ...base, clusters: [{ descriptor: 16384n + 1n }, "zeros"] }], length: 16896 });
    expect(found(hole)).toEqual([]);
    expect(found(join(hole, rep(0, 4096 - 512 + 1)))).toEqual(["leak LEAK file"]);
    // Nor is a last cluster that the file does not fill.
    expect(found(file({ bitmaps: [{ ...base, clusters: ["zeros", "zeros"] }] }).slice(0, 8704 + 24))).toEqual([]);
  });

  it("LEAK is not told where the place of everything is not known", () => {
    const bytes = file({ bitmaps: [{ ...base, l1Checksum: 1 }] });
    expect(found(join(bytes, rep(0, 4096)))).toEqual(["corrupt BAD_CHECKSUM l1_checksum a"]);
    const far = file({ bitmaps: [{ ...base, l1Offset: 2n ** 40n }] });
    expect(found(join(far, rep(0, 4096)))).toEqual(["corrupt OUT_OF_BOUNDS l1_table_offset a"]);
  });

  it("PADDING of an extension, of the end mark's length, of the header area behind", () => {
    const padded = (extensions: Uint8Array): unknown[] => details(file({ ...good, extensions }));
    expect(padded(join(tlv(5, rep(1, 3), { padding: 1 }), rep(0, 8)))).toEqual([
      ["PADDING", "noncanonical", 115, true],
    ]);
    expect(padded(join(tlv(5, rep(1, 8)), be(0, 4), be(7, 4)))).toEqual([["PADDING", "noncanonical", 124, true]]);
    expect(padded(join(tlv(5, rep(1, 8)), rep(0, 8), rep(1, 1)))).toEqual([["PADDING", "noncanonical", 128, true]]);
    const area = sealed(edit(file(good), [4095, rep(1, 1)]));
    const both = sealed(edit(area, [4096, area.slice(0, 4096)]), 4096);
    expect(details(both)).toEqual([["PADDING", "noncanonical", 112, true]]);
  });

  it("PADDING is not what only looks like an end mark: the end of an extension that fills its space", () => {
    const data = join(rep(1, 392), be(0, 4), be(5, 4));
    expect(found(file({ ...good, extensions: tlv(5, data) }))).toEqual([]);
  });

  it("PADDING of an entry, a record, an L1 area", () => {
    const one = (bitmap: object): unknown[] =>
      details(file({ bitmaps: [{ ...base, clusters: ["zeros", "zeros"], ...bitmap }] }));
    expect(one({ name: "abc", padding: 1 })).toEqual([["PADDING", "noncanonical", 8192 + 43, true]]);
    expect(one({ extra: tlv(10, rep(1, 3), { padding: 1 }) })).toEqual([
      ["PADDING", "noncanonical", 8192 + 40 + 11, true],
    ]);
    // 5000 bits in clusters of 1024 bytes: one entry, one checksum, four bytes of padding.
    const l1 = file({ clusterBits: 10, bitmaps: [{ ...base, clusters: ["zeros"], l1Padding: 1 }] });
    expect(details(l1)).toEqual([["PADDING", "noncanonical", 9216 + 12, true]]);
  });

  it("PADDING is not what is left of a cluster behind a structure", () => {
    const bytes = file({ bitmaps: [{ ...base, clusters: ["zeros", "zeros"] }] });
    expect(found(edit(bytes, [8192 + 48, rep(1, 100)], [8704 + 24, rep(1, 100)]))).toEqual([]);
    const draft = file({ draft: true, clusterBits: 13, bitmaps: [{ ...base, clusters: ["zeros"] }] });
    expect(found(edit(draft, [4096, rep(1, 1)]))).toEqual(["info UNPROTECTED header"]);
    expect(found(edit(draft, [4095, rep(1, 1)]))).toEqual([
      "info UNPROTECTED header",
      "noncanonical PADDING header extension",
    ]);
  });

  it("TAIL: a cluster is not zero behind the last bit", () => {
    // 5000 bits: the second cluster has 904 of them, 113 bytes.
    const tail = (...data: number[]): unknown[] =>
      details(file({ bitmaps: [{ ...base, clusters: ["zeros", bits(512, ...data)] }] }));
    expect(tail(903)).toEqual([]);
    for (const bit of [904, 911, 4095]) expect(tail(bit)).toEqual([["TAIL", "noncanonical", 9216, true]]);
    const odd = (bit: number): string[] =>
      found(file({ bitmaps: [{ size: 65536n * 5n, clusters: [bits(512, bit)] }] }));
    expect([odd(4), odd(5), odd(7), odd(8)]).toEqual([[], ...Array(3).fill(["noncanonical TAIL data cluster a"])]);
    // A full last cluster has no tail.
    expect(found(file({ bitmaps: [{ size: 65536n * 4096n, clusters: [rep(0xff, 512)] }] }))).toEqual([]);
  });

  it("BAD_RECORD: noncanonical, unsafe for a disk stamp, not repairable", () => {
    const one = (extra: Uint8Array): unknown[] =>
      details(file({ bitmaps: [{ extra }] })).map((row) => (row as unknown[]).filter((_, at) => at !== 2));
    expect(one(tlv(3, rep(1, 15)))).toEqual([["BAD_RECORD", "noncanonical", false]]);
    expect(one(tlv(2, rep(1, 23)))).toEqual([["BAD_RECORD", "unsafe", false]]);
    expect(one(tlv(7, rep(1, 23)))).toEqual([]);
    expect(found(file({ extensions: tlv(0x51444e4d, rep(1, 47)) }))).toEqual([
      "noncanonical BAD_RECORD header extension",
    ]);
  });

  it("NAME_TWINS: names that are equal under NFC, not byte for byte", () => {
    const names = (...all: string[]): string[] => found(file({ bitmaps: all.map((name) => ({ name })) }));
    expect(names("ä", "a\u0308", "a")).toEqual(["info NAME_TWINS bitmap table entry a\u0308"]);
    expect(names("ä", "Ä", "a")).toEqual([]);
    expect(names("ä", "ä")).toEqual(["corrupt DUPLICATE_NAME name ä", "corrupt DUPLICATE_NAME name ä"]);
  });

  it("MIRROR: bad, missing, or a commit that never happened", () => {
    const mirror = (bytes: Uint8Array): [string, string][] =>
      check(bytes).findings.map(({ code, severity, message }) => [
        `${severity} ${code}`,
        message.includes("commit") ? "commit" : "bad",
      ]);
    const next = file({ ...good, header: { generation: 2n } }).slice(0, 4096);
    expect(mirror(file({ ...good, mirror: next }))).toEqual([["info MIRROR", "commit"]]);
    expect(mirror(edit(file(good), [4096 + 4095, rep(1, 1)]))).toEqual([["info MIRROR", "bad"]]);
    expect(mirror(file({ ...good, mirror: rep(0, 4096) }))).toEqual([["info MIRROR", "bad"]]);
    expect(mirror(file({}).slice(0, 4096))).toEqual([["info MIRROR", "bad"]]);
  });

  it("UNPROTECTED: the file is in draft form", () => {
    expect(found(file({ draft: true, ...good }))).toEqual(["info UNPROTECTED header"]);
  });
});

describe("bits that cannot be used though nothing is broken", () => {
  it("are unsafe: in use, or of a later version", () => {
    const flagged = (flags: number): string[] => found(file({ bitmaps: [{ ...base, flags }] }));
    expect(flagged(2)).toEqual(["unsafe INCONSISTENT flags a"]);
    expect(flagged(8)).toEqual(["unsafe UNSUPPORTED_FEATURE flags a"]);
    expect(flagged(10)).toEqual(["unsafe UNSUPPORTED_FEATURE flags a", "unsafe INCONSISTENT flags a"]);
  });

  it("are looked at all the same", () => {
    for (const flags of [2, 8]) {
      const bytes = file({ bitmaps: [{ ...base, flags, clusters: [{ data: bits(512, 1), crc: 1 }, "zeros"] }] });
      expect(found(bytes).slice(1)).toEqual(["corrupt BAD_CHECKSUM descriptor a"]);
    }
  });
});

describe("damage of one bitmap", () => {
  it("is told of every bitmap, every entry, every cluster", () => {
    const clusters = [
      { descriptor: 4n },
      { data: bits(512, 1), crc: 5 },
      { descriptor: 2n ** 54n },
      { descriptor: 3n },
    ];
    const size = 65536n * 4096n * 4n;
    const bytes = file({
      header: { incompatible: 1n },
      bitmaps: [
        { name: "a", size, clusters },
        {
          name: "b",
          size,
          clusters: [{ data: bits(512, 1), crc: 5 }, "zeros", { data: bits(512, 2), crc: 5 }, "ones"],
        },
      ],
    });
    const places = check(bytes).findings.map((finding) => `${brief(finding)} ${finding.where.offset}`);
    expect(places).toEqual([
      "RESERVED_NOT_ZERO descriptor a 8704",
      "OUT_OF_BOUNDS descriptor a 8720",
      "BAD_FIELD descriptor a 8728",
      "BAD_CHECKSUM descriptor b 10240",
      "BAD_CHECKSUM descriptor b 10752",
    ]);
  });

  it("names the bitmap that it is of in its message or place", () => {
    const bytes = file({
      bitmaps: [
        { ...base, name: "a", reserved: 1 },
        { ...base, name: "b", l1Checksum: 1 },
      ],
    });
    expect(check(bytes).findings.map(({ where }) => where.bitmap)).toEqual(["a", "b"]);
  });
});

describe("check", () => {
  it("tells how far it is, in bits of all bitmaps whose L1 areas are good", async () => {
    const lost = { ...base, name: "lost", l1Checksum: 1 };
    const bytes = file({ bitmaps: [...(good.bitmaps ?? []), lost, { size: 0n, name: "empty" }] });
    const told: string[] = [];
    const onProgress = (done: number, total: number): number => told.push(`${done} of ${total}`);
    const codes: string[] = [];
    for await (const { code } of checkQdb(bytesSource(bytes), { onProgress })) codes.push(code);
    expect(codes).toEqual(["BAD_CHECKSUM"]);
    expect(told).toEqual(["5000 of 10000", "10000 of 10000"]);
  });

  it("never throws for what is in a file: every byte of its structures wrong in turn, the header's checksum right", () => {
    const full = file({ ...good, extensions: join(tlv(5, rep(1, 3)), rep(0, 8)) });
    const draft = file({ draft: true, ...good, extensions: join(tlv(5, rep(1, 3)), rep(0, 8)) });
    const places = [0, 512, 8192, 8704].flatMap((start) => Array.from({ length: 160 }, (_, at) => start + at));
    for (const at of places) {
      const flip = (bytes: Uint8Array): Uint8Array => edit(bytes, [at, rep((bytes[at] ?? 0) ^ 0x41, 1)]);
      for (const damaged of [flip(full), sealed(flip(full)), at < draft.length ? flip(draft) : draft]) {
        try {
          check(damaged);
        } catch (error) {
          if (!isQdbError(error, "BAD_MAGIC", "UNSUPPORTED_VERSION", "UNSUPPORTED_FEATURE")) throw error;
        }
      }
    }
  });
});
