// What is left when a run is interrupted: nothing.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { adapter, CORPUS, NODE, RUNNER, temporaryFolder } from "./support/run.ts";

const folder = temporaryFolder();

test.each([
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const)("%s ends the programs, and leaves no file", async (signal, code) => {
  const own = mkdtempSync(join(folder, "tmp-"));
  const child = spawn(NODE, [RUNNER, "--corpus", CORPUS, "--exec", adapter("hang"), "--filter", "toy-leak"], {
    env: { ...process.env, TMPDIR: own },
    stdio: "ignore",
  });
  // Until it hangs: the vector has its folder then.
  while (!readdirSync(own).some((name) => readdirSync(join(own, name)).length > 0))
    await new Promise((resolve) => setTimeout(resolve, 20));
  child.kill(signal);
  const [status] = await once(child, "exit");
  expect({ status, left: readdirSync(own) }).toEqual({ status: code, left: [] });
});
