import { spawnSync } from "node:child_process";
import { mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { BENCH, BUILT } from "../paths.ts";

/** A program in C, or why there is none. */
export type Floor = { readonly path: string; readonly missing?: undefined } | { readonly missing: string };

/** Compiles a program of the folder `floor` for this machine: the loops in C, or the one that measures commands. */
export function compileFloor(name: "floor" | "run" = "floor"): Floor {
  mkdirSync(BUILT, { recursive: true });
  const path = join(BUILT, name);
  // Another run may be starting the program meanwhile.
  const made = `${path}-${process.pid}`;
  const result = spawnSync("gcc", ["-O3", "-march=native", "-o", made, join(BENCH, "floor", `${name}.c`)], {
    encoding: "utf8",
  });
  if (result.error !== undefined) return { missing: "gcc is not installed" };
  // A compiler that is there and refuses the program is a fault of the program.
  if (result.status !== 0) throw new Error(`gcc failed: ${result.stderr}`);
  renameSync(made, path);
  return { path };
}
