// Names, paths and texts from outside that could act on a terminal, mislead a reader, or break JSON: harmless in every output.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { bits, join as concat, file, hex, named, tlv, utf8 } from "../../format/test/hand.ts";
import { COMMANDS } from "../src/commands/index.ts";
import { qdb, runQdb, temporaryDirectory } from "./built.ts";
import { DAILY, HARMFUL } from "./samples.ts";

const directory = temporaryDirectory();
const path = join(directory, "hostile.qdb");

const NAMES: readonly string[] = [
  "__proto__",
  "constructor",
  "-x",
  "--help",
  "new\nline",
  "return\rstart",
  "tab\tback\bspace",
  "\u001b[31mred\u001b]0;title\u0007",
  "\u009b31mC1",
  "left\u202eto right\u202c",
  "\u2066isolate\u2069",
  "zero\u200bwidth\ufeff",
  "line\u2028paragraph\u2029",
  '"quoted" \\ back\\slash',
  "{bar} %s $(id) `id` <script>&amp;</script>",
  "private\ue000 unassigned\u0378 noncharacter\uffff tag\u{e0041}",
  "emoji 😀 und büro/π",
];
/** Names that are no UTF-8: such a bitmap is listed, and its bits are refused. */
const BAD_NAMES: readonly Uint8Array[] = [hex("ff"), hex("61 1b ff"), hex("c0 af"), hex("ed a0 80")];

const EXTRA = concat(
  tlv(1, utf8("/dev/\u001b[2Jdisk\u202e")),
  tlv(6, utf8("comment\nwith \u001b[31m lines")),
  tlv(0x7777, hex("1b 5b 33 31 6d ff")),
);

beforeAll(() => {
  const bitmaps = [...NAMES, ...BAD_NAMES].map((name) => ({ ...DAILY, name, extra: EXTRA }));
  // Names of feature bits and of extensions come from the file too.
  const features = named(hex("01 05"), "\u001b[31mfeature\u202e");
  const extensions = concat(
    tlv(0x6803f857, features),
    tlv(0x51444e4d, named(hex("0badcafe"), "ext\nension\u001b")),
    tlv(0x0badcafe, hex("1b")),
  );
  writeFileSync(path, file({ bitmaps, extensions, header: { compatible: 32n } }));
});

/** Runs a command whose output, on either side, must be harmless. */
function harmless(args: readonly string[]): ReturnType<typeof runQdb> {
  const ran = runQdb(args);
  expect(new TextDecoder("utf-8", { fatal: true }).decode(ran.stdout)).not.toMatch(HARMFUL);
  expect(ran.stderr).not.toMatch(HARMFUL);
  expect(ran.stderr.split("\n").length).toBeLessThanOrEqual(2);
  return ran;
}

describe("a file full of them", () => {
  test.each(["human", "json"])("info --output=%s", (output) => {
    const { status, stdout } = harmless(["info", `--output=${output}`, path]);
    expect(status).toBe(0);
    if (output === "human") {
      expect(stdout.toString()).toContain("    hex:611bff\n");
      expect(stdout.toString()).toContain('    "new\\x0aline"\n');
      expect(stdout.toString()).toContain('bit 5: "\\x1b[31mfeature\\u202e"');
      return;
    }
    const { bitmaps, features, extensions } = JSON.parse(stdout.toString());
    expect(bitmaps.slice(0, NAMES.length).map(({ name }: { name: string }) => name)).toEqual(NAMES);
    expect(bitmaps.slice(NAMES.length).map((bitmap: { name_hex: string }) => bitmap.name_hex)).toEqual([
      "ff",
      "611bff",
      "c0af",
      "eda080",
    ]);
    expect(bitmaps[0]).toMatchObject({ disk: "/dev/\u001b[2Jdisk\u202e", comment: "comment\nwith \u001b[31m lines" });
    expect(features.compatible).toEqual([{ bit: 5, name: "\u001b[31mfeature\u202e" }]);
    expect(extensions[2]).toEqual({ type: "0x0badcafe", name: "ext\nension\u001b", length: 1 });
  });

  test.each(["human", "json"])("check --output=%s finds the bad names, and says where they are", (output) => {
    const { status, stdout } = harmless(["check", `--output=${output}`, path]);
    expect(status).toBe(2);
    const text = stdout.toString();
    for (const name of ["hex:ff", "hex:611bff", "hex:c0af", "hex:eda080"]) expect(text).toContain(name);
  });

  test("dump gives every name back", () => {
    const { status, stdout, stderr } = harmless(["dump", path]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^qdb: \[BAD_FIELD\] .*: 4 bitmaps are dumped without bits.*"hex:ff"/);
    const { bitmaps } = JSON.parse(stdout.toString());
    expect(bitmaps.slice(0, NAMES.length).map(({ name }: { name: string }) => name)).toEqual(NAMES);
  });

  test.each(NAMES)("map finds %j", (name) => {
    const { status, stdout } = harmless(["map", "--", path, name]);
    expect({ status, lines: stdout.toString().split("\n").length }).toEqual({ status: 0, lines: 6 });
  });

  test("show", () => {
    expect(harmless(["show", path]).status).toBe(0);
    expect(harmless(["show", "--svg", "-", path]).status).toBe(0);
  });
});

describe("names that are not there", () => {
  test.each(NAMES.map((name, index) => [name, index % 2 === 0 ? "human" : "json"]))(
    "%j as a path and as a bitmap, --output=%s",
    (name, output) => {
      const missing = join(directory, "no", name.replaceAll("/", "_"));
      expect(harmless(["info", `--output=${output}`, missing]).status).toBe(1);
      expect(harmless(["map", `--output=${output}`, "--", path, `${name}?`]).status).toBe(1);
      expect(harmless(["check", `--output=${output}`, "--", name]).status).toBe(1);
    },
  );

  test.each(COMMANDS.map(({ name }, index) => [name, index] as const))(
    "%s: as an operand, an option and its value",
    (command, index) => {
      // Over all commands, each name comes in each place.
      const name = (place: number): string => NAMES[(index + 5 * place) % NAMES.length] ?? "";
      harmless([command, "--", ...Array.from({ length: 6 }, () => name(0))]);
      harmless([command, `--${name(1)}x`]);
      harmless([command, `--output=${name(2)}`]);
      harmless([command, `-g${name(3)}`]);
    },
  );
});

test.each(NAMES.filter((name) => !name.includes("/")))("a file of the name %j", (name) => {
  const folder = join(directory, "named");
  mkdirSync(folder, { recursive: true });
  const named = join(folder, name);
  writeFileSync(named, file({ bitmaps: [{ ...DAILY, clusters: [bits(512, 1), bits(512)] }] }));
  expect(harmless(["info", named]).status).toBe(0);
  expect(harmless(["check", named]).status).toBe(0);
  expect(JSON.parse(qdb("info", "--output=json", named)).filename).toBe(named);
  expect(harmless(["create", named]).stderr).toContain("[ALREADY_EXISTS]");
});
