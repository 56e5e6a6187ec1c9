import { crc32 } from "node:zlib";
import { bytesSource, QdbError, type SyncByteSource } from "@qdb/format";
import { describe, expect, it } from "vitest";
import { be, bits, edit, file, hex, join, mirrorOf, named, rep, sealed, tlv } from "./hand.ts";
import { check, dirtyRuns, fileError, found, index, thrown } from "./reading.ts";

const BITMAP = { name: "daily", size: 65536n * 100n, flags: 1, clusters: [bits(13, 3, 64)] };
const FULL = file({ bitmaps: [BITMAP] });
const ALL_BITS = [9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21];

/** A source over bytes of which some ranges cannot be read. */
function unreadable(bytes: Uint8Array, ...ranges: readonly (readonly [from: number, to: number])[]): SyncByteSource {
  const source = bytesSource(bytes);
  return {
    size: bytes.length,
    readSync(offset, length) {
      for (const [from, to] of ranges) {
        if (offset < to && offset + length > from) throw new QdbError("IO", "Input/output error", { offset: from });
      }
      return source.readSync(offset, length);
    },
  };
}

/** Where the header that was used stood, with the bits found through it. */
function opened(source: Uint8Array | SyncByteSource): [headerOffset: number, runs: string] {
  return [index(source).headerOffset, dirtyRuns(source, 0)];
}

describe("opening rule (b): a primary with good magic and checksum", () => {
  it.each(ALL_BITS)("is the header, cluster_bits %i", (clusterBits) => {
    const bytes = file({ clusterBits, bitmaps: [BITMAP] });
    expect(index(bytes).form).toBe("full");
    expect(opened(bytes)).toEqual([0, "3 64"]);
    expect(found(bytes)).toEqual([]);
  });

  it("is the header, whatever the mirror says", () => {
    const newer = file({ bitmaps: [BITMAP], header: { generation: 9n } }).slice(0, 4096);
    for (const mirror of [rep(0, 4096), rep(0xff, 4096), newer]) {
      const bytes = file({ bitmaps: [BITMAP], mirror });
      expect(opened(bytes)).toEqual([0, "3 64"]);
      expect(index(bytes).header.generation).toBe(1n);
    }
  });

  it("is refused for its version only with a good checksum, and never through an older mirror", () => {
    expect(fileError(file({ bitmaps: [BITMAP], header: { version: 2 } }))).toBe("UNSUPPORTED_VERSION version");
    const older = file({ bitmaps: [BITMAP], header: { version: 2 }, mirror: FULL.slice(0, 4096) });
    expect(fileError(older)).toBe("UNSUPPORTED_VERSION version");
    expect(fileError(edit(older, [4, be(3, 4)]))).toBe("ok");
  });

  it("may be longer than this version knows: the unknown bytes are kept, the extensions stand behind them", () => {
    const unknownHeader = rep(0xee, 24);
    const bytes = file({ bitmaps: [BITMAP], unknownHeader, extensions: tlv(9, hex("99")) });
    expect(index(bytes).unknownHeader).toEqual(unknownHeader);
    expect(index(bytes).extensions).toEqual([{ type: 9, data: hex("99") }]);
    expect(opened(edit(bytes, [0, rep(0, 512)]))).toEqual([4096, "3 64"]);
  });

  it("is refused for an unknown incompatible bit, by the bit's number and the name that the file gives it", () => {
    const features = join(named(hex("01 05"), "other kind"), named(hex("00 05"), "sub\u202eclusters\n"));
    const bytes = file({ header: { incompatible: 0x8000_0000_0000_0021n }, extensions: tlv(0x6803f857, features) });
    const error = thrown(() => index(bytes));
    expect(error.code).toBe("UNSUPPORTED_FEATURE");
    expect(error.where).toEqual({ structure: "header", field: "incompatible_features", offset: 32 });
    expect(error.message).toContain(String.raw`bit 5 ("sub\u202eclusters\x0a"), bit 63, which`);
    expect(error.message).not.toContain("all-ones");
  });

  it("names an unknown incompatible bit even where the rest of the header is broken", () => {
    const names = tlv(0x6803f857, named(hex("00 05"), "five"));
    for (const header of [{ clusterBits: 40 }, { headerLength: 0xffffffff }, { bitmapsSize: 0xffffffff }]) {
      const error = thrown(() => index(file({ header: { ...header, incompatible: 32n }, extensions: names })));
      expect([error.code, error.message.includes("bit 5")]).toEqual(["UNSUPPORTED_FEATURE", true]);
    }
  });

  it("may have any compatible and autoclear bits", () => {
    const all = 0xffff_ffff_ffff_ffffn;
    const bytes = file({ bitmaps: [BITMAP], header: { compatible: all, autoclear: all, incompatible: 1n } });
    expect(opened(bytes)).toEqual([0, "3 64"]);
    expect([index(bytes).header.compatibleFeatures, index(bytes).header.autoclearFeatures]).toEqual([all, all]);
  });
});

describe("opening rule (a): draft form", () => {
  const draft = file({ draft: true, bitmaps: [BITMAP], clusterBits: 12 });

  it("needs magic, version 1, header_length 28 and four zeros, and no checksum", () => {
    expect(index(draft).form).toBe("draft");
    expect(fileError(edit(draft, [28, be(1, 4)]))).toBe("BAD_CHECKSUM header_checksum");
    expect(fileError(edit(draft, [24, be(104, 4)]))).toBe("BAD_CHECKSUM header_checksum");
    expect(fileError(edit(draft, [4, be(2, 4)]))).toBe("UNSUPPORTED_VERSION version");
  });

  it("comes before a good checksum and before a good mirror", () => {
    // header_length 28 with a good checksum is a draft where bytes 28-31 are zero, and a broken full header where not.
    expect(index(file({ header: { headerLength: 28 } })).form).toBe("draft");
    expect(fileError(file({ bitmaps: [BITMAP], header: { headerLength: 28 } }))).toBe("BAD_FIELD header_length");
    const overFull = edit(FULL, [0, file({ draft: true }).slice(0, 32)]);
    expect(index(overFull).form).toBe("draft");
  });

  it("does not look at the version of what is no draft for anything but the version", () => {
    expect(fileError(sealed(edit(draft, [4, be(2, 4)])))).toBe("UNSUPPORTED_VERSION version");
  });
});

describe("opening rule (c): a damaged primary", () => {
  it.each(ALL_BITS)("is spoken for by the mirror at H, cluster_bits %i", (clusterBits) => {
    const bytes = file({ clusterBits, bitmaps: [BITMAP] });
    const h = mirrorOf(clusterBits);
    for (const damage of [rep(0, 4096), rep(0xff, 512), be(0, 4), be(0x51444201, 4)])
      expect(opened(edit(bytes, [0, damage]))).toEqual([h, "3 64"]);
    // Magic good: version, cluster_bits, a byte of the padding.
    for (const [at, value] of [
      [7, 2],
      [11, 22],
      [4095, 1],
      [70, 0x55],
    ] as const)
      expect(opened(edit(bytes, [at, be(value, 1)]))).toEqual([h, "3 64"]);
    expect(found(edit(bytes, [0, rep(0, 4096)]))).toEqual(["corrupt BAD_CHECKSUM header"]);
  });

  it.each(ALL_BITS)(
    "is not spoken for by a header area at another offset than its own H, cluster_bits %i",
    (clusterBits) => {
      const area = file({ clusterBits, bitmaps: [BITMAP] }).slice(0, 4096);
      for (let exponent = 12; exponent <= 21; exponent++) {
        const bytes = edit(new Uint8Array(2 ** 22), [0, hex("51444200 00000001")], [2 ** exponent, area]);
        // Where the candidate counts, it still has no table.
        const counts = 2 ** exponent === mirrorOf(clusterBits);
        const { where, message } = thrown(() => index(bytes));
        expect([where.field, message.includes(`mirror at ${2 ** exponent}`)]).toEqual([
          counts ? undefined : "header_checksum",
          counts,
        ]);
      }
    },
  );

  const damaged = edit(FULL, [0, rep(0, 4)]);
  const withMirror = (header: Parameters<typeof file>[0]["header"], more: object = {}): string =>
    fileError(edit(file({ bitmaps: [BITMAP], header: header ?? {}, ...more }), [0, rep(0, 4)]));

  it("takes a candidate only with good magic, checksum, version, header_length and cluster_bits", () => {
    expect(fileError(damaged)).toBe("ok");
    expect(withMirror({ magic: 0x51444201 })).toBe("BAD_MAGIC header");
    expect(withMirror({ headerChecksum: 1 })).toBe("BAD_MAGIC header");
    expect(withMirror({ version: 2 })).toBe("BAD_MAGIC header");
    expect(withMirror({ version: 0 })).toBe("BAD_MAGIC header");
    expect(withMirror({ headerLength: 96 })).toBe("BAD_MAGIC header");
    expect(withMirror({ headerLength: 28 })).toBe("BAD_MAGIC header");
    for (const clusterBits of [0, 8, 13, 22, 0xffffffff]) expect(withMirror({ clusterBits })).toBe("BAD_MAGIC header");
    for (const clusterBits of [10, 11, 12]) expect(withMirror({ clusterBits })).toBe("ok");
    // What is wrong with the fields of a candidate comes out once it is chosen.
    expect(withMirror({ headerLength: 108 })).toBe("BAD_FIELD header_length");
    expect(withMirror({ generation: 0n })).toBe("BAD_FIELD generation");
    expect(withMirror({ incompatible: 2n })).toBe("UNSUPPORTED_FEATURE incompatible_features");
  });

  it("refuses a lone candidate whose table checksum is not good", () => {
    expect(withMirror({ tableChecksum: 1 })).toBe("BAD_CHECKSUM header");
    expect(withMirror({ bitmapsSize: 56 })).toBe("BAD_CHECKSUM header");
    expect(withMirror({ bitmapsOffset: 2n ** 40n })).toBe("BAD_CHECKSUM header");
    expect(withMirror({ bitmapsOffset: 2n ** 63n })).toBe("BAD_CHECKSUM header");
    expect(withMirror({ bitmapsSize: 2 ** 32 - 1 })).toBe("BAD_CHECKSUM header");
    expect(fileError(edit(damaged, [8192 + 40, rep(0x55, 1)]))).toBe("BAD_CHECKSUM header");
    expect(fileError(unreadable(damaged, [8192, 8193]))).toBe("IO header");
  });

  it("takes a candidate without bitmaps", () => {
    const empty = edit(file({}), [0, rep(0, 4096)]);
    expect(index(empty).headerOffset).toBe(4096);
    expect(index(empty).table.entries).toEqual([]);
    expect(withMirror({}, { bitmaps: [] })).toBe("ok");
  });

  it("refuses two candidates, never taking the newest", () => {
    const at4096 = file({ bitmaps: [BITMAP], length: 40000 });
    const at8192 = file({ clusterBits: 13, bitmaps: [BITMAP], header: { generation: 9n } }).slice(0, 4096);
    const both = edit(at4096, [0, rep(0, 4096)], [32768, at4096.slice(8192, 12288)], [8192, at8192]);
    const error = thrown(() => index(both));
    expect([error.code, error.message.includes("4096 and 8192")]).toEqual(["BAD_CHECKSUM", true]);
    expect(fileError(edit(both, [0, at4096.slice(0, 4096)]))).toBe("BAD_CHECKSUM bitmap table");
    // With magic, the same; and without the first of the two, the second speaks.
    expect(fileError(edit(both, [0, hex("51444200")]))).toBe("BAD_CHECKSUM header");
    const table = file({ clusterBits: 13, bitmaps: [BITMAP] }).slice(16384);
    expect(opened(edit(join(both, rep(0, 8192)), [4096, rep(0, 1)], [16384, table]))).toEqual([8192, "3 64"]);
  });

  it("gives BAD_MAGIC, TRUNCATED, UNSUPPORTED_VERSION, BAD_CHECKSUM in this order where there is no candidate", () => {
    const none = file({ bitmaps: [BITMAP], mirror: "none" });
    const magic = be(0, 4);
    const version = be(2, 4);
    const byte = rep(1, 1);
    expect(fileError(edit(none, [0, magic], [4, version]).slice(0, 100))).toBe("BAD_MAGIC header");
    expect(fileError(edit(none, [0, magic], [4, version]))).toBe("BAD_MAGIC header");
    expect(fileError(edit(none, [4, version], [99, byte]).slice(0, 4095))).toBe("TRUNCATED header");
    expect(fileError(none.slice(0, 4095))).toBe("TRUNCATED header");
    expect(fileError(none.slice(0, 4))).toBe("TRUNCATED header");
    expect(fileError(none.slice(0, 3))).toBe("BAD_MAGIC header");
    expect(fileError(new Uint8Array(0))).toBe("BAD_MAGIC header");
    expect(fileError(edit(none, [4, version], [99, byte]).slice(0, 4096))).toBe("UNSUPPORTED_VERSION version");
    expect(fileError(edit(none, [99, byte]))).toBe("BAD_CHECKSUM header_checksum");
    expect(fileError(none.slice(0, 4096))).toBe("OUT_OF_BOUNDS bitmaps_offset");
  });

  it("is not spoken for by a mirror that the file cuts", () => {
    expect(fileError(damaged.slice(0, 8192))).toBe("BAD_CHECKSUM header");
    expect(fileError(damaged.slice(0, 8191))).toBe("BAD_MAGIC header");
  });
});

describe("bytes that cannot be read are wrong bytes", () => {
  it("in the primary: the mirror speaks for it", () => {
    for (const range of [
      [0, 512],
      [4095, 4096],
      [0, 4096],
      [512, 1024],
    ] as const) {
      const source = unreadable(FULL, range);
      expect(opened(source)).toEqual([4096, "3 64"]);
      expect(found(source)).toEqual(["corrupt BAD_CHECKSUM header"]);
    }
  });

  it("in the mirror: only check speaks of it", () => {
    const source = unreadable(FULL, [4096, 4608]);
    expect(opened(source)).toEqual([0, "3 64"]);
    expect(found(source)).toEqual(["info MIRROR mirror"]);
  });

  it("in both: an error of reading, whatever stands in the bytes that can be read", () => {
    const newer = edit(FULL, [4, be(2, 4)]);
    const other = edit(FULL, [0, be(0, 4)]);
    const cases: readonly (readonly [SyncByteSource, what: string])[] = [
      [unreadable(FULL, [0, 9728]), "the header"],
      [unreadable(FULL, [0, 8192]), "the header"],
      [unreadable(FULL, [0, 512], [4096, 4608]), "the header"],
      [unreadable(FULL, [512, 1024], [4096, 8192]), "the header"],
      [unreadable(newer, [512, 1024], [4096, 8192]), "the header"],
      // The primary is read and wrong; the mirror that could speak for it is not.
      [unreadable(other, [4096, 8192]), "the place of a mirror"],
      [unreadable(edit(FULL, [99, be(0x55, 1)]), [8191, 8192]), "the place of a mirror"],
      [unreadable(newer, [4096, 8192]), "the place of a mirror"],
      // A mirror is found, but what it must agree with is not read; and two are found.
      [unreadable(FULL, [0, 512], [8192, 8193]), "the header"],
      [unreadable(other, [8192, 8193]), "the bitmap table of a mirror"],
      [
        unreadable(edit(file({ length: 2 ** 14 }), [8192, file({ clusterBits: 13 }).slice(0, 4096)]), [0, 1]),
        "the header",
      ],
    ];
    for (const [source, what] of cases) {
      for (const look of [() => index(source), () => check(source)]) {
        const error = thrown(look);
        expect([error.code, error.message]).toEqual(["IO", `${what} cannot be read: Input/output error`]);
        expect(error.where.structure).toBe("header");
      }
    }
  });

  it("where a source gives fewer than it announced: reported, where no header is found", () => {
    const short: SyncByteSource = { size: FULL.length, readSync: (_offset, length) => rep(0, length - 1) };
    expect(fileError(short)).toBe("SHORT_READ header");
  });

  it("in a draft's header area, behind its header: it is still a draft", () => {
    const draft = file({ draft: true, bitmaps: [BITMAP], length: 8192 });
    expect(opened(unreadable(draft, [3584, 4096]))).toEqual([0, "3 64"]);
    expect(fileError(unreadable(draft, [0, 512]))).toBe("IO header");
    // What stands before the bad sector is read, extensions too.
    const extensions = join(tlv(5, rep(1, 600)), tlv(6, rep(1, 600)), rep(0, 8));
    const wide = file({ draft: true, clusterBits: 12, extensions, bitmaps: [BITMAP], length: 16384 });
    expect(index(unreadable(wide, [3584, 4096])).extensions.map(({ type }) => type)).toEqual([5, 6]);
    // What is not read may be one: its head, its data, or what stands behind the last that was read.
    for (const from of [512, 1024]) expect(fileError(unreadable(wide, [from, 4096]))).toBe("IO header");
    const exact = file({
      draft: true,
      clusterBits: 12,
      extensions: join(tlv(5, rep(1, 472)), tlv(6, rep(1, 8))),
      length: 4096,
    });
    expect(index(exact).extensions.map(({ type }) => type)).toEqual([5, 6]);
    expect(fileError(unreadable(exact, [512, 513]))).toBe("IO header");
    expect(found(unreadable(exact, [512, 513]))).toEqual(["info UNPROTECTED header", "corrupt IO header"]);
  });

  it("among the places of mirrors: the others are looked at", () => {
    const bytes = edit(file({ clusterBits: 14, bitmaps: [BITMAP] }), [0, rep(0, 4)]);
    expect(opened(unreadable(bytes, [4096, 4097], [8192, 8193]))).toEqual([16384, "3 64"]);
  });

  it("in the table, an L1 area or a cluster: an error, of the file or of the bitmap", () => {
    expect(fileError(unreadable(FULL, [8192, 8193]))).toMatch(/^IO /);
    expect(thrown(() => check(unreadable(FULL, [8192, 8193]))).code).toBe("IO");
    expect(thrown(() => dirtyRuns(unreadable(FULL, [8704, 8705]), 0)).code).toBe("IO");
    expect(thrown(() => dirtyRuns(unreadable(FULL, [9216, 9217]), 0)).code).toBe("IO");
    expect(found(unreadable(FULL, [8704, 8705]))).toEqual(["corrupt IO l1_table_offset daily"]);
    expect(found(unreadable(FULL, [9216, 9217]))).toEqual(["corrupt IO data cluster daily"]);
  });

  it("where a source breaks its promise: short bytes are never zeros", () => {
    for (const short of [8192, 8704, 9216]) {
      const source = bytesSource(FULL);
      const cut: SyncByteSource = {
        size: FULL.length,
        readSync: (offset, length) => source.readSync(offset, offset === short ? length - 1 : length),
      };
      expect(thrown(() => dirtyRuns(cut, 0)).code).toBe("SHORT_READ");
    }
  });

  it("reads nothing where there is nothing to read", () => {
    const source: SyncByteSource = {
      size: FULL.length,
      readSync(offset, length) {
        if (length <= 0) throw new Error(`${length} bytes were asked for`);
        return bytesSource(FULL).readSync(offset, length);
      },
    };
    expect(opened(source)).toEqual([0, "3 64"]);
    const empty = { size: 0, readSync: source.readSync };
    expect(fileError(empty)).toBe("BAD_MAGIC header");
    const noTable = { size: FULL.length, readSync: source.readSync };
    expect(fileError(noTable)).toBe("ok");
    const lost = edit(file({}), [0, rep(0, 4)]);
    const lostSource: SyncByteSource = {
      size: lost.length,
      readSync: (offset, length) => {
        if (length <= 0) throw new Error(`${length} bytes were asked for`);
        return bytesSource(lost).readSync(offset, length);
      },
    };
    expect(fileError(lostSource)).toBe("ok");
  });
});

describe("the checksum of the header area", () => {
  it("is CRC-32 of all 4096 bytes, its own four as zero", () => {
    const zeroed = edit(FULL.slice(0, 4096), [68, rep(0, 4)]);
    expect(FULL.slice(68, 72)).toEqual(be(crc32(zeroed), 4));
    for (const at of [4, 28, 67, 72, 103, 104, 600, 4095]) {
      expect(index(edit(FULL, [at, rep((FULL[at] ?? 0) ^ 1, 1)])).headerOffset).toBe(4096);
    }
    expect(index(edit(FULL, [4096, rep(0, 1)])).headerOffset).toBe(0);
  });
});
