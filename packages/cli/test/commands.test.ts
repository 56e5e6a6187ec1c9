// What holds for every command, whichever it is: its help, wrong usage, and inputs and targets that it must refuse.
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { validator } from "../../conformance/test/support/schema.ts";
import { COMMANDS } from "../src/commands/index.ts";
import type { CommandSpec } from "../src/shell/command.ts";
import { type Ran, runQdb, temporaryDirectory } from "./built.ts";
import { runOf } from "./resident.ts";
import { contentsOf, goodFile, HARMFUL } from "./samples.ts";

const root = temporaryDirectory();
const specs = await Promise.all(COMMANDS.map(async (lazy) => ({ lazy, spec: (await lazy.load()).command })));

/** How a command is called on an input, with everything else about it right; `at` names a new path beside it. */
type CallOn = (input: string, at: (name: string) => string) => string[];

/** Commands that read a QDB file. */
const READERS: Readonly<Record<string, CallOn>> = {
  bitmap: (file) => ["bitmap", "--clear", file, "daily"],
  check: (file) => ["check", file],
  copy: (file, at) => ["copy", file, "daily", at("source.img"), at("target.img")],
  dump: (file) => ["dump", file],
  export: (file, at) => ["export", "--to", "raw-bits", "-B", "daily", file, at("new")],
  info: (file) => ["info", file],
  map: (file) => ["map", file, "daily"],
  show: (file) => ["show", file, "daily"],
};

/** Commands that read something else. */
const OTHER_INPUTS: Readonly<Record<string, CallOn>> = {
  diff: (image, at) => ["diff", at("source.img"), image, at("new")],
  import: (source, at) => ["import", "--from", "qcow2", source, at("new")],
  load: (json, at) => ["load", json, at("new")],
};

/** Commands that work on no file of their own: conformance runs another program. */
const OTHERS: readonly string[] = ["conformance"];

/** Commands that make a file. */
const MAKERS: Readonly<Record<string, CallOn>> = {
  create: (target) => ["create", target],
  diff: (target, at) => ["diff", "-B", "daily", at("source.img"), at("target.img"), target],
  export: (target, at) => ["export", "--to", "extents", "-B", "daily", at("good.qdb"), target],
  import: (target, at) => ["import", "--from", "extents", "-B", "daily", at("extents.json"), target],
  load: (target, at) => ["load", at("good.json"), target],
  show: (target, at) => ["show", "--svg", target, at("good.qdb")],
};

/** Those among them that add a bitmap to a file that is there. */
const ADDERS: readonly string[] = ["diff", "import"];

let goodJson: Buffer | undefined;

/** A directory with everything that a call needs. */
function makePlace(): { directory: string; at: (name: string) => string } {
  const directory = mkdtempSync(join(root, "place-"));
  const at = (name: string): string => join(directory, name);
  goodFile(directory);
  writeFileSync(at("source.img"), "new");
  truncateSync(at("source.img"), 2_500_000);
  writeFileSync(at("target.img"), "old");
  truncateSync(at("target.img"), 2_500_000);
  writeFileSync(at("extents.json"), '[{"offset":0,"length":65536,"type":1,"description":"dirty"}]');
  goodJson ??= runQdb(["dump", at("good.qdb")]).stdout;
  writeFileSync(at("good.json"), goodJson);
  return { directory, at };
}

/** The command fails with one line on standard error, and nothing on standard output; gives the line and its code. */
function fails(
  args: readonly string[],
  status: number,
  { stderr: line, ...ran }: Ran = runQdb(args),
): { readonly code: string; readonly line: string } {
  const code = /^qdb: \[([A-Z_]+)\] [^\n]{10,}\n$/.exec(line)?.[1];
  const wanted = { args, line, status, stdout: "", code: expect.any(String) };
  expect({ args, line, status: ran.status, stdout: ran.stdout.toString(), code }).toEqual(wanted);
  expect(line).not.toMatch(/unexpected|node:internal|TypeError/);
  expect(line).not.toMatch(HARMFUL);
  return { code: code ?? "", line };
}

const usageStatus = (spec: CommandSpec | undefined): number => spec?.usageExitCode ?? 2;
const specOf = (name: string): CommandSpec | undefined => specs.find(({ spec }) => spec.name === name)?.spec;

test("the tables of this test name every command", () => {
  const names = new Set([...Object.keys(READERS), ...Object.keys(OTHER_INPUTS), ...Object.keys(MAKERS), ...OTHERS]);
  expect([...names].sort()).toEqual(COMMANDS.map(({ name }) => name).sort());
});

describe("qdb itself", () => {
  test("--help and help list every command, and only those", () => {
    const { status, stdout, stderr } = runQdb(["--help"]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const listed = [...stdout.toString().matchAll(/^ {2}(\S+) {2,}(.+)$/gm)].map(([, name, summary]) => ({
      name,
      summary,
    }));
    expect(listed).toEqual(COMMANDS.map(({ name, summary }) => ({ name, summary })));
    expect(runQdb(["help"]).stdout.equals(stdout)).toBe(true);
  });

  test("--version gives the version of the package", () => {
    const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
    expect(runQdb(["--version"])).toMatchObject({ status: 0, stdout: Buffer.from(`qdb ${version}\n`), stderr: "" });
  });

  test("without a command the help goes to standard error, and the exit code is that of wrong usage", () => {
    const { status, stdout, stderr } = runQdb([]);
    expect({ status, stdout: stdout.toString() }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toBe(runQdb(["--help"]).stdout.toString());
  });

  test.each([
    [["nosuch"], /unknown command "nosuch".*qdb --help/],
    [["--nosuch"], /unknown option "--nosuch".*qdb --help/],
    [["help", "nosuch"], /unknown command "nosuch"/],
    [["help", "info", "map"], /"map" is one operand too many/],
    [["\u001b[31m\u202e"], /unknown command "\\x1b\[31m\\u202e"/],
  ])("%j is wrong usage", (args, message) => {
    expect(fails(args, 2).line).toMatch(message);
  });
});

describe.each(specs)("$spec.name", ({ lazy, spec }) => {
  const operands = Array.from({ length: spec.operands.min }, (_, index) => join(root, `missing-${index}`));

  test("--help tells everything that is declared, with an example", () => {
    const { status, stdout, stderr } = runQdb([spec.name, "--help"]);
    const text = stdout.toString();
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(text).toContain(`Usage: qdb ${spec.name} `);
    expect(spec.examples.length).toBeGreaterThan(0);
    for (const [command] of spec.examples) expect(text).toContain(`  ${command}\n`);
    for (const { long } of spec.options) expect(text).toMatch(new RegExp(`--${long}\\b`));
    expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThanOrEqual(160);
    expect(runQdb([spec.name, "-h"]).stdout.equals(stdout)).toBe(true);
    expect(runQdb(["help", spec.name]).stdout.equals(stdout)).toBe(true);
    // Whatever else is wrong: who asks for help gets it.
    expect(runQdb([spec.name, "--nosuch", "--help"]).stdout.equals(stdout)).toBe(true);
  });

  test("declares itself as it is listed, and its options once each", () => {
    expect({ name: spec.name, summary: spec.summary }).toEqual({ name: lazy.name, summary: lazy.summary });
    const names = spec.options.flatMap(({ long, short }) => (short === undefined ? [long] : [long, short]));
    expect(new Set(names).size).toBe(names.length);
    expect(names).not.toContain("help");
    expect(spec.operands.names).toHaveLength(spec.operands.max);
    for (const { value, choices, optionalValue } of spec.options) {
      expect(value === undefined && (choices !== undefined || optionalValue === true)).toBe(false);
    }
  });

  test("wrong usage: one line with the way to the help", async () => {
    const wrong = [
      [...operands, "--nosuch"],
      [...operands, "-0"],
      // Not a call for help, though an h is in it.
      [...operands, "-dash"],
      [...operands, "-h0"],
      [...operands, "--help=me"],
      [...Array.from({ length: spec.operands.max + 1 }, (_, index) => `operand-${index}`)],
      [...operands].slice(1),
      ...spec.options.flatMap(({ long, value, choices, optionalValue }) => {
        if (value === undefined) return [[...operands, `--${long}=x`]];
        const bad = choices === undefined ? [] : [[...operands, `--${long}=nosuch`]];
        return optionalValue === true ? bad : [[...operands, `--${long}`], ...bad];
      }),
    ];
    for (const [at, operands] of wrong.entries()) {
      const args = [spec.name, ...operands];
      const { code, line } = fails(args, usageStatus(spec), await runOf(at)(args));
      expect(code, line).toBe("USAGE");
      expect(line).toContain(`try: qdb ${spec.name} --help`);
    }
  });
});

describe("inputs that are refused", () => {
  const inputs = { ...READERS, ...OTHER_INPUTS };

  test.each(Object.keys(inputs))("%s: a missing one", (name) => {
    const { directory, at } = makePlace();
    const before = contentsOf(directory);
    expect(fails(inputs[name]!(at("missing"), at), 1).code).toBe("NOT_FOUND");
    expect(contentsOf(directory)).toEqual(before);
  });

  test.each(Object.keys(inputs))("%s: a directory", (name) => {
    const { directory, at } = makePlace();
    mkdirSync(at("directory"));
    const before = contentsOf(directory);
    expect(fails(inputs[name]!(at("directory"), at), usageStatus(specOf(name))).code).toBe("USAGE");
    expect(contentsOf(directory)).toEqual(before);
  });

  test.each(Object.keys(READERS))("%s: what is no QDB file", (name) => {
    const { directory, at } = makePlace();
    writeFileSync(at("text"), "This is no QDB file.\n".repeat(1000));
    writeFileSync(at("empty"), "");
    const before = contentsOf(directory);
    for (const file of ["text", "empty"]) expect(fails(READERS[name]!(at(file), at), 1).code).toBe("BAD_MAGIC");
    expect(contentsOf(directory)).toEqual(before);
  });

  test.each(Object.keys(READERS).filter((name) => name !== "check"))("%s: a file that ends in its header", (name) => {
    const { directory, at } = makePlace();
    truncateSync(at("good.qdb"), 4000);
    const before = contentsOf(directory);
    expect(fails(READERS[name]!(at("good.qdb"), at), 1).code).toBe("TRUNCATED");
    expect(contentsOf(directory)).toEqual(before);
  });

  test.each(["copy", "export", "map"])("%s: a file that ends before the bits do", (name) => {
    const { directory, at } = makePlace();
    truncateSync(at("good.qdb"), readFileSync(at("good.qdb")).length - 512);
    const before = contentsOf(directory);
    expect(fails(READERS[name]!(at("good.qdb"), at), 1).code).toBe("OUT_OF_BOUNDS");
    expect(contentsOf(directory)).toEqual(before);
  });

  test("load: JSON that ends too early, is none, or is not UTF-8", () => {
    const { directory, at } = makePlace();
    writeFileSync(at("cut.json"), readFileSync(at("good.json")).subarray(0, 500));
    writeFileSync(at("text.json"), "no JSON");
    writeFileSync(at("latin1.json"), Buffer.from('{"format":"qdb\xff"', "latin1"));
    const before = contentsOf(directory);
    for (const file of ["cut.json", "text.json", "latin1.json"]) {
      const { code, line } = fails(["load", at(file), at("new")], 2);
      expect(code).toBe("USAGE");
      expect(line).toContain(file);
    }
    expect(contentsOf(directory)).toEqual(before);
  });

  test.each(["bitmap", "copy", "export", "map", "show"])("%s: a bitmap that is not there", async (name) => {
    const { directory, at } = makePlace();
    const args = READERS[name]!(at("good.qdb"), at).map((arg) => (arg === "daily" ? "weekly" : arg));
    const before = contentsOf(directory);
    // Not as the first of ten: the process that stays sees that the file is closed.
    const { code, line } = fails(args, 1, await runOf(1)(args));
    expect(code).toBe("NOT_FOUND");
    expect(line).toContain('"weekly"');
    expect(contentsOf(directory)).toEqual(before);
  });
});

describe("operands that begin with a dash", () => {
  const calls: Readonly<Record<string, CallOn>> = {
    ...READERS,
    ...OTHER_INPUTS,
    import: (source, at) => ["import", "--from", "extents", "-B", "daily", source, at("new")],
  };
  const inputs: Readonly<Record<string, string>> = {
    diff: "target.img",
    import: "extents.json",
    load: "good.json",
  };

  /** The command is called in a place where its input has that name. */
  function called(command: string, name: string, path: string): object {
    const { directory, at } = makePlace();
    copyFileSync(at(inputs[command] ?? "good.qdb"), at(name));
    const args = calls[command]!(path, (file) => file);
    const first = command === "diff" ? 1 : args.indexOf(path);
    const ran = runQdb([...args.slice(0, first), "--", ...args.slice(first)], { cwd: directory });
    const words = (text: string): string => text.replaceAll(JSON.stringify(path), "INPUT").replaceAll(path, "INPUT");
    return { status: ran.status, stdout: words(ran.stdout.toString()), stderr: words(ran.stderr) };
  }

  test.each(Object.keys(calls))("%s: behind -- they are names", (command) => {
    for (const name of ["-dash", "-h", "--help"]) {
      const expected = called(command, name, `./${name}`);
      expect(expected).toMatchObject({ status: 0 });
      expect(called(command, name, name)).toEqual(expected);
    }
  });
});

describe("targets that exist", () => {
  test.each(Object.keys(MAKERS))("%s: stay as they are", (name) => {
    const { directory, at } = makePlace();
    writeFileSync(at("existing"), "precious, and no QDB file");
    mkdirSync(at("directory"));
    const before = contentsOf(directory);
    const adds = ADDERS.includes(name);
    const refuses = (target: string, status: number, code: string): void =>
      expect(fails(MAKERS[name]!(at(target), at), status).code, target).toBe(code);
    refuses("existing", 1, adds ? "BAD_MAGIC" : "ALREADY_EXISTS");
    refuses("directory", adds ? 2 : 1, adds ? "USAGE" : "ALREADY_EXISTS");
    // Who adds to a file does not replace the bitmap that it holds.
    refuses("good.qdb", 1, "ALREADY_EXISTS");
    expect(contentsOf(directory)).toEqual(before);
  });

  test.each(Object.keys(MAKERS))("%s: a target in a directory that is not there", (name) => {
    const { directory, at } = makePlace();
    const before = contentsOf(directory);
    expect(fails(MAKERS[name]!(at("nosuch/file"), at), 1).code).toBe("NOT_FOUND");
    expect(contentsOf(directory)).toEqual(before);
  });
});

describe("errors as JSON", () => {
  const withJson = specs.filter(({ spec }) => spec.options.some(({ long }) => long === "output"));
  const inputs = { ...READERS, ...OTHER_INPUTS };

  test.each(withJson)(
    "$spec.name: the document of the schema on standard output, the exit code the same",
    ({ spec }) => {
      const { at } = makePlace();
      const calls = [
        [spec.name, "--nosuch"],
        inputs[spec.name]?.(at("missing"), at),
        MAKERS[spec.name]?.(at("good.qdb"), at),
      ].filter((args) => args !== undefined);
      expect(calls.length).toBeGreaterThan(1);
      for (const args of calls) {
        const human = runQdb(args);
        for (const json of [["--output=json"], ["--output", "json"]]) {
          const { status, stdout, stderr } = runQdb([...args, ...json]);
          expect({ args, status, stderr }).toEqual({ args, status: human.status, stderr: "" });
          const document = JSON.parse(stdout.toString());
          const validate = validator("error");
          expect(validate(document), JSON.stringify(validate.errors)).toBe(true);
          expect(human.stderr).toContain(`[${document.error.code}] `);
        }
      }
    },
  );
});
