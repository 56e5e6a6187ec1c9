import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { validator } from "../../conformance/test/support/schema.ts";
import { be, bits, join as concat, edit, file, type HandFile, hex, rep, sealed, tlv } from "../../format/test/hand.ts";
import { runQdb, temporaryDirectory } from "./built.ts";
import { DAILY } from "./samples.ts";

const directory = temporaryDirectory();
const path = join(directory, "file.qdb");

/** Checks a file in both forms, which must say the same; gives status, document and text. */
function check(bytes: Uint8Array): { status: number | null; document: CheckDocument; text: string } {
  writeFileSync(path, bytes);
  const human = runQdb(["check", path]);
  const json = runQdb(["check", "--output=json", path]);
  const document = JSON.parse(json.stdout.toString()) as CheckDocument;
  const validate = validator("check");
  expect(validate(document), JSON.stringify(validate.errors)).toBe(true);
  expect({ status: json.status, stderr: json.stderr }).toEqual({ status: human.status, stderr: human.stderr });
  const text = human.stdout.toString();
  const lines = text.split("\n").filter((line) => /^(corrupt|unsafe|leak|noncanonical|info): \[/.test(line));
  expect(lines.map((line) => line.split("] ")[0])).toEqual(
    document.findings.map(({ severity, code }) => `${severity}: [${code}`),
  );
  return { status: human.status, document, text };
}

interface CheckDocument {
  readonly filename: string;
  readonly findings: readonly {
    readonly code: string;
    readonly severity: string;
    readonly repairable: boolean;
    readonly where: unknown;
  }[];
  readonly counts: Readonly<Record<string, number>>;
  readonly clean: boolean;
  readonly complete: boolean;
}

const good: HandFile = { bitmaps: [DAILY] };

test("a good file: exit 0, and it is said", () => {
  const { status, document, text } = check(file(good));
  expect(status).toBe(0);
  expect(document).toEqual({
    filename: path,
    findings: [],
    header_source: "primary",
    counts: { corrupt: 0, unsafe: 0, leak: 0, noncanonical: 0, info: 0 },
    clean: true,
    complete: true,
  });
  expect(text).toBe(`No errors were found in "${path}".\n`);
});

describe("exit codes are qemu-img's", () => {
  const bad = { data: bits(512, 1), crc: 5 };

  test.each<[number, string, string[], Uint8Array]>([
    [0, "a draft", ["UNPROTECTED"], file({ ...good, draft: true })],
    [0, "a mirror that differs", ["MIRROR"], file({ ...good, mirror: rep(0, 4096) })],
    [0, "padding that is not zero", ["PADDING"], file({ bitmaps: [{ ...DAILY, padding: 1 }] })],
    [
      0,
      "a tail that is not zero",
      ["TAIL"],
      file({ bitmaps: [{ ...DAILY, clusters: [bits(512, 0), rep(0xff, 512)] }] }),
    ],
    [3, "a block behind the last one in use", ["LEAK"], concat(file(good), rep(0, 4096))],
    [0, "a cluster behind the last one in use, in its block", [], concat(file(good), rep(0, 512))],
    [2, "a bitmap in use", ["INCONSISTENT"], file({ bitmaps: [{ ...DAILY, flags: 3 }] })],
    [2, "a broken stamp", ["BAD_RECORD"], file({ bitmaps: [{ ...DAILY, extra: tlv(2, rep(0, 8)) }] })],
    [2, "a bad data cluster", ["BAD_CHECKSUM"], file({ bitmaps: [{ ...DAILY, clusters: [bits(512, 1), bad] }] })],
    [
      2,
      "two bad ones and a leak",
      ["BAD_CHECKSUM", "BAD_CHECKSUM", "LEAK"],
      concat(file({ bitmaps: [{ ...DAILY, clusters: [bad, bad] }] }), rep(0, 4096)),
    ],
    [2, "a bad primary", ["BAD_CHECKSUM"], edit(file(good), [60, rep(1, 1)])],
    [2, "a bad table", ["BAD_CHECKSUM"], edit(file(good), [8192 + 40, rep(0x78, 1)])],
    [2, "a file that ends in its header", ["TRUNCATED"], file(good).slice(0, 4095)],
  ])("%i: %s", (wanted, _, codes, bytes) => {
    const { status, document } = check(bytes);
    expect(document.findings.map(({ code }) => code)).toEqual(codes);
    expect(status).toBe(wanted);
    expect(document.clean).toBe(wanted === 0);
    const total = Object.values(document.counts).reduce((sum, count) => sum + count, 0);
    expect(total).toBe(document.findings.length);
  });

  test("1: what cannot be checked", () => {
    const unknown = sealed(edit(file(good), [32, be(4n, 8)]));
    const future = sealed(edit(file(good), [4, be(2, 4)]));
    for (const [code, bytes] of [
      ["BAD_MAGIC", rep(7, 9000)],
      ["UNSUPPORTED_FEATURE", unknown],
      ["UNSUPPORTED_VERSION", future],
    ] as const) {
      writeFileSync(path, bytes);
      const { status, stdout, stderr } = runQdb(["check", path]);
      expect({ status, stdout: stdout.toString(), code: /^qdb: \[(\w+)\]/.exec(stderr)?.[1] }).toEqual({
        status: 1,
        stdout: "",
        code,
      });
      const json = runQdb(["check", "--output=json", path]);
      expect(json.status).toBe(1);
      expect(JSON.parse(json.stdout.toString()).error.code).toBe(code);
    }
  });
});

test("a finding says what, where, and whether it can be repaired", () => {
  const clusters = [bits(512, 1), { data: bits(512, 1), crc: 5 }];
  const { document, text } = check(file({ bitmaps: [{ ...DAILY, clusters }] }));
  const [found] = document.findings;
  expect(found).toMatchObject({
    severity: "corrupt",
    repairable: true,
    where: { structure: "data cluster", offset: 9728, bitmap: "daily" },
  });
  expect(text).toMatch(/^corrupt: \[BAD_CHECKSUM\] .*9728.*bitmap "daily".*; repairable$/m);
  expect(text).toMatch(/^Findings: 1 corrupt\.$/m);
});

test("a file whose table is in error is not looked at any further, which is said", () => {
  const { document, text } = check(edit(file(good), [8192 + 20, hex("ff")]));
  expect(document.complete).toBe(false);
  expect(text).toContain("kept the check from looking");
});
