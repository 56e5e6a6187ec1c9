import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { requirePeers } from "../../cli/test/peers.ts";
import { codeOf, open, readAll } from "./reading.ts";
import { FIXTURE, makeSmallImage, Patchable, type Row } from "./small-image.ts";

let directory: string;
let small: Uint8Array;
beforeAll(() => {
  requirePeers("qemu-img", "qemu-io");
  directory = mkdtempSync(join(tmpdir(), "qdb-qcow2-"));
  small = makeSmallImage(directory);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test("the image that is broken below is a good one", () => {
  const { index, dirty } = readAll(small);
  expect(index.bitmaps.map(({ problem }) => problem)).toEqual([undefined, undefined, undefined]);
  expect(dirty.get("fine")).toEqual([
    [0, 512],
    [3145728, 4096],
    [5242880, 1024],
    [8387584, 512],
  ]);
  expect(dirty.get("idle")).toEqual([]);
});

const files: Row[] = [
  [
    "another magic",
    "BAD_MAGIC",
    (image) => image.header({ magic: 0x51444200 }),
    { structure: "qcow2 header", field: "magic", offset: 0 },
  ],
  ["version 1", "UNSUPPORTED_VERSION", (image) => image.header({ version: 1 })],
  ["version 4", "UNSUPPORTED_VERSION", (image) => image.header({ version: 4 })],
  ["unknown incompatible bit 5", "UNSUPPORTED_FEATURE", (image) => image.header({ incompatibleFeatures: 1n << 5n })],
  ["unknown incompatible bit 63", "UNSUPPORTED_FEATURE", (image) => image.header({ incompatibleFeatures: 1n << 63n })],
  ["cluster_bits 8", "BAD_FIELD", (image) => image.header({ clusterBits: 8 })],
  ["cluster_bits 22", "BAD_FIELD", (image) => image.header({ clusterBits: 22 })],
  ["cluster_bits 2^32-1", "BAD_FIELD", (image) => image.header({ clusterBits: 0xffffffff })],
  ["size above 2^63-1", "BAD_FIELD", (image) => image.header({ size: 1n << 63n })],
  ["header_length below 104", "BAD_FIELD", (image) => image.header({ headerLength: 96 })],
  ["header_length no multiple of 8", "BAD_FIELD", (image) => image.header({ headerLength: 108 })],
  ["header_length above the first cluster", "BAD_FIELD", (image) => image.header({ headerLength: 520 })],
  ["backing file name inside the header", "BAD_FIELD", (image) => image.header({ backingFileOffset: 72n })],
  ["backing file name behind the first cluster", "BAD_FIELD", (image) => image.header({ backingFileOffset: 513n })],
  [
    "an extension longer than the first cluster",
    "BAD_FIELD",
    (image) => image.u32(116, 400),
    { structure: "header extension", field: "length", offset: 116 },
  ],
  ["an extension of 2^32-1 bytes", "BAD_FIELD", (image) => image.u32(116, 0xffffffff)],
  [
    "an extension running into the backing file name",
    "BAD_FIELD",
    (image) => image.header({ backingFileOffset: 128n }),
  ],
  ["bitmaps extension of another length", "BAD_FIELD", (image) => image.u32(image.extensionAt - 4, 32)],
  [
    "bitmaps extension twice",
    "DUPLICATE_TYPE",
    (image) => image.bytes.copyWithin(image.extensionAt + 24, image.extensionAt - 8, image.extensionAt + 24),
  ],
  [
    "nb_bitmaps 0",
    "BAD_FIELD",
    (image) => image.extension({ nbBitmaps: 0 }),
    { structure: "bitmaps extension", field: "nb_bitmaps", offset: 120 },
  ],
  ["nb_bitmaps above 65535", "LIMIT", (image) => image.extension({ nbBitmaps: 65536 })],
  ["nb_bitmaps too small", "BAD_FIELD", (image) => image.extension({ nbBitmaps: 2 })],
  ["nb_bitmaps too large", "OUT_OF_BOUNDS", (image) => image.extension({ nbBitmaps: 4 })],
  ["reserved bytes of the extension", "RESERVED_NOT_ZERO", (image) => image.extension({ reserved: 1 })],
  ["directory over 64 MiB", "LIMIT", (image) => image.extension({ bitmapDirectorySize: 64n * 2n ** 20n + 1n })],
  ["directory of 2^64-1 bytes", "LIMIT", (image) => image.extension({ bitmapDirectorySize: 2n ** 64n - 1n })],
  ["directory of 0 bytes", "OUT_OF_BOUNDS", (image) => image.extension({ bitmapDirectorySize: 0n })],
  ["directory 8 bytes too short", "OUT_OF_BOUNDS", (image) => image.extension({ bitmapDirectorySize: 88n })],
  ["directory 8 bytes too long", "BAD_FIELD", (image) => image.extension({ bitmapDirectorySize: 104n })],
  ["directory at 0", "BAD_FIELD", (image) => image.extension({ bitmapDirectoryOffset: 0n })],
  [
    "directory misaligned",
    "MISALIGNED",
    (image) => image.extension({ bitmapDirectoryOffset: BigInt(image.directoryAt + 8) }),
  ],
  ["directory past the end", "OUT_OF_BOUNDS", (image) => image.extension({ bitmapDirectoryOffset: 1n << 40n })],
  ["directory at 2^64-512", "OUT_OF_BOUNDS", (image) => image.extension({ bitmapDirectoryOffset: 2n ** 64n - 512n })],
  [
    "directory in the refcount table",
    "OVERLAP",
    (image) => image.header({ refcountTableOffset: BigInt(image.directoryAt) }),
  ],
  [
    "directory in the L1 table",
    "OVERLAP",
    (image) => image.header({ l1TableOffset: BigInt(image.directoryAt - 512), l1Size: 65 }),
  ],
  [
    "directory in the snapshot table",
    "OVERLAP",
    (image) => image.header({ snapshotsOffset: BigInt(image.directoryAt), nbSnapshots: 1 }),
  ],
  ["a name that runs past the directory", "OUT_OF_BOUNDS", (image) => image.entry("idle", { nameSize: 65535 })],
  [
    "extra data that runs past the directory",
    "OUT_OF_BOUNDS",
    (image) => image.entry("coarse", { extraDataSize: 0xffffffff }),
  ],
];

test.each(files)("%s: the image is refused with %s", (_, code, change, where) => {
  const image = new Patchable(small);
  change(image);
  const [found, place] = codeOf(() => open(image.bytes));
  expect(found).toBe(code);
  if (where !== undefined) expect(place).toEqual(where);
});

test.each([
  [0, "BAD_MAGIC"],
  [3, "BAD_MAGIC"],
  [4, "TRUNCATED"],
  [71, "TRUNCATED"],
  [103, "TRUNCATED"],
  [511, "TRUNCATED"],
  [512, "OUT_OF_BOUNDS"],
])("the first %i bytes alone: %s", (length, code) => {
  expect(codeOf(() => open(small.slice(0, length)))[0]).toBe(code);
});

test("an unknown feature is named as the image names it, harmlessly", () => {
  const image = new Patchable(readFileSync(FIXTURE)).header({ incompatibleFeatures: 1n << 5n });
  // A feature name table (QEMU writes none where clusters are small) with one entry: incompatible bit 5.
  const table = image.extensionAt + 24;
  image.u32(table, 0x6803f857).u32(table + 4, 48);
  image.bytes.set([0, 5, ...Buffer.from("gl\x1b[2Jow")], table + 8);
  expect(() => open(image.bytes)).toThrow('bit 5 ("gl\\x1b[2Jow")');
  image.bytes[table + 8] = 2;
  expect(() => open(image.bytes)).toThrow("incompatible feature bit 5,");
});

test("what stands behind the end mark of the extensions is not looked at", () => {
  const image = new Patchable(small);
  const end = image.extensionAt + 24;
  image.bytes.copyWithin(end + 8, image.extensionAt - 8, end);
  expect(open(image.bytes).bitmaps).toHaveLength(3);
});

test("what stands behind the 72 bytes of a version 2 header is not its own", () => {
  const { bytes } = new Patchable(small).header({ version: 2, incompatibleFeatures: 1n << 63n, headerLength: 1 });
  expect(open(bytes)).toMatchObject({ version: 2, incompatibleFeatures: 0n, autoclearFeatures: 0n, bitmaps: [] });
});
