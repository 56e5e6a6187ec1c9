// The built runner tests every implementation of this repository.
import { spawnSync } from "node:child_process";
import { copyFileSync, readFileSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { makeReader } from "../tools/c-reader.ts";
import { SUITE } from "../tools/places.ts";
import { NODE, RUNNER, temporaryFolder } from "./support/run.ts";

const directory = temporaryFolder();

beforeAll(makeReader);

const ALL = ["read", "check", "write", "update", "repair"];

/** What is said of a run: profiles that were claimed, and how the vectors ended. */
interface Report {
  readonly program: { readonly profiles: readonly string[] };
  readonly summary: Readonly<Record<string, number>>;
}

const ADAPTERS = [
  ["the reference in Python", `python3 "${SUITE}adapters/python/qdb_adapter.py"`, ALL, ["feature io"]],
  ["the reader in C", `"${SUITE}c/build/qdb-adapter"`, ["read"], ALL.slice(1).map((profile) => `profile ${profile}`)],
  ["@qdb/io-node", `"${NODE}" "${SUITE}adapters/ts/build/io-node.cjs"`, ALL, []],
  ["@qdb/format alone", `"${NODE}" "${SUITE}adapters/ts/build/format.cjs"`, ALL, []],
] as const;

test.each(ADAPTERS)(
  "%s passes all that it claims",
  (_, command, profiles, unclaimed) => {
    const report = join(directory, "report.json");
    const start = performance.now();
    const { status, stdout, stderr } = spawnSync(
      NODE,
      [RUNNER, "--exec", command, "--jobs", "2", "--timeout", "60", "--report-json", report],
      {
        encoding: "utf8",
        maxBuffer: 2 ** 28,
      },
    );
    console.log(`${command.split("/").at(-1)}: ${((performance.now() - start) / 1000).toFixed(1)} s`);
    expect({ status, failures: stdout.match(/^(FAIL|CRASH) .*/gm), stderr }).toEqual({
      status: 0,
      failures: null,
      stderr: "",
    });
    expect(stdout.trimEnd().split("\n").at(-1)).toMatch(/^conformance: \d+ passed, 0 failed, \d+ skipped$/);
    const { program, summary } = JSON.parse(readFileSync(report, "utf8")) as Report;
    expect(program.profiles).toEqual(profiles);
    const skipped = [...stdout.matchAll(/^skipped +\d+: the (.*) is not claimed$/gm)].map(([, what]) => what);
    expect(skipped.sort()).toEqual([...unclaimed].sort());
    expect(summary.passed).toBeGreaterThan(250);
  },
  240_000,
);

test.each(ADAPTERS)("%s passes on what the system says of a disk that cannot be read", (_, command) => {
  const file = join(directory, "dying.qdb");
  copyFileSync(`${SUITE}vectors/golden-full-one.qdb`, file);
  for (const when of ["1+", "2+", "3+", "4+", "5+", "6+"]) {
    const log = join(directory, "strace.log");
    const { stdout, stderr } = spawnSync(
      "sh",
      [
        "-c",
        `exec strace -f -qq -o "$1" -P "$2" -e trace=read,pread64,mmap -e inject=read,pread64,mmap:error=EIO:when=${when} ${command} read "$2"`,
        "sh",
        log,
        file,
      ],
      { encoding: "utf8" },
    );
    expect(stderr).toBe("");
    const isDead = readFileSync(log, "utf8").includes("EIO");
    expect(isDead || when !== "1+").toBe(true);
    expect(JSON.parse(stdout)).toMatchObject(isDead ? { ok: false, error: "IO" } : { ok: true });
  }
});

test("a program that maps what it reads has not written, on tmpfs either, where a mapping takes space", () => {
  const shared = "/dev/shm";
  // The number of tmpfs in the system's magic.h.
  expect(statfsSync(shared).type).toBe(0x01021994);
  const command = `python3 "${SUITE}adapters/python/qdb_adapter.py"`;
  const args = [RUNNER, "--exec", command, "--filter", "map-2-mib"];
  const { stdout } = spawnSync(NODE, args, { encoding: "utf8", env: { ...process.env, TMPDIR: shared } });
  expect(stdout.trimEnd().split("\n").at(-1)).toBe("conformance: 1 passed, 0 failed, 0 skipped");
});
