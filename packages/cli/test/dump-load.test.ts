import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { QdbJsonBitmap } from "@qdb/format/container";
import { describe, expect, test } from "vitest";
import { validator } from "../../conformance/test/support/schema.ts";
import { be, bits, join as concat, hex, named, tlv, utf8 } from "../../format/test/hand.ts";
import { qdb, qdbFails, runQdb, temporaryDirectory } from "./built.ts";
import { DAILY, DAILY_MAP, goodFile, handFile } from "./samples.ts";

const directory = temporaryDirectory();
const at = (name: string): string => join(directory, name);
const good = goodFile(directory);

/** What a user writes by hand: the required keys, and the dirty ranges that DAILY has. */
const DAILY_JSON = {
  format: "qdb",
  header: { form: "full", cluster_bits: 9 },
  extensions: [],
  bitmaps: [
    {
      name: "daily",
      size: "2500000",
      granularity: 512,
      flags: ["enabled"],
      dirty: [
        ["0", "512"],
        ["1536", "1024"],
        ["2499584", "416"],
      ],
    },
  ],
};

describe("dump", () => {
  test("a file made by hand, every key where the schema has it", () => {
    const document = JSON.parse(qdb("dump", good));
    const validate = validator("qdb");
    expect(validate(document), JSON.stringify(validate.errors)).toBe(true);
    expect(document.bitmaps).toMatchObject([
      { name: "daily", size: "2500000", dirty: DAILY_JSON.bitmaps[0]!.dirty, dirty_bytes: "1952" },
    ]);
  });

  test("digests of 16 MiB that no cluster stores, of more where they are asked for; load takes a form without them", () => {
    const path = at("large.qdb");
    qdb("create", path);
    for (const name of ["a", "b"]) qdb("bitmap", "--add", "--size=64G", "--granularity=512", path, name);
    const digests = (text: string): unknown[] =>
      JSON.parse(text).bitmaps.map((bitmap: QdbJsonBitmap) => bitmap.bits_sha256);
    const zeros = createHash("sha256")
      .update(new Uint8Array(2 ** 24))
      .digest("hex");
    const form = qdb("dump", path);
    expect(digests(form)).toEqual([zeros, undefined]);
    expect(digests(qdb("dump", "--all-digests", path))).toEqual([zeros, zeros]);
    runQdb(["load", "-", at("without-digests.qdb")], { input: form });
    expect(digests(qdb("dump", at("without-digests.qdb")))).toEqual([zeros, undefined]);
  });

  test("a bitmap whose bits cannot be used: the form is whole, the exit code 1, and one line says why", () => {
    const path = handFile(directory, "bad.qdb", {
      bitmaps: [{ ...DAILY, name: "busy", flags: 3 }, DAILY, { ...DAILY, name: "odd", granularity: 7 }],
    });
    const { status, stdout, stderr } = runQdb(["dump", path]);
    const { bitmaps } = JSON.parse(stdout.toString());
    expect(
      bitmaps.map(({ name, error, dirty }: Record<string, { code?: string; length?: number }>) => [
        name,
        error?.code ?? dirty?.length,
      ]),
    ).toEqual([
      ["busy", "INCONSISTENT"],
      ["daily", 3],
      ["odd", "BAD_FIELD"],
    ]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^qdb: \[INCONSISTENT\] [^\n]*2 bitmaps[^\n]*"busy"[^\n]*\n$/);
  });
});

describe("load", () => {
  test("by hand, from a file and from standard input", () => {
    writeFileSync(at("daily.json"), JSON.stringify(DAILY_JSON));
    expect(qdb("load", at("daily.json"), at("daily.qdb"))).toBe("");
    expect(qdb("map", "--output=json", at("daily.qdb"), "daily")).toBe(DAILY_MAP);
    expect(runQdb(["load", "-", at("stdin.qdb")], { input: JSON.stringify(DAILY_JSON) })).toMatchObject({
      status: 0,
      stderr: "",
    });
    expect(qdb("map", "--output=json", at("stdin.qdb"), "daily")).toBe(DAILY_MAP);
    // No file_id is given: each file has its own.
    expect(readFileSync(at("stdin.qdb")).equals(readFileSync(at("daily.qdb")))).toBe(false);
  });

  test("--draft makes the 28 bytes of 2014", () => {
    writeFileSync(at("draft.json"), JSON.stringify({ ...DAILY_JSON, header: { form: "full", cluster_bits: 9 } }));
    qdb("load", "--draft", at("draft.json"), at("draft.qdb"));
    expect(readFileSync(at("draft.qdb")).subarray(0, 32)).toEqual(
      Buffer.from(hex("51444200 00000001 00000009 00000001 0000000000000200 0000001c 00000000")),
    );
    expect(qdb("map", "--output=json", at("draft.qdb"), "daily")).toBe(DAILY_MAP);
  });

  test("dump and load give the same form back, records and extensions included", () => {
    const extra = concat(tlv(1, utf8("drive0")), tlv(5, be(-1n & 0xffff_ffff_ffff_ffffn, 8)), tlv(0x99, hex("00ff")));
    const extensions = concat(tlv(0x51444e4d, named(hex("0badcafe"), "site")), tlv(0x0badcafe, hex("01")));
    const path = handFile(directory, "rich.qdb", {
      extensions,
      bitmaps: [
        { ...DAILY, extra },
        { ...DAILY, name: "büro", clusters: [bits(512, 7), "zeros"] },
      ],
    });
    const first = qdb("dump", path);
    writeFileSync(at("rich.json"), first);
    qdb("load", at("rich.json"), at("again.qdb"));
    const second = qdb("dump", at("again.qdb"));
    const kept = (text: string): unknown => {
      const { header, extensions: list, bitmaps } = JSON.parse(text);
      const bits = bitmaps.map(({ l1_table_offset: _, l1_checksum: _2, ...rest }: Record<string, unknown>) => rest);
      return { form: header.form, cluster_bits: header.cluster_bits, file_id: header.file_id, list, bits };
    };
    expect(kept(second)).toEqual(kept(first));
  });

  test("what does not fit is refused with its place, and nothing is left behind", () => {
    const wrong = [
      [{ ...DAILY_JSON, bitmaps: [{ ...DAILY_JSON.bitmaps[0], dirty: [["0", "2500001"]] }] }, /dirty/],
      [{ ...DAILY_JSON, bitmaps: [{ ...DAILY_JSON.bitmaps[0], dirty_bytes: "1" }] }, /dirty_bytes/],
      [{ ...DAILY_JSON, extra: 1 }, /extra/],
      [{ ...DAILY_JSON, bitmaps: [{ name: "\ud800", size: "0", granularity: 512, dirty: [] }] }, /name/],
    ] as const;
    const before = readdirSync(directory).length;
    for (const [document, message] of wrong) {
      writeFileSync(at("daily.json"), JSON.stringify(document));
      expect(qdbFails("USAGE", ["load", at("daily.json"), at("wrong.qdb")])).toMatch(message);
    }
    expect(existsSync(at("wrong.qdb"))).toBe(false);
    expect(readdirSync(directory).length).toBe(before);
  });
});
