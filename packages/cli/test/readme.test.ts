// The commands that the README shows are run as they stand there, against the built command.
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { COMMAND, NODE, qdb, temporaryDirectory } from "./built.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const readme = readFileSync(join(root, "README.md"), "utf8");
const fixtures = join(root, "conformance/fixtures/qcow2");
const directory = temporaryDirectory();

/** The code blocks of a language, in order. */
function blocks(language: string): string[] {
  return [...readme.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, "gm"))].map((match) => match[1] ?? "");
}

function run(command: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}): string {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd,
    encoding: "utf8",
    env: { ...process.env, ...env },
  });
  expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
  return stdout;
}

test("the commands do what they say, in the order in which they stand there", () => {
  const commands = blocks("sh").find((block) => block.startsWith("qdb "));
  const cwd = join(directory, "command");
  mkdirSync(join(cwd, "bin"), { recursive: true });
  writeFileSync(join(cwd, "bin/qdb"), `#!/bin/sh\nexec "${NODE}" "${COMMAND}" "$@"\n`, { mode: 0o755 });
  copyFileSync(join(fixtures, "bitmaps.qcow2"), join(cwd, "vm.qcow2"));
  const disk = Buffer.alloc(1 << 20, 7);
  writeFileSync(join(cwd, "old.raw"), disk);
  writeFileSync(join(cwd, "new.raw"), disk.fill(8, 65536, 65537));
  writeFileSync(join(cwd, "vm.raw"), disk);
  const path = `${join(cwd, "bin")}:${dirname(NODE)}:${process.env.PATH ?? ""}`;
  for (const line of (commands ?? "").trim().split("\n")) {
    expect(line).toMatch(/^qdb \w+ .*# \w/);
    run("sh", ["-ec", line], cwd, { PATH: path });
  }
  expect(readFileSync(join(cwd, "old.raw")).equals(readFileSync(join(cwd, "new.raw")))).toBe(true);
  expect(qdb("dump", join(cwd, "again.qdb"))).toContain('"name": "nightly"');
});
