import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const tools = ["bun", "deno", "node", "pnpm"].map((name) => `scripts/tools/${name}/package-lock.json`);
const lockfiles = ["pnpm-lock.yaml", "bench/peers/package-lock.json", ...tools];

// The addresses depend on who wrote the lockfile; the hashes alone say what is installed.
test.each(lockfiles)("%s holds hashes, and the address of no registry", (name) => {
  const text = readFileSync(fileURLToPath(new URL(`../${name}`, import.meta.url)), "utf8");
  expect(text).toMatch(/integrity"?: "?sha512-/);
  expect(text).not.toMatch(/https?:|"resolved"|tarball:|registry\./);
});
