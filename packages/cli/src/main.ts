#!/usr/bin/env node
// The command. It loads the file of the command that is called, and no other: Node compiles a file whole before it runs a line of it.
import { existsSync, writeSync } from "node:fs";
import { join } from "node:path";
import { VERSION_LINE } from "./version.ts";

/** What each file of `dist/commands`, and `cli.cjs`, export. */
interface Loaded {
  /** Runs `qdb` with its arguments. Returns the exit code, and never throws. */
  main(args: readonly string[]): Promise<number>;
}

const args = process.argv.slice(2);
if (!(args.length === 1 && args[0] === "--version" && printVersion())) {
  // Not `import()`, which loads the loader of ES modules first.
  const { main } = require(fileOf(args[0])) as Loaded;
  void main(args).then((exitCode) => process.exit(exitCode));
}

function fileOf(name: string | undefined): string {
  const file = join(__dirname, "commands", `${name}.cjs`);
  return name !== undefined && /^[a-z]+$/.test(name) && existsSync(file) ? file : join(__dirname, "cli.cjs");
}

/** Prints the version without loading anything else. Returns false if it was not printed. */
function printVersion(): boolean {
  const text = Buffer.from(VERSION_LINE);
  try {
    return writeSync(1, text) === text.length;
  } catch {
    // The error is dropped here: `main` prints the version again, and reports an error if that fails too.
    return false;
  }
}
