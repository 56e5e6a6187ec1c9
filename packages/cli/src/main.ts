#!/usr/bin/env node
import { writeSync } from "node:fs";
import manifest from "../package.json" with { type: "json" };

const args = process.argv.slice(2);
if (!(args.length === 1 && args[0] === "--version" && printVersion())) {
  void import("./cli.ts").then(async ({ main }) => process.exit(await main(args)));
}

/** Prints the version without loading the rest of the program, which would take most of the time. Returns false if it was not printed. */
function printVersion(): boolean {
  const text = Buffer.from(`qdb ${manifest.version}\n`);
  try {
    return writeSync(1, text) === text.length;
  } catch {
    // The error is dropped here: `main` prints the version again, and reports an error if that fails too.
    return false;
  }
}
