import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, realpathSync } from "node:fs";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { QdbError } from "@qdb/format";
import { usageError } from "../shell/args.ts";
import type { Call, CommandSpec } from "../shell/command.ts";

/** `qdb conformance`: runs the conformance suite, if it is installed, and passes its options on to the program of the suite. */
export const command: CommandSpec = {
  name: "conformance",
  summary: "test any program that reads or writes QDB files",
  synopsis: ["--exec='COMMAND ARGS' [OPTION…]", "--list [--filter=GLOB]"],
  description: [
    "Tests a program against the vectors of the conformance suite: files, and what is true of them. The program is any executable that answers requests line by line; the suite's IMPLEMENTERS.md tells how.",
    "The suite is a package of its own, @qdb/conformance, looked for from the working directory and beside this command. Where it is not installed, npx @qdb/conformance does the same.",
    "Exit codes: 0 nothing failed, 1 something failed or nothing was run, 2 wrong usage.",
  ],
  operands: { min: 0, max: 0, names: [] },
  options: [
    { long: "exec", value: "COMMAND", help: "the program, split into words as a shell does; no shell runs" },
    { long: "once", help: "start it anew for each request, in place of COMMAND serve" },
    {
      long: "profile",
      value: "PROFILE",
      choices: ["read", "check", "write", "update", "repair"],
      repeatable: true,
      help: "run this profile, claimed or not; the default is what the program claims",
    },
    { long: "filter", value: "GLOB", repeatable: true, help: "only vectors whose id matches" },
    { long: "list", help: "print the vectors, run nothing" },
    { long: "known-failures", value: "FILE", help: "lines of an id and a reason: these may fail, and must not pass" },
    {
      long: "judge",
      value: "COMMAND",
      repeatable: true,
      help: "a further program that reads what the first one wrote",
    },
    { long: "report-json", value: "FILE", help: "write a report as JSON" },
    { long: "report-junit", value: "FILE", help: "write a report as JUnit XML" },
    { long: "corpus", value: "DIR", help: "another corpus than the one of the package" },
    { long: "keep", value: "DIR", help: "keep the files of what failed" },
    { long: "timeout", value: "SECONDS", help: "for each request; 10 by default" },
    { long: "jobs", value: "N", help: "programs side by side; 1 by default" },
    { long: "verbose", short: "v", help: "print what passed and was skipped too, and standard error" },
    { long: "version", help: "print the version of the suite, and version and digest of its corpus" },
  ],
  examples: [
    ["qdb conformance --exec 'python3 reader.py' --filter 'hdr-*'", "The vectors about headers, against a reader."],
    ["qdb conformance --list", "Every vector: its id, profile, kind and title."],
  ],
  async run(call) {
    if (!["exec", "list", "version"].some((option) => call.has(option)))
      throw usageError("conformance", "--exec is missing: the program to test");
    const args = call.given.map(({ long, value }) => (value === undefined ? `--${long}` : `--${long}=${value}`));
    return runSuite(findSuite(), args, call);
  },
};

/** Returns the path of the program of the suite. @throws {QdbError} NOT_FOUND if the package is not installed */
function findSuite(): string {
  const here = process.cwd();
  // Node replaces bytes that are not UTF-8 by U+FFFD, so a path with this character may name another directory.
  const places = here.includes("\ufffd") ? [] : [join(here, "package.json")];
  for (const place of [...places, realpathSync(process.argv[1] ?? ".")]) {
    try {
      const manifest = createRequire(place).resolve("@qdb/conformance/package.json");
      const { bin } = JSON.parse(readFileSync(manifest, "utf8"));
      return join(dirname(manifest), bin["qdb-conformance"]);
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "MODULE_NOT_FOUND")) throw error;
    }
  }
  throw new QdbError(
    "NOT_FOUND",
    "the conformance suite is not installed here; type: npx @qdb/conformance --exec 'COMMAND ARGS'",
  );
}

async function runSuite(suite: string, args: readonly string[], { signal }: Call): Promise<number> {
  const child = spawn(process.execPath, [suite, ...args], { stdio: "inherit" });
  signal.addEventListener("abort", () => child.kill(signal.reason));
  const [code, ended] = await once(child, "exit");
  if (typeof code === "number") return code;
  const number = Object.entries(constants.signals).find(([name]) => name === ended)?.[1] ?? 0;
  return 128 + number;
}
