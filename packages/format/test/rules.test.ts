// Every rule of the header, the extensions, the table's entries and the L1 entries: a value just inside, one just outside.
import { crc32 } from "node:zlib";
import { extensionName } from "@qdb/format/container";
import { describe, expect, it } from "vitest";
import { be, bits, edit, file, hex, join, named, rep, sealed, tlv, utf8 } from "./hand.ts";
import { dirtyRuns, fileError, found, index, problem, problems, thrown } from "./reading.ts";

describe("the header", () => {
  const where = (header: Parameters<typeof file>[0]["header"]): unknown =>
    thrown(() => index(file({ bitmaps: [{}], header: header ?? {} }))).where;

  it("tells field and file offset of what is wrong", () => {
    expect(where({ clusterBits: 8 })).toEqual({ structure: "header", field: "cluster_bits", offset: 8 });
    expect(where({ nbBitmaps: 65536 })).toEqual({ structure: "header", field: "nb_bitmaps", offset: 12 });
    expect(where({ bitmapsOffset: 1n })).toEqual({ structure: "header", field: "bitmaps_offset", offset: 16 });
    expect(where({ headerLength: 112 + 4 })).toEqual({ structure: "header", field: "header_length", offset: 24 });
    expect(where({ generation: 0n })).toEqual({ structure: "header", field: "generation", offset: 56 });
    expect(where({ version: 9 })).toEqual({ structure: "header", field: "version", offset: 4 });
    // Of a mirror that was used, the place in the mirror.
    const mirror = edit(file({ bitmaps: [{}], header: { generation: 0n } }), [0, rep(0, 4)]);
    expect(thrown(() => index(mirror)).where.offset).toBe(4096 + 56);
  });

  it.each([
    [8, "BAD_FIELD cluster_bits"],
    [9, "ok"],
    [21, "ok"],
    [22, "BAD_FIELD cluster_bits"],
    [0xffffffff, "BAD_FIELD cluster_bits"],
  ])("has cluster_bits 9..21: %i", (clusterBits, expected) => {
    expect(fileError(file({ clusterBits: Math.min(clusterBits, 21), header: { clusterBits } }))).toBe(expected);
  });

  it.each([
    [96, "BAD_FIELD header_length"],
    [103, "BAD_FIELD header_length"],
    [104, "ok"],
    [108, "BAD_FIELD header_length"],
    [112, "ok"],
    [512, "ok"],
    [520, "BAD_FIELD header_length"],
    [0, "BAD_FIELD header_length"],
    [0xfffffff8, "BAD_FIELD header_length"],
  ])("has a header_length of 104 to the cluster size, in eights: %i", (headerLength, expected) => {
    expect(fileError(file({ bitmaps: [{}], header: { headerLength } }))).toBe(expected);
  });

  it("has a header_length of at most 4096, however large the clusters are", () => {
    expect(fileError(file({ clusterBits: 14, header: { headerLength: 4096 } }))).toBe("ok");
    expect(fileError(file({ clusterBits: 14, header: { headerLength: 4104 } }))).toBe("BAD_FIELD header_length");
  });

  it("has a generation from 1 to 2^64-1", () => {
    expect(fileError(file({ header: { generation: 0n } }))).toBe("BAD_FIELD generation");
    expect(index(file({ header: { generation: 2n ** 64n - 1n } })).header.generation).toBe(2n ** 64n - 1n);
  });

  it("has its table inside the file, at a cluster's start, behind the mirror", () => {
    const at = (bitmapsOffset: bigint): string => fileError(file({ bitmaps: [{}], header: { bitmapsOffset } }));
    expect(at(8192n)).toBe("ok");
    expect(at(8193n)).toBe("MISALIGNED bitmaps_offset");
    expect(at(8192n - 512n)).toBe("OVERLAP bitmaps_offset");
    expect(at(512n)).toBe("OVERLAP bitmaps_offset");
    expect(at(8704n)).toBe("OUT_OF_BOUNDS bitmaps_offset");
    expect(at(2n ** 53n)).toBe("OUT_OF_BOUNDS bitmaps_offset");
    expect(at(2n ** 53n + 1n)).toBe("MISALIGNED bitmaps_offset");
    expect(at(2n ** 64n - 512n)).toBe("OUT_OF_BOUNDS bitmaps_offset");
    expect(at(2n ** 64n - 1n)).toBe("MISALIGNED bitmaps_offset");
    // To the last byte of the table, not of its cluster.
    const one = file({ bitmaps: [{}] });
    expect(fileError(one.slice(0, 8192 + 48))).toBe("ok");
    expect(fileError(one.slice(0, 8192 + 47))).toBe("OUT_OF_BOUNDS bitmaps_offset");
    expect(fileError(file({ clusterBits: 13, bitmaps: [{}], header: { bitmapsOffset: 8192n } }))).toBe(
      "OVERLAP bitmaps_offset",
    );
  });

  it("has the sum of its entries for bitmaps_size", () => {
    const sized = (bitmapsSize: number): string => {
      const bytes = file({ bitmaps: [{}, { name: "b" }] });
      const table = bytes.subarray(8192, 8192 + bitmapsSize);
      return fileError(sealed(edit(bytes, [28, be(bitmapsSize, 4)], [64, be(crc32(table), 4)])));
    };
    expect(sized(96)).toBe("ok");
    for (const size of [0, 8, 47, 48, 88, 95]) expect(sized(size)).toBe("OUT_OF_BOUNDS bitmap table");
    for (const size of [97, 104, 144]) expect(sized(size)).toBe("BAD_FIELD bitmaps_size");
  });

  it("takes 65535 bitmaps and a table of 64 MiB, not one more", () => {
    const huge = (nbBitmaps: number, bitmapsSize: number): string => {
      const bytes = new Uint8Array(8192 + 2 ** 26 + 512);
      bytes.set(file({ header: { nbBitmaps, bitmapsOffset: 8192n, bitmapsSize, tableChecksum: 1 } }));
      return fileError(bytes);
    };
    expect(huge(65535, 2 ** 26)).toBe("BAD_CHECKSUM bitmap table");
    expect(huge(65536, 2 ** 26)).toBe("LIMIT nb_bitmaps");
    expect(huge(65535, 2 ** 26 + 1)).toBe("LIMIT bitmaps_size");
  });
});

describe("the header extensions", () => {
  const extended = (extensions: Uint8Array, more: Parameters<typeof file>[0] = {}): Uint8Array =>
    file({ ...more, extensions });
  const types = (extensions: Uint8Array): number[] => index(extended(extensions)).extensions.map(({ type }) => type);

  it("end at an end mark, whose length decides nothing, or with their space", () => {
    expect(types(join(tlv(1, rep(1, 3)), rep(0, 8), tlv(2, rep(0, 0))))).toEqual([1]);
    expect(types(join(tlv(1, rep(1, 3)), be(0, 4), be(0xffffffff, 4), tlv(2, rep(0, 0))))).toEqual([1]);
    // 104..512: 408 bytes are there.
    expect(types(tlv(1, rep(1, 400)))).toEqual([1]);
    expect(types(join(tlv(1, rep(1, 392)), tlv(2, rep(0, 0))))).toEqual([1, 2]);
    expect(types(new Uint8Array(0))).toEqual([]);
  });

  it("end, with their padding, inside the smaller of a cluster and 4096 bytes", () => {
    expect(fileError(extended(tlv(1, rep(1, 401))))).toBe("BAD_FIELD length");
    expect(fileError(extended(join(tlv(1, rep(1, 392)), be(2, 4), be(1, 4))))).toBe("BAD_FIELD length");
    for (const length of [0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff, 401]) {
      expect(fileError(extended(join(be(1, 4), be(length, 4))))).toBe("BAD_FIELD length");
    }
    expect(fileError(extended(tlv(1, rep(1, 3984)), { clusterBits: 14 }))).toBe("ok");
    expect(fileError(extended(tlv(1, rep(1, 3985)), { clusterBits: 14 }))).toBe("BAD_FIELD length");
  });

  it("tell where what is wrong stands", () => {
    const error = thrown(() => index(extended(join(tlv(1, rep(1, 3)), tlv(1, rep(1, 3))))));
    expect([error.code, error.where]).toEqual([
      "DUPLICATE_TYPE",
      { structure: "header extension", field: "type", offset: 120 },
    ]);
  });

  it("behind a longer header start at its end", () => {
    const bytes = file({ unknownHeader: rep(0, 8), extensions: tlv(1, rep(1, 1)) });
    expect(index(bytes).extensions.map(({ type }) => type)).toEqual([1]);
  });

  const FEATURES = 0x6803f857;
  const NAMES = 0x51444e4d;
  const shown = (type: number, data: Uint8Array): { names: number; findings: string[] } => {
    const bytes = extended(tlv(type, data));
    return { names: index(bytes).features.length, findings: found(bytes) };
  };

  it.each([
    ["an entry of each kind", join(named(hex("00 00"), "x"), named(hex("01 3f"), "y"), named(hex("02 07"), "z")), 3],
    ["a name of 46 bytes", named(hex("00 01"), "x".repeat(46)), 1],
    ["an empty table", new Uint8Array(0), 0],
  ])("take a feature name table: %s", (_what, data, names) => {
    expect(shown(FEATURES, data)).toEqual({ names, findings: [] });
  });

  it.each([
    ["a kind of 3", named(hex("03 00"), "x")],
    ["bit 64", named(hex("00 40"), "x")],
    ["no name", named(hex("00 00"), "")],
    ["bytes behind the name", edit(named(hex("00 00"), "x"), [10, utf8("y")])],
    ["a name that is no UTF-8", edit(named(hex("00 00"), "x"), [2, hex("ff")])],
    ["47 bytes", named(hex("00 00"), "x").slice(0, 47)],
    ["49 bytes", join(named(hex("00 00"), "x"), rep(0, 1))],
  ])("show a feature name table that breaks its rules as unknown bytes, and go on: %s", (_what, data) => {
    expect(shown(FEATURES, data)).toEqual({ names: 0, findings: ["noncanonical BAD_RECORD header extension"] });
  });

  it("name extensions by the extension name table, but never those of version 1", () => {
    const table = join(named(be(0x0badcafe, 4), "cafe"), named(be(FEATURES, 4), "mine"));
    const { extensions } = index(extended(tlv(NAMES, table)));
    const names = [0x0badcafe, FEATURES, NAMES, 5].map((type) => extensionName(type, extensions));
    expect(names).toEqual(["cafe", "feature name table", "extension name table", undefined]);
    expect(found(extended(tlv(NAMES, table)))).toEqual([]);
    for (const broken of [table.slice(0, 95), edit(table, [4, rep(0, 44)]), edit(table, [20, utf8("x")])]) {
      expect(extensionName(0x0badcafe, index(extended(tlv(NAMES, broken))).extensions)).toBeUndefined();
      expect(found(extended(tlv(NAMES, broken)))).toEqual(["noncanonical BAD_RECORD header extension"]);
    }
  });
});

describe("a table entry", () => {
  const one = (bitmap: Parameters<typeof file>[0]["bitmaps"], clusterBits = 9): string =>
    problem(file({ clusterBits, ...(bitmap === undefined ? {} : { bitmaps: bitmap }) }));

  it.each([
    [0, "BAD_FIELD granularity a"],
    [1, "BAD_FIELD granularity a"],
    [256, "BAD_FIELD granularity a"],
    [511, "BAD_FIELD granularity a"],
    [512, "ok"],
    [513, "BAD_FIELD granularity a"],
    [768, "BAD_FIELD granularity a"],
    [2 ** 31 - 1, "BAD_FIELD granularity a"],
    [2 ** 31, "ok"],
    [2 ** 31 + 1, "BAD_FIELD granularity a"],
    [2 ** 32 - 1, "BAD_FIELD granularity a"],
  ])("has a granularity that is a power of two, 512..2^31: %i", (granularity, expected) => {
    expect(one([{ granularity, size: 1n, clusters: ["zeros"] }])).toBe(expected);
  });

  it.each([
    [2n ** 63n - 1n, "ok"],
    [2n ** 63n, "BAD_FIELD size a"],
    [2n ** 64n - 1n, "BAD_FIELD size a"],
  ])("has a size of at most 2^63-1: %i", (size, expected) => {
    // 2^63-1 bytes at 2^31: 2^32 bits, 512 MiB, 256 clusters of 2 MiB.
    const clusters = Array.from({ length: 256 }, () => "zeros" as const);
    expect(one([{ size, granularity: 2 ** 31, clusters }], 21)).toBe(expected);
  });

  it("has at most 2^32 bits, and all of them", () => {
    const clusters = ["ones" as const, ...Array.from({ length: 255 }, () => "zeros" as const)];
    const sized = (size: bigint): Uint8Array =>
      file({ clusterBits: 21, header: { incompatible: 1n }, bitmaps: [{ size, granularity: 512, clusters }] });
    expect(dirtyRuns(sized(2n ** 41n), 0)).toBe(`0-${2 ** 24 - 1}`);
    expect(problem(sized(2n ** 41n + 1n))).toBe("LIMIT size a");
    expect(problem(sized(2n ** 41n - 511n))).toBe("ok");
    const last = [...clusters.slice(1), "ones" as const];
    const bytes = file({
      clusterBits: 21,
      header: { incompatible: 1n },
      bitmaps: [{ size: 2n ** 41n - 511n, granularity: 512, clusters: last }],
    });
    expect(dirtyRuns(bytes, 0)).toBe(`${255 * 2 ** 24}-${2 ** 32 - 1}`);
  });

  it("has exactly the l1_size that its bits need", () => {
    const sized = (bitCount: bigint, l1Size: number): string =>
      one([
        { size: bitCount * 512n, granularity: 512, clusters: Array.from({ length: l1Size }, () => "zeros" as const) },
      ]);
    expect([sized(1n, 1), sized(4096n, 1), sized(4097n, 2), sized(8192n, 2), sized(8193n, 3)]).toEqual(
      Array(5).fill("ok"),
    );
    for (const wrong of [sized(1n, 2), sized(4096n, 2), sized(4097n, 1), sized(8192n, 1), sized(8192n, 3)])
      expect(wrong).toBe("BAD_FIELD l1_size a");
    expect(one([{ size: 1n }])).toBe("BAD_FIELD l1_size a");
  });

  it("of size 0 has nothing: l1_size, l1_table_offset and l1_checksum are 0", () => {
    expect(one([{ size: 0n }])).toBe("ok");
    expect(one([{ size: 0n, l1Size: 1 }])).toBe("BAD_FIELD l1_size a");
    expect(one([{ size: 0n, l1Offset: 8192n }])).toBe("BAD_FIELD l1_table_offset a");
    expect(one([{ size: 0n, l1Checksum: 1 }])).toBe("BAD_FIELD l1_checksum a");
    expect(dirtyRuns(file({ bitmaps: [{ size: 0n }] }), 0)).toBe("");
  });

  it("of size 0 that breaks another rule is refused by every reader, check among them", () => {
    expect(one([{ size: 0n, granularity: 7 }])).toBe("BAD_FIELD granularity a");
    expect(found(file({ bitmaps: [{ size: 0n, granularity: 7 }] }))).toEqual(["corrupt BAD_FIELD granularity a"]);
    expect(found(file({ bitmaps: [{ size: 0n, granularity: 0 }] }))).toEqual(["corrupt BAD_FIELD granularity a"]);
    expect(found(file({ bitmaps: [{ size: 0n, l1Offset: 8192n }] }))).toEqual(["corrupt BAD_FIELD l1_table_offset a"]);
  });

  it("has its reserved bytes zero", () => {
    expect(one([{ reserved: 1 }])).toBe("RESERVED_NOT_ZERO reserved a");
    expect(one([{ reserved: 0x80000000 }])).toBe("RESERVED_NOT_ZERO reserved a");
  });

  it("has its L1 area at a cluster's start", () => {
    const at = (l1Offset: bigint): string => one([{ size: 65536n, clusters: ["zeros"], l1Offset }]);
    expect(at(8704n)).toBe("ok");
    expect(at(8712n)).toBe("MISALIGNED l1_table_offset a");
    expect(at(2n ** 53n + 8n)).toBe("MISALIGNED l1_table_offset a");
    expect(at(2n ** 53n)).toBe("OUT_OF_BOUNDS l1_table_offset a");
    expect(at(0n)).toBe("BAD_FIELD l1_table_offset a");
  });

  it("tells where what is wrong stands", () => {
    const at = (bitmap: NonNullable<Parameters<typeof file>[0]["bitmaps"]>[number]): unknown => {
      const opened = index(file({ bitmaps: [{ name: "zz" }, { name: "a", ...bitmap }] }));
      return opened.problems.get(1)?.where;
    };
    const entry = (field: string, offset: number): object => ({
      structure: "bitmap table entry",
      field,
      offset: 8192 + 48 + offset,
      bitmap: "a",
    });
    expect(at({ granularity: 1 })).toEqual(entry("granularity", 12));
    expect(at({ size: 2n ** 63n })).toEqual(entry("size", 16));
    expect(at({ flags: 2 })).toEqual(entry("flags", 24));
    expect(at({ reserved: 1 })).toEqual(entry("reserved", 32));
    expect(at({ name: "a\0" })).toEqual({ ...entry("name", 40), bitmap: "a\0" });
    expect(at({ extra: tlv(0, rep(0, 0)) })).toEqual({
      structure: "extra data",
      field: "type",
      offset: 8192 + 48 + 40,
      bitmap: "a",
    });
  });
});

describe("the L1 area", () => {
  const SIZE = 2n * 4096n * 512n; // two clusters of 512 bytes
  const entries = (descriptor: bigint, crc = 0, incompatible = 1n): string =>
    problem(
      file({
        header: { incompatible },
        bitmaps: [{ size: SIZE, granularity: 512, clusters: [{ descriptor, crc }, bits(512, 9)] }],
      }),
    );

  it.each([2, 3, 4, 5, 6, 7, 8, 56, 57, 58, 59, 60, 61, 62, 63])("has bit %i of an entry zero", (bit) => {
    expect(entries(1n << BigInt(bit))).toBe("RESERVED_NOT_ZERO descriptor a");
    expect(entries((1n << BigInt(bit)) | 1n)).toBe("RESERVED_NOT_ZERO descriptor a");
  });

  it("reads zeros, ones, preallocations", () => {
    const runs = (descriptor: bigint): string =>
      dirtyRuns(
        file({
          header: { incompatible: 1n },
          bitmaps: [{ size: SIZE, granularity: 512, clusters: [{ descriptor }, bits(512, 9)] }],
          length: 12288,
        }),
        0,
      );
    expect(runs(0n)).toBe("4105");
    expect(runs(1n)).toBe("4105");
    expect(runs(10240n | 1n)).toBe("4105");
    expect(runs(2n)).toBe("0-4095 4105");
  });

  it("has ones only with incompatible bit 0, and then nothing beside", () => {
    expect(entries(2n, 0, 1n)).toBe("ok");
    expect(entries(2n, 0, 0n)).toBe("RESERVED_NOT_ZERO descriptor a");
    expect(entries(3n)).toBe("BAD_FIELD descriptor a");
    expect(entries(2n | 10240n)).toBe("BAD_FIELD descriptor a");
    expect(entries(2n, 1)).toBe("BAD_FIELD cluster_checksum a");
  });

  it("has no checksum where no cluster is read", () => {
    expect(entries(0n, 1)).toBe("BAD_FIELD cluster_checksum a");
    expect(entries(1n, 1)).toBe("BAD_FIELD cluster_checksum a");
    expect(entries(8704n | 1n, 1)).toBe("BAD_FIELD cluster_checksum a");
  });

  it("tells where the checksum of an entry stands", () => {
    const clusters = ["zeros" as const, { descriptor: 1n, crc: 9 }];
    const bytes = file({ bitmaps: [{ size: SIZE, granularity: 512, clusters }] });
    expect(thrown(() => dirtyRuns(bytes, 0)).where).toEqual({
      structure: "L1 checksum",
      field: "cluster_checksum",
      offset: 8704 + 2 * 8 + 4,
      bitmap: "a",
    });
  });

  it("is under a checksum, padding and all", () => {
    const bytes = file({ bitmaps: [{ size: 1n, clusters: [bits(1, 0)] }] });
    expect(dirtyRuns(bytes, 0)).toBe("0");
    for (let at = 8704; at < 8704 + 16; at++) {
      expect(problem(edit(bytes, [at, rep((bytes[at] ?? 0) ^ 1, 1)]))).toBe("BAD_CHECKSUM l1_checksum a");
    }
    // What else is in its cluster is nobody's.
    expect(problem(edit(bytes, [8704 + 16, rep(1, 1)]))).toBe("ok");
  });

  it("lies inside the file with its own bytes, its clusters with all of theirs", () => {
    const zeros = file({ bitmaps: [{ size: 1n, clusters: ["zeros"] }] });
    expect(problem(zeros.slice(0, 8704 + 16))).toBe("ok");
    expect(problem(zeros.slice(0, 8704 + 15))).toBe("OUT_OF_BOUNDS l1_table_offset a");
    const data = file({ bitmaps: [{ size: 1n, clusters: [bits(1, 0)] }] });
    expect(problem(data)).toBe("ok");
    expect(problem(data.slice(0, -1))).toBe("OUT_OF_BOUNDS descriptor a");
    const prealloc = (length: number): string =>
      problem(file({ bitmaps: [{ size: 1n, clusters: [{ descriptor: 9217n }] }], length }));
    expect([prealloc(9728), prealloc(9727)]).toEqual(["ok", "OUT_OF_BOUNDS descriptor a"]);
  });

  it("has data clusters under checksums, tail and all, verified before the tail is masked", () => {
    const bytes = file({ bitmaps: [{ size: 1n, clusters: [bits(1, 0)] }] });
    for (const at of [9216, 9217, 9727]) {
      expect(problem(edit(bytes, [at, rep((bytes[at] ?? 0) ^ 0x80, 1)]))).toBe("BAD_CHECKSUM descriptor a");
    }
    const tail = file({ bitmaps: [{ size: 65536n * 3n, clusters: [rep(0xff, 512)] }] });
    expect(dirtyRuns(tail, 0)).toBe("0-2");
    expect(problems(tail)).toEqual(["ok"]);
  });
});
