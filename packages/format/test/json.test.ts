import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { Bitmap, bytesSource } from "@qdb/format";
import {
  dumpPlan,
  type FileContents,
  FLAG,
  imageBytes,
  readIndex,
  runSync,
  streamSync,
  writeImage,
} from "@qdb/format/container";
import { describe, expect, test } from "vitest";
import { validator } from "../../conformance/test/support/schema.ts";
import { fileContents, plainContents, utf8 } from "./support/contents.ts";
import { expectCode } from "./support/errors.ts";
import { dump, load } from "./support/json.ts";
import { dirtyOf, runsOf } from "./support/model.ts";
import { fc, runs } from "./support/seed.ts";

function bytesOf(contents: FileContents): Uint8Array {
  return imageBytes(writeImage(contents));
}

/** The same contents without in_use flags: the bits of an inconsistent bitmap cannot be loaded. */
function loadable(contents: FileContents): FileContents {
  const bitmaps = contents.bitmaps.map(({ flags, ...rest }) => ({ ...rest, flags: flags & ~FLAG.in_use }));
  return { ...contents, bitmaps };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

describe("both ways", () => {
  test("a dump is JSON that its schema allows, in-use bitmaps among others", () => {
    const validate = validator("qdb");
    fc.assert(
      fc.property(fileContents, (contents) => {
        const { text, errors } = dump(bytesOf(contents));
        expect(validate(JSON.parse(text)), JSON.stringify(validate.errors)).toBe(true);
        expect(errors).toBe(contents.bitmaps.filter(({ flags }) => (flags & FLAG.in_use) !== 0).length);
        // Line feeds are the only control characters, whatever the names are.
        expect(text).not.toMatch(/[^\P{C}\n]/u);
      }),
      runs(120),
    );
  });

  test("a dump says what the bits are: extents, bytes and digest, computed without the library", () => {
    fc.assert(
      fc.property(fileContents.map(loadable), (contents) => {
        const form = JSON.parse(dump(bytesOf(contents)).text);
        contents.bitmaps.forEach(({ bits, nameBytes }, at) => {
          const shown = form.bitmaps[at];
          expect(hex(utf8(shown.name))).toBe(hex(nameBytes));
          expect([shown.size, shown.granularity]).toEqual([String(bits.size), bits.granularity]);
          const listed: [bigint, bigint][] = shown.dirty.map(([offset, length]: [string, string]) => [
            BigInt(offset),
            BigInt(length),
          ]);
          expect(shown.dirty_bytes).toBe(String(listed.reduce((sum, [, length]) => sum + length, 0n)));
          expect(shown.bits_sha256).toBe(createHash("sha256").update(bits.toBytes()).digest("hex"));
          if (bits.bitCount > 20_000) return;
          const g = BigInt(bits.granularity);
          const expected = runsOf(dirtyOf(bits)).map(([first, last]) => {
            const end = BigInt(last + 1) * g;
            return [BigInt(first) * g, (end < bits.size ? end : bits.size) - BigInt(first) * g];
          });
          expect(listed).toEqual(expected);
        });
      }),
      runs(60),
    );
  });

  test("what is loaded of a dump writes the same bytes, and a file written of it dumps the same text", () => {
    fc.assert(
      fc.property(fileContents.map(loadable), (contents) => {
        const bytes = bytesOf(contents);
        const { text } = dump(bytes);
        expect(validator("qdb-load")(JSON.parse(text))).toBe(true);
        const again = bytesOf(load(text, text.length, { writerId: contents.writerId }));
        expect(Buffer.compare(again, bytes)).toBe(0);
        expect(dump(again).text).toBe(text);
      }),
      runs(120),
    );
  });

  test("any other spelling of the same JSON loads the same: on one line, with every character escaped, keys in another order", () => {
    fc.assert(
      fc.property(fileContents.map(loadable), (contents) => {
        const { text } = dump(bytesOf(contents));
        const bytes = bytesOf(load(text));
        const form = JSON.parse(text);
        expect(bytesOf(load(JSON.stringify(form)))).toEqual(bytes);
        const escaped = JSON.stringify(form, null, "\t").replace(
          /"(?:[^"\\]|\\.)*"/g,
          (quoted) => `"${escapeAll(JSON.parse(quoted))}"`,
        );
        expect(bytesOf(load(escaped))).toEqual(bytes);
        const turned = { bitmaps: form.bitmaps, extensions: form.extensions, header: turn(form.header), format: "qdb" };
        expect(bytesOf(load(JSON.stringify(turned)))).toEqual(bytes);
      }),
      runs(20),
    );
  });

  test("pieces of any size load the same", () => {
    const split = fc.tuple(fileContents.map(loadable), fc.integer({ min: 2, max: 5000 }));
    fc.assert(
      fc.property(split, ([contents, size]) => {
        const { text } = dump(bytesOf(contents));
        const bytes = bytesOf(load(text));
        for (const piece of [size, ...(text.length < 4000 ? [1, 7] : [])])
          expect(bytesOf(load(text, piece))).toEqual(bytes);
      }),
      runs(15),
    );
  });

  test("a disk past 2^53 keeps every byte of its offsets", () => {
    const bitmap = Bitmap.clean({ size: 2n ** 54n + 4097n, granularity: 2 ** 31 });
    bitmap.mark({ offset: 2n ** 54n + 4096n, length: 1n });
    bitmap.mark({ offset: 2n ** 53n + 1n, length: 1n });
    const bytes = bytesOf(plainContents([bitmap]));
    const { text } = dump(bytes);
    const [shown] = JSON.parse(text).bitmaps;
    expect(shown.dirty).toEqual([
      ["9007199254740992", "2147483648"],
      ["18014398509481984", "4097"],
    ]);
    expect(shown.dirty_bytes).toBe("2147487745");
    expect(shown.size).toBe("18014398509486081");
    expect(bytesOf(load(text))).toEqual(bytes);
  });

  test("ranges in any order, overlapping, empty, of any bytes, are rounded outward", () => {
    const document = (dirty: unknown): string =>
      JSON.stringify({
        header: { form: "full", cluster_bits: 9 },
        bitmaps: [{ name: "b0", size: "5000", granularity: 512, dirty }],
      });
    const [loaded] = load(
      document([
        ["4999", "1"],
        ["0", "513"],
        ["512", "1"],
        ["2000", "0"],
        ["0", "1"],
      ]),
    ).bitmaps;
    expect([...dirtyOf(loaded?.bits ?? Bitmap.clean({ size: 0n, granularity: 512 }))]).toEqual([0, 1, 9]);
  });

  test("a writer's derived keys are looked at for their syntax only", () => {
    const contents = plainContents([Bitmap.dirty({ size: 5000n, granularity: 512 })]);
    const form = JSON.parse(dump(bytesOf(contents)).text);
    Object.assign(form.header, {
      version: 7,
      nb_bitmaps: 9,
      bitmaps_offset: "1",
      header_length: 3,
      bitmaps_size: 4,
      generation: "77",
    });
    Object.assign(form.header, {
      compatible_features: "0x00000000000000FF",
      autoclear_features: "0x0000000000000001",
      table_checksum: "00000000",
    });
    Object.assign(form.bitmaps[0], { l1_table_offset: "3", l1_size: 99, l1_checksum: "FFFFFFFF" });
    form.extensions[0].features.push({ kind: "autoclear", bit: 63, name: "else" });
    expect(bytesOf(load(JSON.stringify(form)))).toEqual(bytesOf(contents));
  });

  test("draft on request, whatever the JSON says", () => {
    const contents = plainContents([Bitmap.dirty({ size: 5000n, granularity: 512 })]);
    const { text } = dump(bytesOf(contents));
    const draft = load(text, 50, { draft: true });
    expect(bytesOf(draft)).toEqual(bytesOf({ ...contents, form: "draft", allOnes: false }));
    expect(JSON.parse(dump(bytesOf(draft)).text).header).toEqual({
      form: "draft",
      version: 1,
      cluster_bits: 9,
      nb_bitmaps: 1,
      bitmaps_offset: "512",
      header_length: 28,
    });
  });
});

describe("dump", () => {
  test("leaves bits_sha256 out where more than 16 MiB are not stored, unless asked, and where the host has no SHA-256", () => {
    const most = plainContents([Bitmap.dirty({ size: 2n ** 27n * 512n, granularity: 512 })], { clusterBits: 16 });
    expect(JSON.parse(dump(bytesOf(most)).text).bitmaps[0].bits_sha256).toHaveLength(64);
    expect(dump(bytesOf(most), {}, {}).text).not.toContain("bits_sha256");
    // 17 MiB, of which two clusters of 1 MiB are stored.
    const stored = Bitmap.clean({ size: 17n * 2n ** 23n * 512n, granularity: 512 });
    for (const first of [5, 17 * 2 ** 23 - 1]) stored.markBits({ first, end: first + 1 });
    const bitmaps = JSON.parse(
      dump(bytesOf(plainContents([stored, Bitmap.dirty(stored)], { clusterBits: 20 }))).text,
    ).bitmaps;
    const bytes17 = new Uint8Array(17 * 2 ** 20);
    bytes17.set([32]);
    bytes17.set([128], bytes17.length - 1);
    expect(bitmaps[0].bits_sha256).toBe(createHash("sha256").update(bytes17).digest("hex"));
    expect(bitmaps[1]).not.toHaveProperty("bits_sha256");
    const above = plainContents([Bitmap.dirty({ size: 2n ** 27n * 512n + 1n, granularity: 512 })], { clusterBits: 16 });
    const bytes = bytesOf(above);
    expect(dump(bytes).text).not.toContain("bits_sha256");
    const ones = createHash("sha256")
      .update(new Uint8Array(2 ** 24).fill(0xff))
      .update(Uint8Array.of(1))
      .digest("hex");
    expect(JSON.parse(dump(bytes, { allDigests: true }).text).bitmaps[0].bits_sha256).toBe(ones);
  });

  test("a bitmap with a bad cluster has its error, no extent of it leaves, and the others stay", () => {
    const shape = { size: 9000n * 512n, granularity: 512 };
    const bad = Bitmap.clean(shape);
    // The first cluster is good, the second is not: extents of the first must not leave either.
    bad.markBits({ first: 1, end: 5 });
    bad.markBits({ first: 5000, end: 5005 });
    const good = Bitmap.clean(shape);
    good.markBits({ first: 3, end: 4 });
    const bytes = bytesOf(plainContents([bad, good]));
    const place = bytes.findIndex((byte, at) => at > 8192 + 512 && byte === 0x1e);
    expect(place).toBeGreaterThan(0);
    // Bits 5000..5004 are in byte 113 of the second cluster. If they are cleared, the checksum must not match.
    const lost = place + 512 + (5000 - 4096) / 8;
    expect(bytes[lost]).toBe(0x1f);
    bytes[lost] = 0;
    const { text, errors } = dump(bytes);
    const form = JSON.parse(text);
    expect(errors).toBe(1);
    expect(validator("qdb")(form)).toBe(true);
    expect(form.bitmaps[0]).toMatchObject({ name: "b0", error: { code: "BAD_CHECKSUM" } });
    expect(form.bitmaps[0]).not.toHaveProperty("dirty");
    expect(form.bitmaps[1].dirty).toEqual([["1536", "512"]]);
    const pieces = [
      ...streamSync(dumpPlan(runSync(readIndex(bytes.length), bytesSource(bytes)), {}, {}), bytesSource(bytes)),
    ];
    expect(
      pieces
        .slice(
          0,
          pieces.findIndex((piece) => piece.includes('"b1"')),
        )
        .join(""),
    ).not.toContain('"dirty"');
    expectCode("USAGE", () => load(text));
  });

  test("names that are not UTF-8, unknown flags, extra data that is no row of records", () => {
    const shape = { size: 5000n, granularity: 512 };
    const contents = plainContents([Bitmap.clean(shape), Bitmap.clean(shape), Bitmap.clean(shape)]);
    const records = [{ type: 9, data: new Uint8Array(8) }];
    const bytes = bytesOf({
      ...contents,
      bitmaps: contents.bitmaps.map((bitmap) => ({ ...bitmap, extraData: records })),
    });
    const entry = 40 + 16 + 8;
    bytes.set([0xff, 0xfe], 8192 + 56);
    bytes.set([0x80, 0x0d], 8192 + entry + 24);
    // The record of the third has a length past the end.
    bytes.set([0, 0, 0, 9], 8192 + 2 * entry + 44);
    reseal(bytes);
    const form = JSON.parse(dump(bytes).text);
    expect(validator("qdb")(form), JSON.stringify(validator("qdb").errors)).toBe(true);
    expect(form.bitmaps[0]).toMatchObject({ name_hex: "fffe", error: { code: "BAD_FIELD" } });
    expect(form.bitmaps[0]).not.toHaveProperty("name");
    expect(form.bitmaps[1]).toMatchObject({
      flags: ["enabled", "frozen", "bit3", "bit15"],
    });
    expect(form.bitmaps[1].error.code).toBe("UNSUPPORTED_FEATURE");
    expect(form.bitmaps[2]).not.toHaveProperty("extra_data");
    expect(form.bitmaps[2].error.code).toBe("BAD_FIELD");
  });
});

/** Computes the checksums of header and mirror in a full file with clusters of 512 bytes. */
function reseal(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer);
  const offset = Number(view.getBigUint64(16));
  view.setUint32(64, crc32(bytes.subarray(offset, offset + view.getUint32(28))));
  view.setUint32(68, 0);
  view.setUint32(68, crc32(bytes.subarray(0, 4096)));
  bytes.copyWithin(4096, 0, 4096);
}

function escapeAll(text: string): string {
  let escaped = "";
  for (let at = 0; at < text.length; at++) escaped += `\\u${text.charCodeAt(at).toString(16).padStart(4, "0")}`;
  return escaped;
}

function turn(object: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).reverse());
}
