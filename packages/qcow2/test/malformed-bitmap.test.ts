import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { requirePeers } from "../../cli/test/peers.ts";
import { codeOf, open } from "./reading.ts";
import { FIXTURE, makeSmallImage, Patchable, type Row } from "./small-image.ts";

let directory: string;
let small: Uint8Array;
beforeAll(() => {
  requirePeers("qemu-img", "qemu-io");
  directory = mkdtempSync(join(tmpdir(), "qdb-qcow2-"));
  small = makeSmallImage(directory);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const BITMAP = "fine";
const bitmaps: Row[] = [
  ["table at 0", "BAD_FIELD", (image) => image.entry(BITMAP, { bitmapTableOffset: 0n })],
  [
    "table misaligned",
    "MISALIGNED",
    (image) => image.entry(BITMAP, { bitmapTableOffset: BigInt(image.tableAt(BITMAP) + 256) }),
  ],
  ["table past the end", "OUT_OF_BOUNDS", (image) => image.entry(BITMAP, { bitmapTableOffset: 1n << 32n })],
  ["table at 2^64-512", "OUT_OF_BOUNDS", (image) => image.entry(BITMAP, { bitmapTableOffset: 2n ** 64n - 512n })],
  [
    "table in the L1 table",
    "OVERLAP",
    (image) => image.entry(BITMAP, { bitmapTableOffset: image.fields.l1TableOffset }),
  ],
  [
    "table in the refcount table",
    "OVERLAP",
    (image) => image.entry(BITMAP, { bitmapTableOffset: image.fields.refcountTableOffset }),
  ],
  ["table one entry too short", "BAD_FIELD", (image) => image.entry(BITMAP, { bitmapTableSize: 3 })],
  ["table one entry too long", "BAD_FIELD", (image) => image.entry(BITMAP, { bitmapTableSize: 5 })],
  ["table of 0 entries", "BAD_FIELD", (image) => image.entry(BITMAP, { bitmapTableSize: 0 })],
  ["flag extra_data_compatible", "UNSUPPORTED_FEATURE", (image) => image.entry(BITMAP, { flags: 4 })],
  ["flag 31", "UNSUPPORTED_FEATURE", (image) => image.entry(BITMAP, { flags: 0x80000000 })],
  ["type 0", "UNSUPPORTED_FEATURE", (image) => image.entry(BITMAP, { type: 0 })],
  ["type 2", "UNSUPPORTED_FEATURE", (image) => image.entry(BITMAP, { type: 2 })],
  [
    "granularity_bits 8",
    "BAD_FIELD",
    (image) => image.entry(BITMAP, { granularityBits: 8 }),
    { field: "granularity_bits" },
  ],
  [
    "granularity_bits 32",
    "BAD_FIELD",
    (image) => image.entry(BITMAP, { granularityBits: 32 }),
    { field: "granularity_bits" },
  ],
  [
    "granularity_bits 255",
    "BAD_FIELD",
    (image) => image.entry(BITMAP, { granularityBits: 255 }),
    { field: "granularity_bits" },
  ],
  ["a granularity that the table does not fit", "BAD_FIELD", (image) => image.entry(BITMAP, { granularityBits: 10 })],
  ["name of 0 bytes", "BAD_FIELD", (image) => image.entry(BITMAP, { nameSize: 0, extraDataSize: 8 })],
  ["extra data", "UNSUPPORTED_FEATURE", (image) => image.entry(BITMAP, { nameSize: 4, extraDataSize: 4 })],
  ["in_use", "INCONSISTENT", (image) => image.entry(BITMAP, { flags: 3 })],
  [
    "in_use of a disabled one, whose table is garbage",
    "INCONSISTENT",
    (image) => image.entry(BITMAP, { flags: 1, bitmapTableSize: 77, bitmapTableOffset: 77n }),
  ],
];

test.each(bitmaps)("%s: that bitmap is refused with %s, the others are read", (_, code, change, where = {}) => {
  const image = new Patchable(small);
  change(image);
  const index = open(image.bytes);
  const [broken, ...others] = index.bitmaps;
  expect(broken?.problem).toMatchObject({ code, where: { bitmap: broken?.label, ...where } });
  expect(codeOf(() => broken!.map())[0]).toBe(code);
  expect(others.map(({ label, problem }) => [label, problem])).toEqual([
    ["coarse", undefined],
    ["idle", undefined],
  ]);
  for (const other of others) other.map();
});

test("a name of 1024 bytes is refused, one of 1023 is not, and neither takes the others along", () => {
  for (const [nameSize, code] of [
    [1023, undefined],
    [1024, "BAD_FIELD"],
  ] as const) {
    const image = new Patchable(small);
    const offset = image.bytes.length;
    const entries = image.bytes.slice(image.directoryAt, image.directoryAt + 96);
    const added = new Uint8Array(1048).fill(0x6e);
    added.set(entries.subarray(0, 24));
    // Its table, of zeros, stands in the first cluster behind the directory.
    const table = Math.ceil((offset + 96 + added.length) / 512) * 512;
    const bytes = new Uint8Array(table + 512);
    bytes.set(
      image
        // The directory's new place has no refcounts.
        .header({ incompatibleFeatures: 1n })
        .extension({ nbBitmaps: 4, bitmapDirectoryOffset: BigInt(offset), bitmapDirectorySize: 96n + 1048n }).bytes,
    );
    bytes.set(added, offset);
    new DataView(bytes.buffer).setUint16(offset + 18, nameSize);
    new DataView(bytes.buffer).setBigUint64(offset, BigInt(table));
    bytes.set(entries, offset + added.length);
    expect(open(bytes).bitmaps.map(({ problem }) => problem?.code)).toEqual([code, undefined, undefined, undefined]);
  }
});

test("two bitmaps of one name are both refused, a third is not", () => {
  const image = new Patchable(small).rename("idle", Buffer.from("fine"));
  expect(open(image.bytes).bitmaps.map(({ problem }) => problem?.code)).toEqual([
    "DUPLICATE_NAME",
    undefined,
    "DUPLICATE_NAME",
  ]);
});

test("a name that is not UTF-8 is a name", () => {
  const image = new Patchable(small).rename("fine", [0xff, 0xfe, 0x2f, 0x20]);
  const [bitmap] = open(image.bytes).bitmaps;
  expect(bitmap).toMatchObject({ name: undefined, label: "hex:fffe2f20", problem: undefined });
  expect(Buffer.from(bitmap!.nameBytes)).toEqual(Buffer.from([0xff, 0xfe, 0x2f, 0x20]));
});

test("more than 2^32 bits are refused with LIMIT", () => {
  const image = new Patchable(small).header({ size: 2n ** 63n - 1n });
  expect(open(image.bytes).bitmaps[0]?.problem?.code).toBe("LIMIT");
});

const tables: Row[] = [
  [
    "bit 0 beside an offset",
    "RESERVED_NOT_ZERO",
    (image) => image.tableEntry(BITMAP, 0, image.readTableEntry(BITMAP, 0) | 1n),
  ],
  ["bit 1", "RESERVED_NOT_ZERO", (image) => image.tableEntry(BITMAP, 1, 2n)],
  ["bit 8", "RESERVED_NOT_ZERO", (image) => image.tableEntry(BITMAP, 1, 256n)],
  [
    "bit 56",
    "RESERVED_NOT_ZERO",
    (image) => image.tableEntry(BITMAP, 0, image.readTableEntry(BITMAP, 0) | (1n << 56n)),
  ],
  ["bit 63 alone", "RESERVED_NOT_ZERO", (image) => image.tableEntry(BITMAP, 1, 1n << 63n)],
  ["a data cluster past the end", "OUT_OF_BOUNDS", (image) => image.tableEntry(BITMAP, 3, BigInt(image.bytes.length))],
  ["the largest offset", "OUT_OF_BOUNDS", (image) => image.tableEntry(BITMAP, 3, 2n ** 56n - 512n)],
  ["one data cluster twice", "OVERLAP", (image) => image.tableEntry(BITMAP, 2, image.readTableEntry(BITMAP, 0))],
  [
    "a data cluster in the refcount table",
    "OVERLAP",
    (image) => image.tableEntry(BITMAP, 0, image.fields.refcountTableOffset),
  ],
];

test.each(tables)("table entry, %s: %s", (_, code, change) => {
  const image = new Patchable(small);
  change(image);
  const index = open(image.bytes);
  const [bitmap] = index.bitmaps;
  expect(bitmap?.shapeProblem).toBeUndefined();
  const where = { structure: "bitmap table entry", bitmap: BITMAP };
  expect(bitmap?.problem).toMatchObject({ code, where });
  expect(codeOf(() => bitmap!.map())).toMatchObject([code, where]);
});

test("a data cluster that the file ends in is an error, not zeros", () => {
  const image = new Patchable(small);
  const last = image.bytes.length - 512;
  image.tableEntry(BITMAP, 1, BigInt(last));
  const cut = image.bytes.slice(0, last + 511);
  const index = open(cut);
  expect(codeOf(() => index.bitmaps[0]!.map())[0]).toBe("OUT_OF_BOUNDS");
});

test("a data cluster that is aligned to 512 bytes only is refused where clusters are larger", () => {
  const image = new Patchable(readFileSync(FIXTURE));
  image.tableEntry("weekly", 0, image.readTableEntry("weekly", 0) + 512n);
  const index = open(image.bytes);
  expect(codeOf(() => index.bitmaps[0]!.map())[0]).toBe("MISALIGNED");
});
