#!/usr/bin/env node
import { writeSync } from "node:fs";
import manifest from "../package.json" with { type: "json" };

const args = process.argv.slice(2);
if (!(args.length === 1 && args[0] === "--version" && printVersion())) {
  void import("./cli.ts").then(async ({ main }) => process.exit(await main(args)));
}

/** The version at once: nothing is loaded before it is needed, since the start is most of what a small command costs. */
function printVersion(): boolean {
  const text = Buffer.from(`qdb ${manifest.version}\n`);
  try {
    return writeSync(1, text) === text.length;
  } catch {
    // What is wrong is said the long way.
    return false;
  }
}
