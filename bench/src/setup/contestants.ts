import { join } from "node:path";
import { build } from "esbuild";
import { BENCH, BUILT } from "../paths.ts";

/** Bundles the program of the contestants that run in Node.js, since the oldest Node.js that is measured runs no TypeScript. Returns its path. */
export async function bundleContestants(): Promise<string> {
  const outfile = join(BUILT, "contestants.cjs");
  await build({
    entryPoints: [join(BENCH, "src", "contestants", "main.ts")],
    outfile,
    bundle: true,
    platform: "node",
    target: "node20.15",
    format: "cjs",
    logLevel: "warning",
  });
  return outfile;
}
