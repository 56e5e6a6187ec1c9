// Paths that are not UTF-8, given to the built command as bytes: by a shell, since Node has only text for arguments.
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { COMMANDS } from "../src/commands/index.ts";
import { COMMAND, NODE, qdb, qdbFails, temporaryDirectory } from "./built.ts";
import { DAILY, HARMFUL, handFile } from "./samples.ts";

const directory = temporaryDirectory();

/** A word of a shell whose bytes are `before`, ff fe and `after`. */
const notUtf8 = (before = "", after = ""): string => `"$(printf '${before}\\377\\376${after}')"`;
/** What messages have for it. */
const shown = (before = "", after = ""): string => `"${before}\\xff\\xfe${after}"`;

/** Runs `qdb` in a directory with arguments as a shell reads them. */
function shell(where: string, line: string): { status: number | null; stdout: string; stderr: string } {
  const script = `cd ${where} && exec "$NODE" "$COMMAND" ${line}`;
  const env = { ...process.env, NODE_OPTIONS: undefined, NODE, COMMAND };
  return spawnSync("sh", ["-c", script], { env, encoding: "utf8" });
}

/** Every name in a directory, as bytes. */
const namesIn = (path: string): string[] =>
  readdirSync(path, "buffer")
    .map((name) => name.toString("latin1"))
    .sort();

describe("an argument that is not UTF-8", () => {
  test.each(COMMANDS)("of $name is refused, wherever it stands, and nothing is made", async ({ name, load }) => {
    const { command } = await load();
    const folder = join(directory, `of-${name}`);
    mkdirSync(folder);
    const operands = Array.from({ length: command.operands.max }, (_, place) =>
      Array.from({ length: place + 1 }, (_, at) => (at < place ? "x" : notUtf8("caf"))).join(" "),
    );
    const options = command.options.flatMap(({ long, value }) => (value === undefined ? [] : [long]));
    const lines = [
      ...operands,
      ...options.map((long) => `--${long}=${notUtf8("caf")}`),
      ...options.map((long) => `--${long} ${notUtf8("caf")} -- x`),
    ];
    const script = lines.map((line) => `"$NODE" "$COMMAND" ${name} ${line}; echo "exit $?" >&2`).join("\n");
    const env = { ...process.env, NODE_OPTIONS: undefined, NODE, COMMAND };
    const { stdout, stderr } = spawnSync("sh", ["-c", `cd ${folder}\n${script}`], { env, encoding: "utf8" });
    expect(stdout).toBe("");
    const said = stderr.trimEnd().split("\n");
    expect(said).toHaveLength(2 * lines.length);
    for (let at = 0; at < said.length; at += 2) {
      expect(said[at]).toMatch(/^qdb: \[USAGE\] the argument ".*caf\\xff\\xfe" is not UTF-8, /);
      expect(said[at + 1]).toBe(`exit ${command.usageExitCode ?? 2}`);
    }
    expect(namesIn(folder)).toEqual([]);
  });

  test("is an error as JSON too, harmless on a terminal, and others may hold U+FFFD itself", () => {
    const folder = join(directory, "json");
    mkdirSync(folder);
    const { status, stdout } = shell(folder, `create --output=json ${notUtf8("a\\033")}`);
    expect(status).toBe(2);
    expect(JSON.parse(stdout).error).toMatchObject({
      code: "USAGE",
      message: expect.stringContaining(`the argument "a\\x1b\\xff\\xfe" is not UTF-8`),
    });
    expect(stdout).not.toMatch(HARMFUL);
    const both = shell(folder, `bitmap --add --size 1M ${join(folder, "\ufffd.qdb")} ${notUtf8()}`);
    expect(both.stderr).toContain(`the argument ${shown()} is not UTF-8`);
    expect(namesIn(folder)).toEqual([]);
    const path = join(folder, "\ufffd.qdb");
    qdb("create", path);
    qdb("bitmap", "--add", "--size", "1M", path, "b\ufffd");
    expect(JSON.parse(qdb("info", "--output=json", path)).bitmaps[0].name).toBe("b\ufffd");
    expect(readdirSync(folder)).toEqual(["\ufffd.qdb"]);
  });
});

describe("a folder whose name is not UTF-8", () => {
  const folder = Buffer.concat([Buffer.from(`${directory}/folder`), Buffer.from([0xff, 0xfe])]);
  const inside = notUtf8(`${directory}/folder`);
  const within = (name: string): Buffer => Buffer.concat([folder, Buffer.from(`/${name}`)]);
  const link = join(directory, "link");
  mkdirSync(folder);
  symlinkSync(folder, link);
  writeFileSync(within("vm.raw"), Buffer.alloc(2 ** 20));
  writeFileSync(within("old.raw"), Buffer.alloc(2 ** 20));

  test("can be worked in, with paths relative to it", () => {
    for (const line of [
      "create vm.qdb",
      "bitmap --add --size 1M vm.qdb b",
      "map vm.qdb b",
      "export --to raw-bits -B b vm.qdb b.bits",
    ])
      expect(shell(inside, line)).toMatchObject({ status: 0, stderr: "" });
    expect(readdirSync(folder)).toEqual(expect.arrayContaining(["vm.qdb", "b.bits"]));
  });

  test("no bitmap is bound to a disk in it by a path that leads nowhere", () => {
    expect(shell(inside, "create bound.qdb").status).toBe(0);
    writeFileSync(within("one.bits"), Buffer.alloc(2));
    const before = readFileSync(within("bound.qdb"));
    const names = namesIn(link);
    for (const line of [
      "bitmap --add --disk vm.raw bound.qdb b",
      "bitmap --add --disk ./vm.raw bound.qdb b",
      "import --from raw-bits -g 64K --disk vm.raw -B b one.bits bound.qdb",
      "diff old.raw vm.raw bound.qdb",
      "diff old.raw vm.raw new.qdb",
    ]) {
      const { status, stdout, stderr } = shell(inside, line);
      expect({ line, status, stdout }).toEqual({ line, status: 1, stdout: "" });
      expect(stderr).toMatch(/^qdb: \[NOT_SUPPORTED\] the disk "(\.\/)?vm\.raw" has no absolute path that is UTF-8/);
    }
    expect(readFileSync(within("bound.qdb"))).toEqual(before);
    expect(namesIn(link)).toEqual(names);
  });

  test("a link to it that is UTF-8 is a path that a bitmap can remember", () => {
    const disk = join(link, "vm.raw");
    expect(shell(inside, `create linked.qdb`).status).toBe(0);
    expect(shell(inside, `bitmap --add --disk ${disk} linked.qdb b`).status).toBe(0);
    const file = join(link, "linked.qdb");
    expect(JSON.parse(qdb("info", "--output=json", file)).bitmaps[0]).toMatchObject({ disk, disk_state: "same" });
    utimesSync(disk, 1, 1);
    qdbFails("WRONG_DISK", ["map", file, "b"]);
  });

  test("a draft in it is not rewritten, and says why", () => {
    const path = handFile(link, "draft.qdb", { draft: true, bitmaps: [DAILY] });
    const before = readFileSync(path);
    for (const [where, name] of [
      [inside, "draft.qdb"],
      [directory, path],
    ] as const) {
      const { status, stderr } = shell(where, `bitmap --clear ${name} daily`);
      expect({ where, status }).toEqual({ where, status: 1 });
      expect(stderr).toMatch(
        /^qdb: \[NOT_SUPPORTED\] .*draft\.qdb" cannot be rewritten: the path that it leads to is not UTF-8/,
      );
    }
    expect(readFileSync(path)).toEqual(before);
  });
});

test("a disk behind a link and .. is remembered by a path that leads to it", () => {
  const elsewhere = join(directory, "elsewhere");
  mkdirSync(join(elsewhere, "inner"), { recursive: true });
  mkdirSync(join(directory, "here"));
  symlinkSync(join(elsewhere, "inner"), join(directory, "here", "to"));
  const disk = join(elsewhere, "vm.raw");
  writeFileSync(disk, Buffer.alloc(2 ** 20));
  const file = join(directory, "dots.qdb");
  qdb("create", file);
  qdb("bitmap", "--add", "--disk", `${directory}/here/to/../vm.raw`, file, "absolute");
  expect(shell(join(directory, "here"), `bitmap --add --disk to/../vm.raw ${file} relative`)).toMatchObject({
    status: 0,
  });
  expect(shell(elsewhere, `bitmap --add --disk inner/../vm.raw ${file} plain`)).toMatchObject({ status: 0 });
  const bitmaps: { name: string; disk: string }[] = JSON.parse(qdb("info", "--output=json", file)).bitmaps;
  expect(bitmaps.map(({ name, disk }) => [name, disk])).toEqual([
    ["absolute", `${directory}/here/to/../vm.raw`],
    ["relative", `${directory}/here/to/../vm.raw`],
    ["plain", disk],
  ]);
  utimesSync(disk, 1, 1);
  for (const { name } of bitmaps) qdbFails("WRONG_DISK", ["map", file, name]);
});
