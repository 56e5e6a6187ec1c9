// The runner against programs that are broken in one way each: each must fail as predicted, and nothing else with it.
import { describe, expect, test } from "vitest";
import { adapter, CORPUS, runner, tryToy } from "./support/run.ts";

/** Every toy vector. */
const ALL = [
  "toy-add",
  "toy-add-refused",
  "toy-canon",
  "toy-clean",
  "toy-crash",
  "toy-io",
  "toy-leak",
  "toy-limit",
  "toy-make",
  "toy-read",
  "toy-refused",
  "toy-repair",
  "toy-sparse",
];
const without = (...ids: readonly string[]): string[] => ALL.filter((id) => !ids.includes(id));
/** Vectors with a check in them: on their input, or on what was written. */
const CHECKS = ["toy-clean", "toy-leak", "toy-repair"];

describe.each([[[]], [["--once"]], [["--jobs", "3"]]])("a good program, with %j", (args) => {
  test("passes everything, and nothing is left", () => {
    const { status, stderr, lastLine, left, ids } = tryToy("good", ...args);
    expect({ status, stderr, lastLine, left }).toEqual({
      status: 0,
      stderr: "",
      lastLine: "conformance: 13 passed, 0 failed, 0 skipped",
      left: [],
    });
    expect(ids("pass")).toEqual(ALL);
  });
});

/** Name of the broken adapter, what fails, what crashes, and what the reasons say. */
const BROKEN: readonly (readonly [name: string, failed: string[], crashed: string[], reason: RegExp])[] = [
  ["accept-all", without("toy-clean"), [], /accepted|else|other|no file|not allowed/],
  ["reject-all", without("toy-refused"), [], /refused with BAD_FIELD|not allowed/],
  ["crash", [], CHECKS, /ended \(exit code 7\) before it answered; standard error ends with: assertion failed/],
  ["signal", [], CHECKS, /ended \(SIGSEGV\) before it answered/],
  ["early-exit", [], CHECKS, /ended \(exit code 0\) before it answered/],
  ["garbage", [], CHECKS, /no JSON: all is well/],
  ["no-utf8", [], CHECKS, /no UTF-8/],
  ["echo", [], ALL, /no JSON/],
  ["wrong-id", [], CHECKS, /the answer has the id "0", the request had/],
  ["twice", [], CHECKS, /a second answer to one request/],
  ["skip-all", ALL, [], /skipped inside a claimed profile/],
  ["slow", ["toy-limit"], [], /it took \d+ ms, at most 1000 are allowed, the best of 3 tries/],
  ["leaves-output", ["toy-add-refused"], [], /refused with NOT_FOUND, but output.qdb is there/],
  ["same-generation", ["toy-add"], [], /generation did not grow/],
];

describe.each(BROKEN)("the broken program %s", (name, failed, crashed, reason) => {
  test("fails as predicted", () => {
    const { status, lastLine, ids, reasonOf, left, report } = tryToy(name);
    expect({ failed: ids("fail"), crashed: ids("crash") }).toEqual({ failed, crashed });
    for (const id of [...failed, ...crashed]) expect(reasonOf(id)).toMatch(reason);
    const passed = ALL.length - [...failed, ...crashed].filter((id) => ALL.includes(id)).length;
    const bad = failed.length + crashed.length;
    expect({ status, lastLine, left }).toEqual({
      status: 1,
      lastLine: `conformance: ${passed} passed, ${bad} failed, 0 skipped`,
      left: [],
    });
    expect(report.ok).toBe(false);
  });
});

test("a program that does not end well fails, whatever it answered", () => {
  const { status, ids, reasonOf, lastLine } = tryToy("bad-end", "--filter", "toy-read");
  const bad = { status: 1, crashed: ["end"], lastLine: "conformance: 1 passed, 1 failed, 0 skipped" };
  expect({ status, crashed: ids("crash"), lastLine }).toEqual(bad);
  expect(reasonOf("end")).toMatch(/exit code was 5, 0 is due/);
});

test("a program that hangs is ended after the timeout, and the run goes on", () => {
  const { ids, reasonOf, lastLine } = tryToy("hang", "--timeout", "3", "--filter", "toy-re*", "--filter", "toy-le*");
  expect({ crashed: ids("crash"), passed: ids("pass"), lastLine }).toEqual({
    crashed: ["toy-leak", "toy-repair"],
    passed: ["toy-read", "toy-refused"],
    lastLine: "conformance: 2 passed, 2 failed, 0 skipped",
  });
  expect(reasonOf("toy-leak")).toMatch(/no answer to check: no answer within 3 s/);
});

test("a second answer that comes late is found with the next request", () => {
  const { status, ids, reasonOf } = tryToy("twice-later");
  expect(status).toBe(1);
  expect(ids("crash").length).toBeGreaterThanOrEqual(1);
  for (const id of ids("crash")) expect(reasonOf(id)).toMatch(/nobody asked for|second answer|has the id|last answer/);
});

test("a program that writes to what it reads fails, on a file of a tebibyte too", () => {
  const { status, ids, reasonOf } = tryToy("writes-input");
  expect(status).toBe(1);
  const readers = ["toy-add", "toy-crash", "toy-io", "toy-limit", "toy-read", "toy-repair", "toy-sparse"];
  expect(ids("fail")).toEqual(readers);
  expect(reasonOf("toy-read")).toMatch(/read must leave the input alone: the input file was \d+ bytes long/);
  expect(reasonOf("toy-sparse")).toMatch(/read must leave the input alone: the input file has other bytes/);
});

test.runIf(process.platform === "linux")("a program that takes more memory than allowed fails", () => {
  const { status, ids, reasonOf } = tryToy("greedy");
  expect({ status, failed: ids("fail") }).toEqual({ status: 1, failed: ["toy-limit"] });
  expect(reasonOf("toy-limit")).toMatch(/peak memory grew by 2\d\d\.\d MiB, at most 100 are allowed/);
});

test("a judge finds what the program itself reads back as it should be", () => {
  expect(tryToy("lies").ids("fail")).toEqual([]);
  const { status, ids, reasonOf } = tryToy("lies", "--judge", adapter("good"));
  expect({ status, failed: ids("fail") }).toEqual({ status: 1, failed: ["toy-add", "toy-make"] });
  expect(reasonOf("toy-add")).toMatch(/the judge .*good.mjs: what was written holds something else/);
});

describe("what does not begin", () => {
  test.each([
    ["hang-at-once", /no answer within 3 s/],
    ["nosuch", /before it answered/],
  ])("%s is one failure, and nothing counts as passed", (name, reason) => {
    const { status, lastLine, reasonOf } = tryToy(name, "--timeout", "3");
    expect({ status, lastLine }).toEqual({ status: 1, lastLine: "conformance: 0 passed, 1 failed, 13 skipped" });
    expect(reasonOf("hello")).toMatch(reason);
  });

  test("a command that is not there is told", () => {
    const { status, stdout } = runner("--corpus", CORPUS, "--exec", "/no/such/program");
    expect(status).toBe(1);
    expect(stdout).toMatch(/the command cannot be run: .*ENOENT/);
  });

  test("who claims nothing fails", () => {
    const { status, lastLine, reasonOf } = tryToy("claims-nothing");
    expect({ status, lastLine }).toEqual({ status: 1, lastLine: "conformance: 0 passed, 1 failed, 13 skipped" });
    expect(reasonOf("run")).toMatch(/claims no profile/);
    expect(tryToy("claims-nothing", "--profile", "check").ids("pass")).toEqual(["toy-clean", "toy-leak"]);
  });

  test("a filter that nothing matches fails", () => {
    const { status, reasonOf } = tryToy("good", "--filter", "nosuch-*");
    expect(status).toBe(1);
    expect(reasonOf("run")).toMatch(/no vector/);
  });
});

test("what is not claimed is skipped, counted, and not passed", () => {
  const { status, lastLine, ids } = tryToy("claims-reading");
  expect({ status, lastLine }).toEqual({ status: 0, lastLine: "conformance: 5 passed, 0 failed, 8 skipped" });
  expect(ids("skip")).toContain("toy-io");
});

describe("a process for each request", () => {
  test("an exit code that does not fit the answer is a crash", () => {
    const { ids, reasonOf } = tryToy("exit-codes", "--once", "--filter", "*-refused", "--filter", "toy-crash");
    expect(ids("crash")).toEqual(["toy-add-refused", "toy-crash", "toy-refused"]);
    expect(reasonOf("toy-refused")).toMatch(/exit code 0 beside an answer whose exit code is 1/);
  });

  test("more than the answer on standard output is a crash", () => {
    const { status, reasonOf } = tryToy("wordy", "--once");
    expect(status).toBe(1);
    expect(reasonOf("hello")).toMatch(/2 lines on standard output/);
  });

  test("what cannot be measured is said once", () => {
    const { stdout, report } = tryToy("good", "--once", "--filter", "toy-limit");
    expect(report.notes).toEqual([expect.stringMatching(/memory was not measured/)]);
    expect(stdout.match(/memory was not measured/g)).toHaveLength(1);
  });
});
