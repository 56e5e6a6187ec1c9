import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { crc32 } from "node:zlib";
import { Bitmap, bytesSource, countAll, type QdbErrorCode, QdbFile, readBitmap } from "@qdb/format";
import {
  type BitmapContents,
  type FileContents,
  FLAG,
  fromUuid,
  imageBytes,
  RECORD,
  readAllPlan,
  runSync,
  type Tlv,
  writeImage,
} from "@qdb/format/container";
import { describe, expect, test } from "vitest";
import { CanonicalLook } from "./support/canonical.ts";
import { fileContents, plainContents, readBack, utf8 } from "./support/contents.ts";
import { expectCode } from "./support/errors.ts";
import { fc, runs } from "./support/seed.ts";

const SMALL = { size: 10_000n, granularity: 512 };

function bytesOf(contents: FileContents): Uint8Array {
  return imageBytes(writeImage(contents));
}

/** Contents as plain values, without the bits. */
function plain({ extensions, bitmaps, ...rest }: FileContents): unknown {
  const tlv = ({ type, data }: Tlv): unknown => [type, [...data]];
  return {
    ...rest,
    // A draft has neither file id nor writer id.
    fileId: rest.form === "full" ? [...rest.fileId] : [],
    writerId: rest.form === "full" ? [...rest.writerId] : [],
    extensions: extensions.map(tlv),
    bitmaps: bitmaps.map(({ nameBytes, flags, extraData }) => [[...nameBytes], flags, extraData.map(tlv)]),
  };
}

describe("parse and write are each other's inverse", () => {
  test("what is read of a written file is what was written, bit for bit, and writes the same bytes again", () => {
    fc.assert(
      fc.property(fileContents, (contents) => {
        const bytes = bytesOf(contents);
        const read = readBack(bytes).contents;
        expect(plain(read)).toEqual(plain(contents));
        for (const [at, { bits }] of contents.bitmaps.entries()) expect(read.bitmaps[at]?.bits.equals(bits)).toBe(true);
        expect(Buffer.compare(bytesOf(read), bytes)).toBe(0);
      }),
      runs(150),
    );
  });

  test("every file keeps the rules of a canonical one, looked at byte by byte", () => {
    fc.assert(
      fc.property(fileContents, (contents) => new CanonicalLook(bytesOf(contents), contents).look()),
      runs(150),
    );
  });

  test("the library's CRC-32 and zlib's write the same file", () => {
    fc.assert(
      fc.property(fileContents, (contents) => {
        expect(Buffer.compare(imageBytes(writeImage(contents, { crc32 })), bytesOf(contents))).toBe(0);
      }),
      runs(25),
    );
  });

  test("chunks ascend, do not overlap, stay inside the file, and come anew at each call, the header's first", () => {
    fc.assert(
      fc.property(fileContents, (contents) => {
        const image = writeImage(contents);
        let end = 0;
        for (const { offset, bytes } of image.chunks()) {
          expect(offset).toBeGreaterThanOrEqual(end);
          end = offset + bytes.length;
        }
        expect(end).toBeLessThanOrEqual(image.length);
        expect([...image.chunks()][0]?.offset).toBe(0);
        expect(imageBytes(image)).toEqual(imageBytes(image));
      }),
      runs(25),
    );
  });

  test("the bits are those at the call, although their bytes are made later", () => {
    const contents = (bits: Bitmap): FileContents => ({
      form: "full",
      clusterBits: 9,
      fileId: new Uint8Array(16),
      writerId: new Uint8Array(16),
      allOnes: true,
      extensions: [],
      bitmaps: [{ nameBytes: utf8("a"), flags: 0, extraData: [], bits }],
    });
    const stored = (): Bitmap => {
      const bits = Bitmap.clean({ size: 512 * 20_000, granularity: 512 });
      for (const first of [3, 5000, 19_999]) bits.markBits({ first, end: first + 1 });
      return bits;
    };
    const wanted = bytesOf(contents(stored()));
    const changes: ((bits: Bitmap) => void)[] = [
      (bits) => bits.unmark({ offset: 0, length: bits.size }),
      (bits) => bits.markBits({ first: 0, end: bits.bitCount }),
      (bits) => bits.invert(),
      (bits) => bits.free(),
    ];
    for (const change of changes) {
      const bits = stored();
      const image = writeImage(contents(bits));
      change(bits);
      expect(Buffer.compare(imageBytes(image), wanted)).toBe(0);
    }
  });

  test("the file in hex of the spec's appendix B is what is written for its contents", () => {
    const spec = readFileSync(new URL("../../../spec/qdb.md", import.meta.url), "utf8");
    const daily = Bitmap.clean({ size: 300_000_000n, granularity: 65536 });
    for (const [offset, end] of [
      [0, 65536],
      [5_242_880, 5_373_952],
      [268_435_456, 300_000_000],
    ] as const)
      daily.mark({ offset, length: end - offset });
    const [shown] = plainContents([daily]).bitmaps;
    if (shown === undefined) throw new Error("one bitmap was given");
    const bytes = bytesOf(
      plainContents([], {
        writerId: fromUuid("5f0c9a51-7d1e-4a38-9b62-0e4d8c21f7a6"),
        fileId: fromUuid("c0a1e5d2-3b74-4f19-8a6d-92e07b15c348"),
        bitmaps: [
          {
            ...shown,
            nameBytes: utf8("daily"),
            flags: FLAG.enabled,
            extraData: [{ type: RECORD.disk, data: utf8("drive0") }],
          },
        ],
      }),
    );
    const sha = /The SHA-256 of the whole file is `([0-9a-f]{64})`/.exec(spec)?.[1];
    expect(createHash("sha256").update(bytes).digest("hex")).toBe(sha);
    const lines = [...spec.matchAll(/^([0-9a-f]{6}) {2}((?:[0-9a-f]{2} )+) *\|/gm)];
    expect(lines.length).toBeGreaterThan(15);
    for (const [, offset = "", hex = ""] of lines) {
      const wanted = Buffer.from(hex.replaceAll(" ", ""), "hex");
      const at = Number.parseInt(offset, 16);
      expect(Buffer.from(bytes.subarray(at, at + wanted.length)).toString("hex"), offset).toBe(wanted.toString("hex"));
    }
  });

  test("opening a written file lists the same bitmaps and gives the same bits; those of a collector are refused", async () => {
    await fc.assert(
      fc.asyncProperty(fileContents, async (contents) => {
        const bytes = bytesOf(contents);
        const file = await QdbFile.open(bytesSource(bytes));
        expect(file.bitmaps.map(({ entry }) => [...entry.nameBytes])).toEqual(
          contents.bitmaps.map(({ nameBytes }) => [...nameBytes]),
        );
        const loaded = runSync(readAllPlan(file.index), bytesSource(bytes));
        const counted = await countAll(file);
        for (const [at, { bits, flags }] of contents.bitmaps.entries()) {
          const [one, count] = [loaded[at], counted[at]];
          if ((flags & FLAG.in_use) !== 0) {
            expect([one?.bitmap, one?.problem?.code, count?.dirty]).toEqual([undefined, "INCONSISTENT", undefined]);
            continue;
          }
          expect(one?.problem).toBeUndefined();
          expect(one?.bitmap?.equals(bits)).toBe(true);
          const bitmap = file.bitmaps[at];
          if (bitmap === undefined) throw new Error("a bitmap is missing");
          expect((await readBitmap(bitmap)).equals(bits)).toBe(true);
          expect(count?.dirty).toEqual({ bits: bits.count(), bytes: bits.dirtyBytes() });
        }
      }),
      runs(40),
    );
  });
});

describe("contents that the format does not allow", () => {
  const bits = Bitmap.clean(SMALL);
  const named = (name: Uint8Array | string, over: Partial<BitmapContents> = {}): BitmapContents => ({
    nameBytes: typeof name === "string" ? utf8(name) : name,
    flags: 0,
    extraData: [],
    bits,
    ...over,
  });
  const successor = (name: string): Tlv => ({ type: RECORD.successor, data: utf8(name) });
  const many = (count: number, length: number): Tlv[] =>
    Array.from({ length: count }, (_, at) => ({ type: 100 + at, data: new Uint8Array(length) }));
  const frozen = (name: string, over: Partial<BitmapContents> = {}): BitmapContents =>
    named(name, { flags: FLAG.frozen, extraData: [successor("new")], ...over });

  const refused: Readonly<Record<string, readonly [QdbErrorCode, Partial<FileContents>]>> = {
    "cluster_bits 8": ["BAD_FIELD", { clusterBits: 8 }],
    "cluster_bits 22": ["BAD_FIELD", { clusterBits: 22 }],
    "cluster_bits 9.5": ["BAD_FIELD", { clusterBits: 9.5 }],
    "65536 bitmaps": ["LIMIT", { bitmaps: new Array<BitmapContents>(65536).fill(named("x")) }],
    "a table above 64 MiB": ["LIMIT", { bitmaps: new Array<BitmapContents>(65535).fill(named("x".repeat(1023))) }],
    "a draft with all-ones clusters": ["NOT_SUPPORTED", { form: "draft" }],
    "no name": ["BAD_FIELD", { bitmaps: [named("")] }],
    "a name of 1024 bytes": ["BAD_FIELD", { bitmaps: [named("x".repeat(1024))] }],
    "a name of 65537 bytes": ["BAD_FIELD", { bitmaps: [named("x".repeat(65537))] }],
    "a name that is not UTF-8": ["BAD_FIELD", { bitmaps: [named(Uint8Array.of(0xc3))] }],
    "a name with an encoded surrogate": ["BAD_FIELD", { bitmaps: [named(Uint8Array.of(0xed, 0xa0, 0x80))] }],
    "a name with a NUL": ["BAD_FIELD", { bitmaps: [named("a\0b")] }],
    "two of a name": ["DUPLICATE_NAME", { bitmaps: [named("a"), named("b"), named("a")] }],
    "two records of a type": [
      "DUPLICATE_TYPE",
      { bitmaps: [named("a", { extraData: [...many(1, 0), ...many(1, 1)] })] },
    ],
    "a record of type 0": [
      "BAD_FIELD",
      { bitmaps: [named("a", { extraData: [{ type: 0, data: new Uint8Array(8) }] })] },
    ],
    "4097 bytes of records": ["BAD_FIELD", { bitmaps: [named("a", { extraData: many(1, 4089) })] }],
    "an unknown flag": ["UNSUPPORTED_FEATURE", { bitmaps: [named("a", { flags: 8 })] }],
    "frozen and enabled": ["BAD_FIELD", { bitmaps: [frozen("a", { flags: 5 }), named("new")] }],
    "frozen without a successor": ["BAD_FIELD", { bitmaps: [frozen("a", { extraData: [] }), named("new")] }],
    "a successor that is not there": ["BAD_FIELD", { bitmaps: [frozen("a")] }],
    "its own successor": ["BAD_FIELD", { bitmaps: [frozen("new")] }],
    "a frozen successor": ["BAD_FIELD", { bitmaps: [frozen("a"), frozen("new", { extraData: [successor("a")] })] }],
    "a successor of another size": [
      "BAD_FIELD",
      { bitmaps: [frozen("a"), named("new", { bits: Bitmap.clean({ size: 1n, granularity: 512 }) })] },
    ],
    "a successor without the flag": ["BAD_FIELD", { bitmaps: [frozen("a", { flags: 0 }), named("new")] }],
    "a successor's name that is none": [
      "BAD_FIELD",
      { bitmaps: [frozen("a", { extraData: [{ type: 8, data: new Uint8Array(0) }] }), named("new")] },
    ],
    "two extensions of a type": ["DUPLICATE_TYPE", { extensions: [...many(1, 0), ...many(1, 1)] }],
    "an extension of type 0": ["BAD_FIELD", { extensions: [{ type: 0, data: new Uint8Array(8) }] }],
    "an extension of type 0 before another": [
      "BAD_FIELD",
      { extensions: [{ type: 0, data: new Uint8Array(0) }, ...many(1, 4)] },
    ],
    "65 extensions": ["LIMIT", { clusterBits: 12, extensions: many(65, 0), allOnes: false }],
    "64 extensions beside the feature table": ["LIMIT", { clusterBits: 12, extensions: many(64, 0) }],
    "extensions that do not fit a cluster": ["LIMIT", { extensions: many(1, 360) }],
    "a file id of 15 bytes": ["BAD_FIELD", { fileId: new Uint8Array(15) }],
    "a writer id of 17 bytes": ["BAD_FIELD", { writerId: new Uint8Array(17) }],
  };
  test.each(Object.entries(refused))("%s", (_, [code, over]) => {
    expectCode(code, () => writeImage(plainContents([], over)));
  });

  test("what is just inside the bounds is written", () => {
    const inside: Partial<FileContents>[] = [
      { clusterBits: 21 },
      { clusterBits: 12, extensions: many(63, 0) },
      { clusterBits: 12, extensions: many(64, 0), allOnes: false },
      // 512 - 104 - 56 of the feature table, with no room for an end mark.
      { extensions: many(1, 344) },
      { bitmaps: [named("x".repeat(1023), { extraData: many(1, 4088) })] },
      { bitmaps: [named("a", { flags: 3 }), named("new"), frozen("b")] },
    ];
    for (const over of inside) {
      const contents = plainContents([], over);
      const bytes = bytesOf(contents);
      new CanonicalLook(bytes, contents).look();
      expect(plain(readBack(bytes).contents)).toEqual(plain(contents));
    }
  });

  test("a feature name table that is given is not written: the writer derives its own, or none", () => {
    const given = { type: 0x6803f857, data: new Uint8Array(48).fill(1) };
    const own = many(1, 5);
    for (const allOnes of [true, false]) {
      const contents = plainContents([bits], { allOnes, extensions: own });
      expect(bytesOf({ ...contents, extensions: [...own, given] })).toEqual(bytesOf(contents));
    }
  });
});
