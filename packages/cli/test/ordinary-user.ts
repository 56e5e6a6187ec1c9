// The built command as a user whom permissions bind, also where the tests run as root.
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { COMMAND, NODE, type Ran } from "./built.ts";

/** Debian's nobody and nogroup. */
const ORDINARY = 65534;

/** Starts as root and loads the command before it gives that up: the user need not be able to read either. */
const STARTER = `
const { readFileSync } = require("node:fs");
const { compileFunction } = require("node:vm");
process.argv.splice(1, 1);
const [, filename] = process.argv;
const start = compileFunction(readFileSync(filename, "utf8").replace(/^#!.*/, ""), ["require"], { filename });
process.setgroups([]);
process.setgid(${ORDINARY});
process.setuid(${ORDINARY});
start(require);
`;

/** Makes a `qdb` that an ordinary user runs; `directory` takes its starter. */
export function ordinaryUserIn(directory: string): (args: readonly string[]) => Ran {
  const starter = join(directory, "as-ordinary-user.cjs");
  writeFileSync(starter, STARTER);
  const before = process.getuid?.() === 0 ? [starter] : [];
  return (args) => {
    const env = { ...process.env, NODE_OPTIONS: undefined };
    const result = spawnSync(NODE, [...before, COMMAND, ...args], { env });
    if (result.error !== undefined) throw result.error;
    return { status: result.status, stdout: result.stdout, stderr: result.stderr.toString("utf8") };
  };
}
