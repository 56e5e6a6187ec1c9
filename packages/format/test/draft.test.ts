import type { BitmapEntry } from "@qdb/format/container";
import { describe, expect, it } from "vitest";
import { be, bits, edit, file, hex, join, rep, tlv, utf8 } from "./hand.ts";
import { check, dirtyRuns, fileError, found, index, problem, problems, readOne } from "./reading.ts";

/** A file in draft form, typed in by hand: clusters of 512 bytes, two bitmaps, an unknown extension and an unknown record. */
function draftFile(): Uint8Array {
  const header = hex(`
    51 44 42 00 00 00 00 01 00 00 00 09 00 00 00 02   | magic, version 1, cluster_bits 9, nb_bitmaps 2
    00 00 00 00 00 00 02 00 00 00 00 1c 00 00 00 00   | bitmaps_offset 512, header_length 28, four zeros
    0b ad ca fe 00 00 00 03 aa bb cc 00 00 00 00 00   | extension 0x0badcafe, 3 bytes, padding
    00 00 00 00 00 00 00 00`); //                       end mark
  const table = hex(`
    00 00 00 00 00 00 04 00 00 00 00 02 00 01 00 00   | l1_table_offset 1024, l1_size 2, granularity 65536
    00 00 00 00 11 e1 a3 00 00 01 00 05 00 00 00 00   | size 300000000, enabled, name_size 5, zero
    00 00 00 00 00 00 00 10                           | zero, extra_data_size 16
    00 00 00 01 00 00 00 06 64 72 69 76 65 30 00 00   | record disk "drive0"
    64 61 69 6c 79 00 00 00                           | "daily"
    00 00 00 00 00 00 08 00 00 00 00 01 00 00 02 00   | l1_table_offset 2048, l1_size 1, granularity 512
    00 00 00 00 00 00 20 01 00 00 00 07 00 00 00 00   | size 8193: 17 bits; disabled, name_size 7
    00 00 00 00 00 00 00 00
    77 c3 b6 63 68 65 6e 00`); //                       "wöchen"
  const l1 = hex("00 00 00 00 00 00 06 00  00 00 00 00 00 00 00 01"); // a cluster at 1536, then zeros by bit 0
  const data = hex("01 00 00 00 00 00 00 00 00 00 03 00 00 00 00 00"); // bits 0, 80, 81
  const l1b = hex("00 00 00 00 00 00 0a 00");
  const datab = hex("00 80 ff"); // bit 15; of the third byte only bit 16 is one of the bitmap's
  return edit(new Uint8Array(3072), [0, header], [512, table], [1024, l1], [1536, data], [2048, l1b], [2560, datab]);
}

describe("a draft file typed in by hand", () => {
  const bytes = draftFile();

  it("reads: names, sizes, granularity, flags, records", () => {
    const { form, header, table, extensions, headerOffset } = index(bytes);
    expect([form, headerOffset, header.clusterBits, header.nbBitmaps, header.bitmapsOffset]).toEqual([
      "draft",
      0,
      9,
      2,
      512n,
    ]);
    expect(extensions).toEqual([{ type: 0x0badcafe, data: hex("aabbcc") }]);
    expect(table.entries.map((entry) => [entry.name, ...shapeAndFlags(entry)])).toEqual([
      ["daily", 300_000_000n, 65536, 1],
      ["wöchen", 8193n, 512, 0],
    ]);
    expect(table.entries[0]?.parseRecords()).toEqual([{ type: 1, data: utf8("drive0") }]);
    expect(table.entries[1]?.parseRecords()).toEqual([]);
  });

  it("has exactly the bits that were typed, and none from behind the last one", () => {
    expect(dirtyRuns(bytes, 0)).toBe("0 80-81");
    expect(dirtyRuns(bytes, 1)).toBe("15-16");
    expect(readOne(bytes, 1).bitmap?.toBytes()).toEqual(hex("00 80 01"));
  });

  it("is told to be unprotected, and nothing worse", () => {
    const { findings, complete, counts } = check(bytes);
    expect(findings.map(({ code, severity }) => `${severity} ${code}`)).toEqual([
      "info UNPROTECTED",
      "noncanonical TAIL",
    ]);
    expect(complete).toBe(true);
    expect(counts).toEqual({ corrupt: 0, unsafe: 0, leak: 0, noncanonical: 1, info: 1 });
  });

  it("gives other bits, not an error, where a bit of its data is damaged: it has no checksums", () => {
    expect(dirtyRuns(edit(bytes, [1536, hex("03")]), 0)).toBe("0-1 80-81");
  });

  it.each([
    ["version", 4, be(2, 4), "UNSUPPORTED_VERSION version"],
    ["header_length", 24, be(32, 4), "BAD_CHECKSUM header_checksum"],
    ["bytes 28-31", 31, hex("01"), "BAD_CHECKSUM header_checksum"],
    ["magic", 3, hex("01"), "BAD_MAGIC header"],
    ["cluster_bits 8", 8, be(8, 4), "BAD_FIELD cluster_bits"],
    ["cluster_bits 22", 8, be(22, 4), "BAD_FIELD cluster_bits"],
    ["nb_bitmaps", 12, be(65536, 4), "LIMIT nb_bitmaps"],
    ["no bitmaps, but a table", 12, be(0, 4), "BAD_FIELD bitmaps_offset"],
    ["bitmaps_offset 0", 16, be(0, 8), "BAD_FIELD bitmaps_offset"],
    ["bitmaps_offset misaligned", 16, be(520, 8), "MISALIGNED bitmaps_offset"],
    ["bitmaps_offset at the end", 16, be(4096, 8), "OUT_OF_BOUNDS bitmaps_offset"],
    ["an extension past the cluster", 36, be(473, 4), "BAD_FIELD length"],
    ["a third bitmap", 12, be(3, 4), "ok"],
  ])("is refused for structural damage: %s", (_what, at, value, expected) => {
    // A file of 4096 bytes, so that the errors of section 2.4 for short files do not come first.
    const damaged = edit(join(bytes, new Uint8Array(1024)), [at, value]);
    expect(fileError(damaged)).toBe(expected);
  });

  it("takes an entry of zeros behind the last for one whose bits cannot be used", () => {
    expect(problems(edit(bytes, [12, be(3, 4)]))).toEqual(["ok", "ok", "BAD_FIELD name_size "]);
  });

  it("is TRUNCATED where its first cluster is not whole", () => {
    for (const length of [4, 27, 28, 31, 32, 511]) expect(fileError(bytes.slice(0, length))).toContain("TRUNCATED");
    for (const length of [0, 3]) expect(fileError(bytes.slice(0, length))).toBe("BAD_MAGIC header");
    expect(fileError(bytes.slice(0, 512))).toBe("OUT_OF_BOUNDS bitmaps_offset");
    expect(fileError(bytes.slice(0, 512 + 111))).toBe("OUT_OF_BOUNDS bitmap table");
    expect(problems(bytes.slice(0, 512 + 112))).toEqual([
      "OUT_OF_BOUNDS l1_table_offset daily",
      "OUT_OF_BOUNDS l1_table_offset wöchen",
    ]);
    // With cluster_bits above 21 there is no first cluster to be whole.
    expect(fileError(edit(bytes, [8, be(21, 4)]))).toContain("TRUNCATED");
    expect(fileError(edit(bytes, [8, be(22, 4)]))).toBe("BAD_FIELD cluster_bits");
  });
});

describe("draft form", () => {
  const bitmap = { size: 65536n * 8n, clusters: [bits(1, 3)] };
  const draft = (change: Parameters<typeof file>[0]): Uint8Array => file({ draft: true, bitmaps: [bitmap], ...change });

  it("has no reserved bytes in an entry: 28-31 and 32-35 are zero", () => {
    expect(problem(draft({}))).toBe("ok");
    expect(problem(draft({ bitmaps: [{ ...bitmap, l1Checksum: 1 }] }))).toBe("RESERVED_NOT_ZERO l1_checksum a");
    expect(problem(draft({ bitmaps: [{ ...bitmap, reserved: 1 }] }))).toBe("RESERVED_NOT_ZERO reserved a");
  });

  it("has no all-ones clusters: bit 1 is reserved", () => {
    expect(problem(draft({ bitmaps: [{ ...bitmap, clusters: ["ones"] }] }))).toBe("RESERVED_NOT_ZERO descriptor a");
  });

  it("may have its structures anywhere past the first cluster, in any order", () => {
    const l1 = be(512, 8);
    const entry = file({ draft: true, bitmaps: [{ ...bitmap, l1Offset: 1024n }] }).slice(512, 512 + 48);
    const backward = edit(
      new Uint8Array(2048),
      [0, file({ draft: true, bitmaps: [bitmap], header: { bitmapsOffset: 1536n } }).slice(0, 512)],
      [512, bits(1, 5)],
      [1024, l1],
      [1536, entry],
    );
    expect(dirtyRuns(backward, 0)).toBe("5");
    expect(found(backward)).toEqual(["info UNPROTECTED header"]);
    expect(problem(edit(backward, [1024, be(0, 6)], [1030, be(0x0200, 2)]))).toBe("ok");
  });

  it("keeps the first cluster, and nothing else, for the header", () => {
    expect(fileError(draft({ header: { bitmapsOffset: 512n } }))).toBe("ok");
    for (const l1Offset of [1024n, 512n]) {
      const expected = l1Offset === 512n ? "OVERLAP l1_table_offset a" : "ok";
      expect(problem(draft({ bitmaps: [{ ...bitmap, l1Offset }] }))).toBe(expected);
    }
    // A table over the header is an offset of 0, which has its own rule; 4 KiB clusters show the same for data.
    const data = draft({ clusterBits: 12, bitmaps: [{ ...bitmap, clusters: [{ descriptor: 4096n }] }] });
    expect(problem(data)).toBe("OVERLAP descriptor a");
  });

  it("has its extensions at 32, in at most 4096 bytes of the first cluster", () => {
    const fits = (length: number): Uint8Array => draft({ extensions: tlv(7, rep(1, length)) });
    expect(index(fits(472)).extensions.map(({ data }) => data.length)).toEqual([472]);
    expect(index(draft({ clusterBits: 13, extensions: tlv(7, rep(1, 4056)) })).extensions).toHaveLength(1);
    expect(fileError(draft({ clusterBits: 13, extensions: tlv(7, rep(1, 4057)) }))).toBe("BAD_FIELD length");
  });

  it("takes a file without bitmaps", () => {
    expect(problems(file({ draft: true }))).toEqual([]);
    expect(fileError(file({ draft: true, header: { bitmapsOffset: 512n }, length: 1024 }))).toBe(
      "BAD_FIELD bitmaps_offset",
    );
  });
});

function shapeAndFlags(entry: BitmapEntry): [size: bigint, granularity: number, flags: number] {
  const { size, granularity, flags } = entry.decodeFields();
  return [size, granularity, flags];
}
