// The reader in C, which is a program only once it is compiled.
import { spawnSync } from "node:child_process";
import { ROOT } from "./sources.ts";

/** Compiles the reader in C where it is not, or is older than its sources. @throws {Error} what is missing, with the command that installs it */
export function makeReader(): void {
  const { status, error, stderr } = spawnSync("make", ["-C", `${ROOT}c`], { encoding: "utf8" });
  if (status === 0) return;
  const command = "sudo apt-get install -y --no-install-recommends make gcc libc6-dev";
  throw new Error(`The reader in C needs make and gcc: ${command}\n${error ?? stderr}`);
}
