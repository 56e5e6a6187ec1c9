// Builds the reader in C, conformance/c.
import { spawnSync } from "node:child_process";
import { SUITE } from "./places.ts";

/** Builds the reader in C when it is missing or older than its sources. @throws {Error} when make or gcc fails, with the command that installs them */
export function makeReader(): void {
  const { status, error, stderr } = spawnSync("make", ["-C", `${SUITE}c`], { encoding: "utf8" });
  if (status === 0) return;
  const command = "sudo apt-get install -y --no-install-recommends make gcc libc6-dev";
  throw new Error(`The reader in C needs make and gcc: ${command}\n${error ?? stderr}`);
}
