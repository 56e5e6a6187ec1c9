// The built command as a user whom permissions bind, also where the tests run as root.
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { COMMAND, NODE, type Ran } from "./built.ts";

/** Debian's nobody and nogroup. */
const ORDINARY = 65534;

const LOADER = fileURLToPath(new URL("load-command.cjs", import.meta.url));

/** Starts as root and loads the command before it gives that up: the user need not be able to read either. */
const STARTER = `
const { loadCommand } = require(${JSON.stringify(LOADER)});
process.argv.splice(1, 1);
const start = loadCommand(process.argv[1]);
process.setgroups([]);
process.setgid(${ORDINARY});
process.setuid(${ORDINARY});
start();
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
