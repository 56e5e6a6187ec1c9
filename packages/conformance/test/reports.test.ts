// What a run leaves: reports, files for a look, and the word of known failures.
import { cpSync, existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { adapter, CORPUS, runner, temporaryFolder, tryToy } from "./support/run.ts";
import { validator } from "./support/schema.ts";

const folder = temporaryFolder();
const at = (name: string): string => join(folder, name);

function file(text: string): string {
  const path = join(mkdtempSync(at("list-")), "known");
  writeFileSync(path, text);
  return path;
}

describe("reports", () => {
  test.each(["good", "crash", "reject-all", "skip-all", "claims-reading", "hang-at-once"])(
    "of %s are as the schema says",
    (name) => {
      const { report } = tryToy(name, "--timeout", "5");
      const validate = validator("report");
      expect(validate(report), JSON.stringify(validate.errors)).toBe(true);
    },
  );

  test("the manifest of the toys is as the schema says but for its codes and ids of rules, which are QDB's", () => {
    const validate = validator("manifest");
    expect(
      validate(JSON.parse(readFileSync(join(CORPUS, "manifest.json"), "utf8"))),
      JSON.stringify(validate.errors),
    ).toBe(true);
  });

  test("JUnit counts what the last line counts", () => {
    const path = at("junit.xml");
    const { lastLine } = runner("--corpus", CORPUS, "--exec", adapter("crash"), "--report-junit", path);
    expect(lastLine).toBe("conformance: 10 passed, 3 failed, 0 skipped");
    const xml = readFileSync(path, "utf8");
    expect(xml).toMatch(/^<\?xml version="1.0" encoding="UTF-8"\?>\n<testsuites>\n<testsuite /);
    expect(xml).toMatch(/ tests="13" failures="0" errors="3" skipped="0" /);
    expect(xml.match(/<testcase /g)).toHaveLength(13);
    expect(xml.match(/<error message="no answer to check: the program ended/g)).toHaveLength(3);
    // Every sign that would end a text or an attribute is written another way.
    expect(xml.replace(/<\/?(testsuites|testsuite|testcase|error)( \w+="[^"<]*")*\/?>/g, "")).not.toMatch(/<(?!\?xml)/);
  });

  test("a failure tells all that is needed to repeat it", () => {
    const keep = at("keep");
    const { stdout } = runner(
      "--corpus",
      CORPUS,
      "--exec",
      adapter("reject-all"),
      "--filter",
      "toy-add",
      "--keep",
      keep,
    );
    expect(stdout).toMatch(/^FAIL {2}toy-add {2}Toy toy-add$/m);
    expect(stdout).toMatch(/problem +refused with BAD_FIELD, but it is to be done/);
    expect(stdout).toMatch(/rules +QDB-TOY-001/);
    expect(stdout).toMatch(/expected +a file with the contents models\/toy-add.json/);
    expect(stdout).toMatch(/came +{.*BAD_FIELD/);
    const input = join(keep, "toy-add", "input.qdb");
    expect(stdout).toContain(`input     ${input}`);
    expect(readFileSync(input)).toEqual(readFileSync(join(CORPUS, "vectors/toy-add.qdb")));
    expect(stdout).toMatch(/repeat +\S+ \S+reject-all.mjs apply \S+input.qdb \S+script.ops \S+output.qdb\n/);
    const bare = runner("--corpus", CORPUS, "--exec", adapter("reject-all"), "--filter", "toy-add").stdout;
    expect(bare).toContain(`${join(CORPUS, "vectors/toy-add.qdb")} ${join(CORPUS, "ops/toy-add.ops")} output.qdb`);
  });
});

describe("known failures", () => {
  test("may fail, are told of, and count as neither passed nor failed", () => {
    const known = file("# ours\ntoy-clean  the table has no legs yet\ntoy-leak   as toy-clean\n\ntoy-repair legs\n");
    const { status, stdout, lastLine, ids, reasonOf } = tryToy("crash", "--known-failures", known);
    expect({ status, lastLine }).toEqual({ status: 0, lastLine: "conformance: 10 passed, 0 failed, 0 skipped" });
    expect(ids("known failure")).toEqual(["toy-clean", "toy-leak", "toy-repair"]);
    expect(reasonOf("toy-clean")).toBe("the table has no legs yet");
    expect(stdout).toMatch(/3 known failures, neither passed nor failed/);
  });

  test("fail the run when they pass", () => {
    const { status, lastLine, reasonOf } = tryToy("good", "--known-failures", file("toy-read not yet\n"));
    expect({ status, lastLine }).toEqual({ status: 1, lastLine: "conformance: 12 passed, 1 failed, 0 skipped" });
    expect(reasonOf("toy-read")).toMatch(/it passes, but is listed as a known failure \(not yet\)/);
  });

  test.each([
    ["toy-read\n", /line 1: toy-read needs a reason/],
    ["toy-read a\ntoy-read b\n", /line 2: toy-read stands there twice/],
    ["toy-nosuch a\n", /has no vector toy-nosuch/],
  ])("%j is wrong usage", (text, message) => {
    const args = ["--corpus", CORPUS, "--exec", adapter("good"), "--known-failures", file(text)];
    const { status, stderr } = runner(...args);
    expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringMatching(message) });
  });
});

describe("the command line", () => {
  test.each([
    [[], /--exec 'COMMAND ARGS' is missing/],
    [["--exec", "a | b"], /no shell runs/],
    [["--exec", "a", "--nosuch"], /nosuch/],
    [["--exec", "a", "--profile", "all"], /there is no profile "all"/],
    [["--exec", "a", "--timeout", "soon"], /--timeout takes a number/],
    [["--exec", "a", "--jobs", "0"], /--jobs takes a number from 1/],
    [["--exec", "a", "--known-failures", "/no/such/file"], /--known-failures: ENOENT/],
    [["--exec", "a", "operand"], /operand/],
    [["--exec", "a", "--report-json", "\ufffd"], /not UTF-8/],
    [["--exec", "a", "-vh"], /-h stands alone/],
    [["--exec", "a", "--version"], /--version stands alone/],
    [["--list", "--version"], /--version stands alone/],
    [
      ["--exec", adapter("good"), "--judge", adapter("hang-at-once"), "--timeout", "0.5"],
      /--judge .*does not answer hello/,
    ],
  ])("%j is wrong usage", (args, message) => {
    const { status, stdout, stderr, left } = runner("--corpus", CORPUS, ...args);
    expect({ status, stdout, left }).toEqual({ status: 2, stdout: "", left: [] });
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/qdb-conformance --help/);
  });

  test("--list prints ids, --filter and --profile choose", () => {
    const { status, stdout } = runner("--corpus", CORPUS, "--list", "--filter", "toy-*a?");
    expect({ status, ids: stdout.split("\n").map((line) => line.split("\t")[0]) }).toEqual({
      status: 0,
      ids: ["toy-read", "toy-clean", "toy-leak", ""],
    });
    expect(runner("--corpus", CORPUS, "--list", "--profile", "write").stdout).toMatch(
      /^toy-canon\twrite\tcanon\t[^\n]+\n$/,
    );
  });

  test("--version cites the corpus, --help names every option", () => {
    expect(runner("--corpus", CORPUS, "--version").stdout).toMatch(
      /^qdb-conformance \d\S+, corpus 0\.0\.1 \([0-9a-f]{64}\)\n$/,
    );
    const { status, stdout } = runner("--help");
    expect(status).toBe(0);
    for (const option of [
      "exec",
      "once",
      "profile",
      "filter",
      "list",
      "known-failures",
      "judge",
      "report-json",
      "report-junit",
    ])
      expect(stdout).toContain(`--${option}`);
    for (const option of ["corpus", "keep", "timeout", "jobs", "verbose", "version"])
      expect(stdout).toContain(`--${option}`);
  });

  test("a corpus that is not as it was published is refused", () => {
    const copy = at("damaged");
    cpSync(CORPUS, copy, { recursive: true });
    writeFileSync(join(copy, "models/toy-read.json"), "{}");
    const { status, stdout, stderr } = runner("--corpus", copy, "--exec", adapter("good"));
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toMatch(/the corpus is damaged/);
    expect(runner("--corpus", at("nosuch"), "--exec", "a").stderr).toMatch(/manifest.json cannot be read/);
    expect(existsSync(at("nosuch"))).toBe(false);
  });
});
