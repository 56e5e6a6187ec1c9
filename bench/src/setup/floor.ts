import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { BENCH, BUILT } from "../paths.ts";

/** The program of the loops in C, or why there is none. */
export type Floor = { readonly path: string; readonly missing?: undefined } | { readonly missing: string };

/** Compiles the loops in C for this machine. */
export function compileFloor(): Floor {
  mkdirSync(BUILT, { recursive: true });
  const path = join(BUILT, "floor");
  const result = spawnSync("gcc", ["-O3", "-march=native", "-o", path, join(BENCH, "floor", "floor.c")], {
    encoding: "utf8",
  });
  if (result.error !== undefined) return { missing: "gcc is not installed" };
  // A compiler that is there and refuses the program is a fault of the program.
  if (result.status !== 0) throw new Error(`gcc failed: ${result.stderr}`);
  return { path };
}
