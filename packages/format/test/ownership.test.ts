import { crc32 } from "node:zlib";
import { loadMaps, runSync } from "@qdb/format/container";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { l1ProblemsOf } from "../src/maps/load-maps.ts";
import { be, bits, edit, file, type HandBitmap, join, rep } from "./hand.ts";
import { check, dirtyRuns, fileError, found, index, problem, problems, readOne, ZLIB } from "./reading.ts";
import { sparse } from "./sparse.ts";

const SIZE = 2n * 4096n * 512n; // two clusters of 512 bytes
const base: HandBitmap = { size: SIZE, granularity: 512 };
const data = (bit: number): Uint8Array => bits(512, bit);

/** Where things stand in the files below: the header at 0, the mirror at 4096, the table at 8192, then these. */
const AT = { aL1: 8704, a0: 9216, a1: 9728, bL1: 10240, b0: 10752, b1: 11264, cL1: 11776, c0: 12288, end: 12800 };

/** Three bitmaps of two clusters each; what is given of a and b is changed, c is to stay good. */
function three(a: HandBitmap, b: HandBitmap = {}): Uint8Array {
  return file({
    bitmaps: [
      { ...base, name: "a", clusters: [data(1), data(2)], ...a },
      { ...base, name: "b", clusters: [data(3), data(4)], ...b },
      { ...base, name: "c", clusters: [data(5), "zeros"] },
    ],
    length: AT.end,
  });
}

/** The L1 area of bitmap a, as it stands in the file. */
const areaOfA = three({}).slice(AT.aL1, AT.aL1 + 24);

/** The file in which entry 0 of a is another one, with the checksum of what it names; all else stays where AT has it. */
function withEntry(descriptor: number): Uint8Array {
  // Of header, mirror and table no checksum is looked at; and the table's would hold itself.
  const named = descriptor < AT.aL1 ? rep(0, 512) : three({}).subarray(descriptor, descriptor + 512);
  const checksum = be(descriptor % 2 === 1 ? 0 : crc32(named), 4);
  const area = edit(areaOfA, [0, be(descriptor, 8)], [16, checksum]);
  return edit(three({ l1Checksum: crc32(area) }), [AT.aL1, area]);
}

describe("the places of the files that are made here", () => {
  it("are as they are said to be", () => {
    expect(problems(three({}))).toEqual(["ok", "ok", "ok"]);
    expect(found(three({}))).toEqual([]);
    expect([0, 1, 2].map((place) => dirtyRuns(three({}), place))).toEqual(["1 4098", "3 4100", "5"]);
    expect(withEntry(AT.a0)).toEqual(three({}));
    expect(problems(withEntry(AT.a0 + 1))).toEqual(["ok", "ok", "ok"]);
  });
});

describe("an L1 area", () => {
  const moved = (l1Offset: number, b: HandBitmap = {}): string[] => problems(three({ l1Offset: BigInt(l1Offset) }, b));
  const overlap = ["OVERLAP l1_table_offset a", "ok", "ok"];

  it.each([512, 3584])("over the header, at %i", (at) => expect(moved(at)).toEqual(overlap));
  it.each([4096, 7680])("over the mirror, at %i", (at) => expect(moved(at)).toEqual(overlap));
  it("over the table", () => expect(moved(8192)).toEqual(overlap));
  it("over another L1 area", () => {
    expect(moved(AT.bL1)).toEqual(["OVERLAP l1_table_offset a", "OVERLAP l1_table_offset b", "ok"]);
  });

  it("over a data cluster of another bitmap, its checksum good", () => {
    const b = { clusters: [areaOfA, data(4)] };
    expect(moved(AT.b0, b)).toEqual(["OVERLAP l1_table_offset a", "OVERLAP descriptor b", "ok"]);
    expect(moved(AT.b0)).toEqual(["BAD_CHECKSUM l1_checksum a", "OVERLAP descriptor b", "ok"]);
  });

  it("over a data cluster of its own", () => {
    // Entry 0 names the cluster in which the area itself stands.
    expect(problems(withEntry(AT.aL1 + 1))).toEqual(["OVERLAP descriptor a", "ok", "ok"]);
  });

  it("over a preallocation of another bitmap", () => {
    const b = { clusters: [{ descriptor: BigInt(AT.aL1 + 1) }, data(4)] };
    expect(problems(three({}, b))).toEqual(["OVERLAP l1_table_offset a", "OVERLAP descriptor b", "ok"]);
  });

  it("owns every cluster of which it has a byte, and none more", () => {
    // 60 entries and checksums are 720 bytes: two clusters, 8704..9728.
    const long = (descriptor: number): string[] =>
      problems(
        file({
          bitmaps: [
            { name: "a", size: 60n * 4096n * 512n, granularity: 512, clusters: Array(60).fill("zeros") },
            { ...base, name: "b", clusters: [{ descriptor: BigInt(descriptor) }, "zeros"] },
          ],
          length: 20480,
        }),
      );
    expect(long(8705)).toEqual(["OVERLAP l1_table_offset a", "OVERLAP descriptor b"]);
    expect(long(9217)).toEqual(["OVERLAP l1_table_offset a", "OVERLAP descriptor b"]);
    expect(long(9729)).toEqual(["ok", "OVERLAP descriptor b"]); // its own area
    expect(long(10241)).toEqual(["ok", "ok"]);
  });

  it("over the second cluster of a table", () => {
    const many = (l1Offset: bigint): string[] =>
      problems(
        file({
          bitmaps: [
            ...Array.from({ length: 12 }, (_, at) => ({ name: `n${at}` })),
            { ...base, clusters: ["zeros", "zeros"], l1Offset },
          ],
        }),
      ).slice(-1);
    expect(many(8704n)).toEqual(["OVERLAP l1_table_offset a"]);
    expect(many(9216n)).toEqual(["ok"]);
  });
});

describe.each([
  ["a data cluster", 0],
  ["a preallocation", 1],
])("%s", (_what, bit) => {
  const moved = (offset: number): string[] => problems(withEntry(offset + bit));
  const alone = ["OVERLAP descriptor a", "ok", "ok"];

  it.each([512, 3584, 4096, 7680])("over header or mirror, at %i", (at) => expect(moved(at)).toEqual(alone));
  it("over the table", () => expect(moved(8192)).toEqual(alone));
  it("over another data cluster of its bitmap", () => {
    expect(moved(AT.a1)).toEqual(alone);
    const at = check(withEntry(AT.a1 + bit)).findings.map(({ code, where }) => `${code} ${where.offset}`);
    expect(at).toEqual([`OVERLAP ${AT.aL1}`, `OVERLAP ${AT.aL1 + 8}`]);
  });
  it("over the L1 area of another bitmap", () => {
    expect(moved(AT.bL1)).toEqual(["OVERLAP descriptor a", "OVERLAP l1_table_offset b", "ok"]);
  });
  it.each([AT.b0, AT.b1])("over a data cluster of another bitmap, at %i", (at) => {
    expect(moved(at)).toEqual(["OVERLAP descriptor a", "OVERLAP descriptor b", "ok"]);
  });
  it("over a preallocation of another bitmap", () => {
    const b = { clusters: [{ descriptor: BigInt(AT.a1 + 1) }, data(4)] };
    expect(problems(three({}, b))).toEqual(["OVERLAP descriptor a", "OVERLAP descriptor b", "ok"]);
  });
  it("is a finding of every bitmap concerned, and repairable", () => {
    const { findings } = check(withEntry(AT.b0 + bit));
    expect(findings.map(({ code, severity, repairable, where }) => [code, severity, repairable, where.bitmap])).toEqual(
      [
        ["OVERLAP", "corrupt", true, "a"],
        ["OVERLAP", "corrupt", true, "b"],
      ],
    );
  });
});

describe("a reader of one bitmap", () => {
  it("looks at header, mirror, table and the bitmap's own structures, not at the other bitmaps", () => {
    for (const offset of [512, 4096, 8192, AT.a1, AT.aL1]) {
      expect(readOne(withEntry(offset + 1), 0).problem?.code).toBe("OVERLAP");
    }
    for (const offset of [AT.b0, AT.bL1]) {
      expect(readOne(withEntry(offset), 0).problem).toBeUndefined();
      expect(readOne(withEntry(offset), 1).problem).toBeUndefined();
    }
    expect(readOne(three({ l1Offset: 8192n }), 0).problem?.code).toBe("OVERLAP");
  });
});

describe("a reference out of the file, or not to a cluster's start", () => {
  it("owns nothing", () => {
    const far = { clusters: [{ descriptor: BigInt(AT.end) }, data(1)] };
    expect(problems(three(far, far))).toEqual(["OUT_OF_BOUNDS descriptor a", "OUT_OF_BOUNDS descriptor b", "ok"]);
    expect(problems(three({ l1Offset: 2n ** 40n }, { l1Offset: 2n ** 40n })).slice(0, 2)).toEqual([
      "OUT_OF_BOUNDS l1_table_offset a",
      "OUT_OF_BOUNDS l1_table_offset b",
    ]);
    const crooked = file({
      clusterBits: 10,
      bitmaps: ["a", "b"].map((name) => ({ name, size: 1n, clusters: [{ descriptor: 512n + 20480n }] })),
      length: 40960,
    });
    expect(problems(crooked)).toEqual(["MISALIGNED descriptor a", "MISALIGNED descriptor b"]);
  });

  it("counts as past the end where it ends above 2^53, whatever the source says of its length", () => {
    const most = 2 ** 53;
    const at = (descriptor: bigint): string => {
      const bytes = file({ bitmaps: [{ size: 1n, clusters: [{ descriptor: descriptor + 1n }] }] });
      return problemOf(sparse(2 ** 60, [0, bytes]));
    };
    expect(at(BigInt(most - 512))).toBe("ok");
    expect(at(BigInt(most))).toBe("OUT_OF_BOUNDS descriptor a");
    expect(at(2n ** 55n)).toBe("OUT_OF_BOUNDS descriptor a");
    const area = (l1Offset: bigint): string => {
      const bytes = file({ bitmaps: [{ size: 1n, clusters: ["zeros"], l1Offset }] });
      return problemOf(sparse(2 ** 60, [0, bytes]));
    };
    expect(area(BigInt(most - 512))).toBe("ok");
    expect(area(BigInt(most))).toBe("OUT_OF_BOUNDS l1_table_offset a");
    const table = (bitmapsOffset: bigint): string =>
      fileError(sparse(2 ** 60, [0, file({ bitmaps: [{}], header: { bitmapsOffset } })]));
    expect(table(BigInt(most - 512))).toBe("BAD_CHECKSUM bitmap table");
    expect(table(BigInt(most))).toBe("OUT_OF_BOUNDS bitmaps_offset");
    expect(table(2n ** 63n)).toBe("OUT_OF_BOUNDS bitmaps_offset");
  });
});

function problemOf(source: Parameters<typeof readOne>[0]): string {
  const wrong = readOne(source, 0).problem;
  return wrong === undefined ? "ok" : `${wrong.code} ${wrong.where.field} ${wrong.where.bitmap}`;
}

describe("bytes at far offsets", () => {
  it("are read exactly", () => {
    const at = 2 ** 53 - 512;
    const cluster = data(9);
    const area = join(be(at, 8), be(crc32(cluster), 4), be(0, 4));
    const bytes = file({ bitmaps: [{ size: 65536n * 100n, clusters: ["zeros"], l1Checksum: crc32(area) }] });
    const source = sparse(2 ** 53, [0, bytes], [8704, area], [at, cluster]);
    expect(dirtyRuns(source, 0)).toBe("9");
  });
});

/** A bitmap of the model: its L1 area and the clusters that its entries name, as numbers of clusters. */
interface Placed {
  readonly l1: number;
  readonly refs: readonly number[];
}

describe("any layout", () => {
  const FLOOR = 16;
  const END = 40;
  const place = fc.integer({ min: 2, max: END - 1 });
  const placed: fc.Arbitrary<Placed> = fc.record({ l1: place, refs: fc.array(place, { minLength: 1, maxLength: 4 }) });

  /** Which bitmaps share a cluster with something, found by comparing everything with everything. */
  function expected(bitmaps: readonly Placed[]): number[] {
    const table = FLOOR; // one cluster: at most 8 entries of 48 bytes
    const lost = (at: number): boolean => {
      const { l1 } = bitmaps[at] ?? { l1: 0 };
      return l1 < FLOOR || l1 === table || bitmaps.some((other, place) => place !== at && other.l1 === l1);
    };
    const good = bitmaps.map((_, at) => at).filter((at) => !lost(at));
    const refs = good.flatMap((at) => bitmaps[at]?.refs.map((ref) => ({ at, ref })) ?? []);
    const result = new Set(bitmaps.map((_, at) => at).filter(lost));
    for (const { at, ref } of refs) {
      if (ref < FLOOR || ref === table || refs.filter((other) => other.ref === ref).length > 1) result.add(at);
      bitmaps.forEach(({ l1 }, owner) => {
        if (l1 !== ref || l1 < FLOOR) return;
        result.add(at);
        result.add(owner);
      });
    }
    return [...result].sort((a, b) => a - b);
  }

  it("finds every bitmap that shares a cluster, and no other", () => {
    fc.assert(
      fc.property(fc.array(placed, { minLength: 1, maxLength: 6 }), fc.boolean(), (bitmaps, stored) => {
        const areas = bitmaps.map(({ refs }) => {
          const zeros = rep(0, 4 * refs.length);
          const area = join(...refs.map((ref) => be(ref * 512 + (stored ? 0 : 1), 8)), zeros);
          return join(area, rep(0, area.length % 8));
        });
        const bytes = file({
          bitmaps: bitmaps.map(({ l1, refs }, at) => ({
            name: `${at}`,
            size: BigInt(refs.length) * 4096n * 512n,
            granularity: 512,
            l1Offset: BigInt(l1 * 512),
            l1Size: refs.length,
            l1Checksum: crc32(areas[at] ?? rep(0, 0)),
          })),
          length: END * 512,
        });
        const pieces = bitmaps.flatMap(({ l1 }, at): [number, Uint8Array][] =>
          l1 > FLOOR ? [[l1 * 512, areas[at] ?? rep(0, 0)]] : [],
        );
        const whole = edit(bytes, ...pieces);
        const opened = index(whole);
        const seen = new Set<number>();
        const source = sparse(whole.length, [0, whole]);
        const mapped = runSync(loadMaps(opened, opened.table.entries, ZLIB), source);
        for (const { entry, problem } of l1ProblemsOf(mapped)) {
          if (problem.code === "OVERLAP") seen.add(entry.index);
        }
        expect([...seen].sort((a, b) => a - b)).toEqual(expected(bitmaps));
        for (const { entry, map } of mapped) expect(map === undefined).toBe(seen.has(entry.index));
      }),
      { numRuns: 2000 },
    );
  });
});

describe("a file of one bitmap", () => {
  it("whose every entry names one cluster has no bits", () => {
    const clusters = Array.from({ length: 40 }, () => ({ descriptor: 10241n }));
    const bytes = file({ bitmaps: [{ size: 40n * 4096n * 512n, granularity: 512, clusters }], length: 20480 });
    expect(problem(bytes)).toBe("OVERLAP descriptor a");
    expect(found(bytes)).toEqual(Array(40).fill("corrupt OVERLAP descriptor a"));
  });
});
