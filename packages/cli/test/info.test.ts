import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { validator } from "../../conformance/test/support/schema.ts";
import { be, bits, join as concat, edit, FILE_ID, file, hex, named, rep, tlv, utf8 } from "../../format/test/hand.ts";
import { qdb, runQdb, temporaryDirectory } from "./built.ts";
import { DAILY, handFile } from "./samples.ts";

const directory = temporaryDirectory();
const disk = join(directory, "disk.img");
let rich = "";

/** 2014-11-19T12:00:00Z in ns since the epoch. */
const CREATED = 1_416_398_400n * 10n ** 9n;
const ID = hex("0c0ffee0 0000 4000 8000 000000000001");
const SESSION = hex("7d444840 9dc0 11d1 b245 5ffdce74fad2");
const PARENT = hex("0c0ffee0 0000 4000 8000 000000000000");

beforeAll(() => {
  writeFileSync(disk, rep(1, 1000));
  const { size, mtimeNs, ino } = statSync(disk, { bigint: true });
  const stamp = concat(be(size, 8), be(mtimeNs + 1n, 8), be(ino, 8));
  const records = concat(
    tlv(1, utf8(disk)),
    tlv(2, stamp),
    tlv(3, ID),
    tlv(4, PARENT),
    tlv(5, be(CREATED, 8)),
    tlv(6, utf8("nightly")),
  );
  rich = handFile(directory, "rich.qdb", {
    header: { incompatible: 1n, compatible: 2n ** 40n, generation: 2n ** 63n },
    extensions: concat(
      tlv(0x6803f857, named(hex("00 00"), "all-ones clusters")),
      tlv(0x51444e4d, named(hex("0badcafe"), "site data")),
      tlv(0x0badcafe, hex("00ff")),
    ),
    bitmaps: [
      { ...DAILY, extra: records },
      { ...DAILY, name: "off", flags: 0, clusters: ["ones", "zeros"] },
      { ...DAILY, name: "frozen", flags: 4, extra: tlv(8, utf8("daily")) },
      { ...DAILY, name: "busy", flags: 3, extra: tlv(9, concat(SESSION, be(2n ** 53n + 1n, 8))) },
      { ...DAILY, name: "later", flags: 0x8000 },
      { ...DAILY, name: "rotten", clusters: [bits(512, 1), { data: bits(512, 1), crc: 5 }] },
      { ...DAILY, name: hex("ff00") },
      { name: "odd", size: 1n, granularity: 3 },
      { name: "none", size: 0n, granularity: 4096 },
    ],
  });
});

function info(path: string): Record<string, unknown> & { bitmaps: Record<string, unknown>[] } {
  const document = JSON.parse(qdb("info", "--output=json", path));
  const validate = validator("info");
  expect(validate(document), JSON.stringify(validate.errors)).toBe(true);
  return document;
}

test("the header, features and extensions, by name where there is one", () => {
  expect(info(rich)).toMatchObject({
    filename: rich,
    form: "full",
    cluster_size: 512,
    file_size: statSync(rich).size,
    generation: "9223372036854775808",
    file_id: "c0a1e5d2-3b74-4f19-8a6d-92e07b15c348",
    writer_id: "5f0c9a51-7d1e-4a38-9b62-0e4d8c21f7a6",
    features: { incompatible: [{ bit: 0, name: "all-ones clusters" }], compatible: [{ bit: 40 }], autoclear: [] },
    extensions: [
      { type: "0x6803f857", name: "feature name table", length: 48 },
      { type: "0x51444e4d", name: "extension name table", length: 48 },
      { type: "0x0badcafe", name: "site data", length: 2 },
    ],
    header_source: "primary",
    unprotected: false,
  });
});

test("every bitmap with its records", () => {
  const now = Date.now() / 1000;
  const [daily, ...others] = info(rich).bitmaps;
  const { age_seconds: age, ...rest } = daily!;
  expect(Math.abs(Number(age) - (now - Number(CREATED / 10n ** 9n)))).toBeLessThan(60);
  const { size, mtimeNs, ino } = statSync(disk, { bigint: true });
  expect(rest).toEqual({
    name: "daily",
    size: "2500000",
    granularity: 512,
    bits: 4883,
    dirty_bytes: String(3 * 512 + 416),
    dirty_percent: (100 * (3 * 512 + 416)) / 2_500_000,
    flags: ["enabled"],
    state: "ok",
    disk,
    disk_stamp: { length: `${size}`, mtime: `${mtimeNs + 1n}`, file: `${ino}` },
    disk_state: "changed",
    changed_since: true,
    id: "0c0ffee0-0000-4000-8000-000000000001",
    parent: "0c0ffee0-0000-4000-8000-000000000000",
    created: `${CREATED}`,
    comment: "nightly",
    stored_clusters: 2,
    stored_bytes: 3 * 512,
  });
  const facts = others.map(({ name, name_hex, state, error, dirty_bytes }) => {
    const code = (error as { code: string } | undefined)?.code;
    return [name ?? name_hex, state, code ?? dirty_bytes];
  });
  expect(facts).toEqual([
    ["off", "disabled", String(4096 * 512)],
    ["frozen", "frozen", String(3 * 512 + 416)],
    ["busy", "inconsistent", "INCONSISTENT"],
    ["later", "unsupported", "UNSUPPORTED_FEATURE"],
    ["rotten", "corrupt", "BAD_CHECKSUM"],
    ["ff00", "corrupt", "BAD_FIELD"],
    ["odd", "corrupt", "BAD_FIELD"],
    ["none", "disabled", "0"],
  ]);
  expect(others[1]).toMatchObject({ successor: "daily" });
  expect(others[2]).toMatchObject({
    session: { id: "7d444840-9dc0-11d1-b245-5ffdce74fad2", file: "9007199254740993" },
  });
  expect(others[0]).not.toHaveProperty("session");
});

test("the same for people", () => {
  const text = qdb("info", rich);
  for (const line of [
    `file: "${rich}"`,
    "file format: qdb, version 1, full form",
    "cluster size: 512 B (512 bytes)",
    '    bit 0: "all-ones clusters"',
    '    0x0badcafe: "site data", 2 bytes',
    "bitmaps: 9",
    '    "daily"',
    "        state: ok",
    "        size: 2.38 MiB (2500000 bytes)",
    "        dirty: 1.91 KiB (1952 bytes), 0.08 %",
    `        disk: "${disk}"`,
    "        changed since: yes, the disk is another one or was changed",
    '        comment: "nightly"',
    '        successor: "daily"',
    "        flags: enabled, in_use",
    "        session: 7d444840-9dc0-11d1-b245-5ffdce74fad2, shell of inode 9007199254740993",
    "        flags: bit15",
    "    hex:ff00",
  ]) {
    expect(text.split("\n")).toContain(line);
  }
  expect(text).toMatch(/^ {8}created: 2014-11-19T12:00:00Z, \d+ days ago$/m);
  expect(text).toMatch(/^ {8}error: \[BAD_CHECKSUM\] .+/m);
});

test("a bitmap of granularity 0 is listed like any other that breaks a rule", () => {
  const path = handFile(directory, "granularity-0.qdb", {
    bitmaps: [{ name: "zero", size: 4096n, granularity: 0 }, DAILY],
  });
  const [zero, daily] = info(path).bitmaps;
  expect(zero).toMatchObject({ name: "zero", granularity: 0, state: "corrupt", error: { code: "BAD_FIELD" } });
  expect(zero).not.toHaveProperty("bits");
  expect(daily).toMatchObject({ name: "daily", state: "ok" });
  expect(qdb("info", path)).toContain("granularity 0 is no power of two from 512 to 2^31");
});

describe("headers", () => {
  test("a draft is unprotected, and has no ids", () => {
    const path = handFile(directory, "draft.qdb", { draft: true, bitmaps: [DAILY] });
    const facts = info(path);
    expect(facts).toMatchObject({ form: "draft", unprotected: true, header_source: "primary" });
    expect(facts.bitmaps[0]).toMatchObject({ dirty_bytes: "1952", stored_clusters: 2, stored_bytes: 3 * 512 });
    expect(facts.file_id).toBeUndefined();
    expect(qdb("info", path)).toMatch(/^unprotected: /m);
  });

  test("a damaged primary: the mirror was used", () => {
    const path = join(directory, "mirror.qdb");
    writeFileSync(path, edit(file({ bitmaps: [DAILY] }), [88, rep(0xee, FILE_ID.length)]));
    const [json, human] = [["--output=json"], []].map((options) => runQdb(["info", ...options, path]));
    for (const ran of [json, human])
      expect(ran).toMatchObject({ status: 0, stderr: expect.stringMatching(/^qdb: warning: .*mirror/) });
    const facts = JSON.parse(`${json?.stdout}`);
    expect(facts).toMatchObject({ header_source: "mirror", file_id: "c0a1e5d2-3b74-4f19-8a6d-92e07b15c348" });
    expect(`${human?.stdout}`).toMatch(/^header: damaged, its mirror was used$/m);
  });

  test("create makes an empty full file, each with its own ids", () => {
    const made = ["a", "b"].map((name) => {
      const path = join(directory, `${name}.qdb`);
      expect(qdb("create", ...(name === "a" ? [] : ["--cluster-size", "64k"]), path)).toBe("");
      return info(path);
    });
    expect(made[0]).toMatchObject({ form: "full", cluster_size: 4096, file_size: 8192, generation: "1", bitmaps: [] });
    expect(made[1]).toMatchObject({ cluster_size: 65536, file_size: 131072 });
    expect(made[0]!.features).toEqual({
      incompatible: [{ bit: 0, name: "all-ones clusters" }],
      compatible: [],
      autoclear: [],
    });
    expect(made[0]!.file_id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab]/);
    expect(made[0]!.file_id).not.toBe(made[1]!.file_id);
    expect(made[0]!.writer_id).not.toBe(made[1]!.writer_id);
  });
});
