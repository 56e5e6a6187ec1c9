// What the command does with its standard streams: colours, pipes, full disks, signals, progress.
import { spawn, spawnSync } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { file, rep } from "../../format/test/hand.ts";
import { COMMAND, NODE, runQdb, temporaryDirectory } from "./built.ts";
import { requirePeers } from "./peers.ts";
import { goodFile } from "./samples.ts";

const directory = temporaryDirectory();
const good = goodFile(directory);
const large = join(directory, "large.qdb");

beforeAll(() => {
  requirePeers("python3");
  // 2^20 extents: 40 MB of lines.
  const clusters = Array.from({ length: 64 }, () => rep(0x55, 4096));
  writeFileSync(
    large,
    file({ clusterBits: 12, bitmaps: [{ name: "b", size: 2n ** 30n, granularity: 512, clusters }] }),
  );
});

/** Runs `qdb` with a terminal on standard output and standard error, and gives what it shows. */
function onTerminal(args: readonly string[], env: NodeJS.ProcessEnv = {}): string {
  const script = "import os, pty, sys\nsys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
  const variables = { ...process.env, TERM: "xterm", NO_COLOR: undefined, FORCE_COLOR: undefined, CI: "1", ...env };
  const { status, stdout } = spawnSync("python3", ["-c", script, NODE, COMMAND, ...args], {
    env: variables,
    input: "",
  });
  expect(status).toBe(0);
  return stdout.toString();
}

/** Runs a line of shell in which `qdb` is the command. */
function shell(line: string): { status: number | null; stdout: string; stderr: string } {
  const script = `qdb() { "${NODE}" "${COMMAND}" "$@"; }; ${line}`;
  const { status, stdout, stderr } = spawnSync("bash", ["-c", script], { cwd: directory, encoding: "utf8" });
  return { status, stdout, stderr };
}

describe("colours", () => {
  const ESCAPE = "\u001b[";

  test("on a terminal", () => {
    expect(onTerminal(["info", good])).toContain(ESCAPE);
    expect(onTerminal(["info", "--help"])).toContain(ESCAPE);
  });

  test("not with NO_COLOR, not on a dumb terminal, not in JSON", () => {
    expect(onTerminal(["info", good], { NO_COLOR: "1" })).not.toContain(ESCAPE);
    expect(onTerminal(["info", good], { TERM: "dumb" })).not.toContain(ESCAPE);
    expect(onTerminal(["info", "--output=json", good])).not.toContain(ESCAPE);
    // An empty NO_COLOR says nothing.
    expect(onTerminal(["info", good], { NO_COLOR: "" })).toContain(ESCAPE);
  });

  test("not into a pipe, whatever CI and FORCE_COLOR say", () => {
    for (const env of [{ CI: "1" }, { FORCE_COLOR: "1" }, {}]) {
      expect(runQdb(["info", good], { env }).stdout.toString()).not.toContain(ESCAPE);
    }
  });
});

describe("standard output that ends", () => {
  test.each(["map large.qdb b", "map --output=json large.qdb b", "dump large.qdb"])("%s | head -1: quiet", (args) => {
    const { stdout, stderr } = shell(`qdb ${args} | head -n 1; echo "status \${PIPESTATUS[0]}"`);
    expect(stderr).toBe("");
    expect(stdout.trimEnd().split("\n")[1]).toBe("status 141");
  });

  test.each(["--version", "info good.qdb", "map large.qdb b", "info --help", "info --output=json good.qdb"])(
    "%s > /dev/full: an error",
    (args) => {
      expect(shell(`qdb ${args} > /dev/full`)).toEqual({
        status: 1,
        stdout: "",
        stderr: expect.stringMatching(/^qdb: \[IO\] [^\n]*standard output[^\n]*ENOSPC\n$/),
      });
    },
  );

  test("a slow reader behind a pipe that does not block gets everything", () => {
    // Standard output shared with a Node process can be non-blocking: a write is then refused until there is room.
    const reader =
      'const chunks=[];setTimeout(()=>process.stdin.on("data",(c)=>chunks.push(c)).on("end",()=>console.log(Buffer.concat(chunks).length)),500)';
    const script = `import fcntl, os, subprocess, sys
r, w = os.pipe()
fcntl.fcntl(w, fcntl.F_SETFL, fcntl.fcntl(w, fcntl.F_GETFL) | os.O_NONBLOCK)
child = subprocess.Popen([sys.argv[1], sys.argv[2], "map", sys.argv[3], "b"], stdout=w)
os.close(w)
out = subprocess.check_output([sys.argv[1], "-e", sys.argv[4]], stdin=r)
print(child.wait(), out.decode().strip())`;
    const { stdout } = spawnSync("python3", ["-c", script, NODE, COMMAND, large, reader], { encoding: "utf8" });
    expect(stdout.trim()).toBe(`0 ${runQdb(["map", large, "b"]).stdout.length}`);
  });
});

describe("signals", () => {
  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("%s ends a load that waits for input: exit %i, one line, nothing left behind", async (signal, wanted) => {
    const before = readdirSync(directory);
    const child = spawn(NODE, [COMMAND, "load", "-", join(directory, "interrupted.qdb")], {
      stdio: ["pipe", "pipe", "pipe"],
    });
    let stderr = "";
    child.stderr.on("data", (text) => (stderr += text));
    child.stdin.write('{ "format": "qdb",');
    // Once it has taken the input, its handlers are there.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    child.kill(signal);
    const status = await new Promise((resolve) => child.on("exit", (code, by) => resolve(by ?? code)));
    expect({ status, stderr }).toEqual({ status: wanted, stderr: `qdb: [ABORTED] interrupted by ${signal}\n` });
    expect(readdirSync(directory)).toEqual(before);
  });
});

describe("progress", () => {
  test("--progress=json: one object a line on standard error, up to the end", () => {
    const { status, stdout, stderr } = runQdb(["info", "--output=json", "--progress=json", large]);
    expect(status).toBe(0);
    expect(JSON.parse(stdout.toString()).bitmaps).toHaveLength(1);
    const reports = stderr
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(reports.at(-1)).toEqual({ progress: "counting", done: 2 ** 21, total: 2 ** 21, percent: 100 });
    for (const report of reports) expect(Object.keys(report)).toEqual(["progress", "done", "total", "percent"]);
  });

  test("none without a terminal, -p shows one all the same, -q none on a terminal", () => {
    expect(runQdb(["info", large]).stderr).toBe("");
    expect(runQdb(["info", "-p", large]).stderr).toMatch(/counting \[=+\] 100 %/);
    expect(onTerminal(["info", "-q", large])).not.toContain("counting");
    expect(onTerminal(["info", "-p", large])).toContain("counting");
  });

  test("a bar that nobody looks at ends nothing", () => {
    const { stdout, stderr } = shell(
      "{ qdb info -p large.qdb; echo status $? >&3; } 3>&1 1>/dev/null 2> >(head -c 1 > /dev/null)",
    );
    expect({ stdout, stderr }).toEqual({ stdout: "status 0\n", stderr: "" });
  });

  test("-p and -q exclude each other", () => {
    expect(runQdb(["info", "-p", "-q", good])).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/^qdb: \[USAGE\] .*exclude/),
    });
  });
});

test("QDB_DEBUG=1 shows where an error comes from; without it there is one line", () => {
  const missing = ["info", join(directory, "nosuch")];
  expect(runQdb(missing).stderr.split("\n")).toHaveLength(2);
  const { stderr } = runQdb(missing, { env: { QDB_DEBUG: "1" } });
  expect(stderr).toMatch(/^qdb: \[NOT_FOUND\] .*\nQdbError: .*\n\s+at /);
  expect(stderr).toContain("caused by Error: ENOENT");
});
