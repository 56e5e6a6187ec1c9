import { describe, expect, it } from "vitest";
import { be, bits, file, type HandBitmap, type HandFile, join, rep, tlv } from "./hand.ts";
import { check, fileError, problems } from "./reading.ts";

/** A defect: what it changes, and the error that it is. Two that change one thing cannot be had at once. */
interface Defect<T> {
  readonly name: string;
  readonly error: string;
  readonly change: Partial<T>;
}

/** All pairs of defects that can stand in one file, the one that the spec ranks first in front. */
function pairs<T>(
  defects: readonly Defect<T>[],
  clash: (a: Defect<T>, b: Defect<T>) => boolean,
): [string, Defect<T>, Defect<T>][] {
  return defects.flatMap((first, at) =>
    defects
      .slice(at + 1)
      .filter((second) => !clash(first, second))
      .map((second): [string, Defect<T>, Defect<T>] => [`${first.name} before ${second.name}`, first, second]),
  );
}

type Header = NonNullable<HandFile["header"]>;

/** Defects of a file, in the order of spec section 7.2. The file has one bitmap and clusters of 512 bytes. */
const FILE_DEFECTS: Defect<Header & { extensions: Uint8Array; tableTail: Uint8Array; nameSize: number }>[] = [
  { name: "version", error: "UNSUPPORTED_VERSION version", change: { version: 2 } },
  { name: "incompatible bit", error: "UNSUPPORTED_FEATURE incompatible_features", change: { incompatible: 2n } },
  { name: "cluster_bits", error: "BAD_FIELD cluster_bits", change: { clusterBits: 22 } },
  { name: "nb_bitmaps", error: "LIMIT nb_bitmaps", change: { nbBitmaps: 65536 } },
  { name: "bitmaps_offset 0", error: "BAD_FIELD bitmaps_offset", change: { bitmapsOffset: 0n } },
  {
    // Misaligned, out of bounds and over the header at once.
    name: "bitmaps_offset misaligned, above 2^53",
    error: "MISALIGNED bitmaps_offset",
    change: { bitmapsOffset: 2n ** 63n + 8n },
  },
  { name: "bitmaps_offset past the end", error: "OUT_OF_BOUNDS bitmaps_offset", change: { bitmapsOffset: 2n ** 54n } },
  { name: "bitmaps_offset over the mirror", error: "OVERLAP bitmaps_offset", change: { bitmapsOffset: 512n } },
  { name: "header_length", error: "BAD_FIELD header_length", change: { headerLength: 520 } },
  { name: "bitmaps_size", error: "LIMIT bitmaps_size", change: { bitmapsSize: 2 ** 26 + 8 } },
  { name: "generation", error: "BAD_FIELD generation", change: { generation: 0n } },
  { name: "an extension past its space", error: "BAD_FIELD length", change: { extensions: tlv(5, rep(0, 600)) } },
  {
    name: "extensions of one type",
    error: "DUPLICATE_TYPE type",
    change: { extensions: join(tlv(5, rep(0, 1)), tlv(5, rep(0, 1))) },
  },
  { name: "table checksum", error: "BAD_CHECKSUM bitmap table", change: { tableChecksum: 1 } },
  { name: "an entry past the table", error: "OUT_OF_BOUNDS bitmap table", change: { nameSize: 9 } },
  { name: "a table not filled", error: "BAD_FIELD bitmaps_size", change: { tableTail: rep(0, 8) } },
];

function brokenFile(...defects: readonly (typeof FILE_DEFECTS)[number][]): Uint8Array {
  const { extensions, tableTail, nameSize, ...header } = Object.assign({}, ...defects.map(({ change }) => change));
  return file({
    bitmaps: [{ name: "a", ...(nameSize === undefined ? {} : { nameSize }) }],
    header,
    ...(extensions === undefined ? {} : { extensions }),
    ...(tableTail === undefined ? {} : { tableTail }),
  });
}

/** A table past the end of the file is told of where its offset is looked at; so a table that is claimed long needs a long file. */
function longEnough(bytes: Uint8Array, ...defects: readonly { readonly name: string }[]): Uint8Array {
  if (!defects.some(({ name }) => name === "bitmaps_size")) return bytes;
  const long = new Uint8Array(2 ** 26 + 16384);
  long.set(bytes);
  return long;
}

describe("the errors of a file", () => {
  it.each(FILE_DEFECTS)("$name", (defect) => {
    expect(fileError(longEnough(brokenFile(defect), defect))).toBe(defect.error);
  });

  it.each(
    pairs(FILE_DEFECTS, (a, b) => {
      if (Object.keys(a.change).some((key) => key in b.change)) return true;
      const either = (name: string): boolean => a.name === name || b.name === name;
      // Eight bytes more in the table are what an entry that is one byte longer needs.
      return either("an entry past the table") && either("a table not filled");
    }),
  )("%s", (_name, first, second) => {
    const bytes = brokenFile(first, second);
    expect(fileError(longEnough(bytes, first, second))).toBe(first.error);
  });

  it("of the place of the table with the length that the header claims", () => {
    const defect = FILE_DEFECTS.find(({ name }) => name === "bitmaps_size");
    expect(defect === undefined ? "" : fileError(brokenFile(defect).slice(0, 10000))).toBe(
      "OUT_OF_BOUNDS bitmaps_offset",
    );
  });

  it("where there are no bitmaps", () => {
    const none = (header: Header): string => fileError(file({ header, length: 20480 }));
    expect(none({ bitmapsOffset: 8192n, bitmapsSize: 8, tableChecksum: 1 })).toBe("BAD_FIELD bitmaps_offset");
    expect(none({ bitmapsSize: 2 ** 26 + 8, tableChecksum: 1 })).toBe("LIMIT bitmaps_size");
    expect(none({ bitmapsSize: 8, generation: 0n, tableChecksum: 1 })).toBe("BAD_FIELD bitmaps_size");
    expect(none({ generation: 0n, tableChecksum: 1 })).toBe("BAD_FIELD generation");
    expect(none({ tableChecksum: 1 })).toBe("BAD_FIELD table_checksum");
    expect(none({})).toBe("ok");
  });

  it("of extensions, one by one: the end, the number, the type", () => {
    const many = (count: number): Uint8Array[] => Array.from({ length: count }, (_, at) => tlv(at + 1, rep(0, 0)));
    const big = (extensions: Uint8Array): string => fileError(file({ clusterBits: 12, extensions }));
    expect(big(join(...many(64)))).toBe("ok");
    expect(big(join(...many(65)))).toBe("LIMIT type");
    expect(big(join(...many(64), tlv(3, rep(0, 0))))).toBe("LIMIT type");
    expect(big(join(...many(64), be(9, 4), be(4096, 4)))).toBe("BAD_FIELD length");
    expect(big(join(...many(2), tlv(2, rep(0, 0)), be(9, 4), be(4096, 4)))).toBe("DUPLICATE_TYPE type");
    expect(big(join(...many(2), be(2, 4), be(4096, 4)))).toBe("BAD_FIELD length");
  });
});

// Two clusters of 1024 bytes, so that an offset can be misaligned and still be one that an entry can hold.
const GOOD: HandBitmap = { name: "a", size: 65536n * 16384n, clusters: ["zeros", "zeros"] };

/** Defects of one bitmap, in the order of spec section 7.2; the file has two others to be confused with. */
const BITMAP_DEFECTS: Defect<HandBitmap>[] = [
  { name: "name_size 0", error: "BAD_FIELD name_size ", change: { nameSize: 0, name: "" } },
  { name: "name", error: "BAD_FIELD name a\0", change: { name: "a\0" } },
  { name: "double name", error: "DUPLICATE_NAME name b", change: { name: "b" } },
  { name: "extra_data_size", error: "BAD_FIELD extra_data_size a", change: { extra: rep(1, 4104) } },
  { name: "record of type 0", error: "BAD_FIELD type a", change: { extra: tlv(0, rep(0, 0)) } },
  { name: "record past the end", error: "BAD_FIELD length a", change: { extra: join(be(9, 4), be(1, 4)) } },
  {
    name: "records of one type",
    error: "DUPLICATE_TYPE type a",
    change: { extra: join(tlv(9, rep(1, 1)), tlv(9, rep(0, 0))) },
  },
  { name: "granularity", error: "BAD_FIELD granularity a", change: { granularity: 65537 } },
  { name: "size", error: "BAD_FIELD size a", change: { size: 2n ** 63n } },
  { name: "unknown flag", error: "UNSUPPORTED_FEATURE flags a", change: { flags: 8 } },
  { name: "reserved", error: "RESERVED_NOT_ZERO reserved a", change: { reserved: 1 } },
  { name: "bits", error: "LIMIT size a", change: { size: 2n ** 48n + 1n } },
  { name: "l1_size", error: "BAD_FIELD l1_size a", change: { l1Size: 3 } },
  { name: "l1_table_offset 0", error: "BAD_FIELD l1_table_offset a", change: { l1Offset: 0n } },
  { name: "l1_table_offset misaligned", error: "MISALIGNED l1_table_offset a", change: { l1Offset: 2n ** 60n + 1n } },
  { name: "frozen without successor", error: "BAD_FIELD flags a", change: { flags: 4 } },
  { name: "in_use", error: "INCONSISTENT flags a", change: { flags: 2 } },
  { name: "l1_table_offset past the end", error: "OUT_OF_BOUNDS l1_table_offset a", change: { l1Offset: 2n ** 54n } },
  { name: "l1_table_offset over the header", error: "OVERLAP l1_table_offset a", change: { l1Offset: 1024n } },
  { name: "L1 area over the table", error: "OVERLAP l1_table_offset a", change: { l1Offset: 8192n } },
  { name: "l1_checksum", error: "BAD_CHECKSUM l1_checksum a", change: { l1Checksum: 1 } },
  {
    name: "reserved bits of an entry",
    error: "RESERVED_NOT_ZERO descriptor a",
    change: { clusters: [{ descriptor: 4n }, "zeros"] },
  },
  { name: "ones beside zeros", error: "BAD_FIELD descriptor a", change: { clusters: [{ descriptor: 3n }, "zeros"] } },
  {
    name: "checksum of no cluster",
    error: "BAD_FIELD cluster_checksum a",
    change: { clusters: [{ descriptor: 2n ** 55n + 513n, crc: 1 }, "zeros"] },
  },
  {
    name: "data misaligned",
    error: "MISALIGNED descriptor a",
    change: { clusters: [{ descriptor: 2n ** 55n + 512n }, "zeros"] },
  },
  {
    name: "data past the end",
    error: "OUT_OF_BOUNDS descriptor a",
    change: { clusters: [{ descriptor: 2n ** 54n }, "zeros"] },
  },
  {
    name: "data over the header",
    error: "OVERLAP descriptor a",
    change: { clusters: [{ descriptor: 1024n }, "zeros"] },
  },
  {
    name: "data checksum",
    error: "BAD_CHECKSUM descriptor a",
    change: { clusters: [{ data: bits(512, 1), crc: 5 }, "zeros"] },
  },
];

function brokenBitmap(...defects: readonly Defect<HandBitmap>[]): Uint8Array {
  const change: HandBitmap = Object.assign({}, ...defects.map((defect) => defect.change));
  const flags = defects.reduce((sum, defect) => sum | (defect.change.flags ?? 0), 0);
  return file({
    clusterBits: 10,
    header: { incompatible: 1n },
    bitmaps: [{ ...GOOD, ...change, flags }, { name: "b" }, { ...GOOD, name: "c", clusters: ["ones", bits(4, 7)] }],
  });
}

describe("the errors of a bitmap", () => {
  it.each(BITMAP_DEFECTS)("$name", (defect) => {
    expect(problems(brokenBitmap(defect))[0]).toBe(defect.error);
  });

  const both = pairs(BITMAP_DEFECTS, (a, b) => {
    const keys = Object.keys(b.change).filter((key) => key !== "flags" && key in a.change);
    return keys.length > 0 || (a.change.nameSize === 0 && b.change.name !== undefined);
  });

  it("are enough pairs to tell an order", () => {
    expect(both.length).toBeGreaterThan(250);
  });

  it.each(both)("%s", (_name, first, second) => {
    const bytes = brokenBitmap(first, second);
    const [seen = ""] = problems(bytes);
    const label = (error: string): string => error.split(" ").slice(0, 2).join(" ");
    expect(label(seen)).toBe(label(first.error));
    // check says both; where the first keeps the second from being looked at, that is listed here.
    const codes = check(bytes).findings.map(({ code, where }) => `${code} ${where.field}`);
    expect(codes).toContain(label(first.error));
    if (!isHidden(first, second)) expect(codes).toContain(label(second.error));
  });

  it("keep to their bitmap", () => {
    for (const defect of BITMAP_DEFECTS) {
      const [, b, c] = problems(brokenBitmap(defect));
      expect([b, c]).toEqual([defect.name === "double name" ? "DUPLICATE_NAME name b" : "ok", "ok"]);
    }
  });
});

/** What cannot be reached: bits without a shape, an L1 area without a place, entries without a good area, data without good entries. */
function isHidden(first: Defect<HandBitmap>, second: Defect<HandBitmap>): boolean {
  const place = (name: string): number => BITMAP_DEFECTS.findIndex((defect) => defect.name === name);
  const at = (defect: Defect<HandBitmap>): number => place(defect.name);
  const shapeless = ["granularity", "size", "bits"].includes(first.name);
  if (shapeless && at(second) >= place("bits") && at(second) <= place("l1_size")) return true;
  const placeless =
    shapeless || /^(l1_size|l1_table_offset)/.test(first.name) || first.name === "L1 area over the table";
  if (placeless && at(second) >= place("l1_table_offset past the end")) return true;
  // Whom a bitmap names as its successor is not known where its extra data is in error.
  if (/record|extra/.test(first.name) && second.name === "frozen without successor") return true;
  if (first.name === "l1_checksum" && at(second) > place("l1_checksum")) return true;
  return false;
}
