// One writer at a time: the others are refused at once, readers are not, and a lock dies with its process.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { lockState } from "@qdb/io-node";
import { expect, onTestFinished, test } from "vitest";
import { COMMAND, NODE, qdb, qdbFails, runQdb, temporaryDirectory } from "./built.ts";
import { bitmapsOf } from "./reading.ts";

const directory = temporaryDirectory();
const image = join(directory, "image.raw");
writeFileSync(image, Buffer.alloc(2 ** 20));

/** A file with a bitmap that a program has in use, and a free one. */
function makeFile(name: string): string {
  const path = join(directory, name);
  const bitmap = { size: "1048576", granularity: 65536, dirty: [] };
  const form = {
    format: "qdb",
    header: { form: "full", cluster_bits: 12 },
    bitmaps: [
      { name: "collecting", ...bitmap, flags: ["enabled", "in_use"] },
      { name: "a", ...bitmap },
    ],
  };
  expect(runQdb(["load", "-", path], { input: JSON.stringify(form) })).toMatchObject({ status: 0, stderr: "" });
  return path;
}

/** A writer that has the file until it gets its bits, or is killed. */
async function holder(path: string): Promise<ChildProcess> {
  const args = ["import", "--from=raw-bits", "-g", "64K", "--size", "1M", "-B", "held", "-", path];
  const child = spawn(NODE, [COMMAND, ...args], {
    stdio: ["pipe", "ignore", "ignore"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  while (lockState(path)?.holder?.pid !== child.pid) {
    expect(child.exitCode).toBe(null);
    await sleep(20);
  }
  return child;
}

test("a second writer is refused at once and told who has it; kill -9 frees it", async () => {
  const path = makeFile("locked.qdb");
  const child = await holder(path);
  const before = readFileSync(path);
  const writers = [
    ["bitmap", "--clear", path, "a"],
    ["check", "-r", path],
    ["diff", image, image, path],
    ["import", "--from=raw-bits", "-g", "64K", "--size", "1M", "-B", "b", "-", path],
  ];
  for (const args of writers) {
    const start = performance.now();
    const line = qdbFails("LOCKED", args);
    expect(line).toContain(`process ${child.pid} (`);
    expect(line).toContain(path);
    // No second for the lock: what time it takes is the start of a program.
    expect(performance.now() - start).toBeLessThan(10_000);
  }
  expect(readFileSync(path).equals(before)).toBe(true);
  for (const args of [
    ["map", path, "a"],
    ["info", path],
    ["export", "--to", "extents", "-B", "a", path],
  ])
    qdb(...args);
  child.kill("SIGKILL");
  await once(child, "exit");
  qdb("bitmap", "--mark", "0+1", path, "a");
  expect((await bitmapsOf(path))[1]?.dirty).toEqual([["0", "65536"]]);
});

test("info tells in use from inconsistent", async () => {
  const path = makeFile("in-use.qdb");
  const states = (): string[] =>
    JSON.parse(qdb("info", "--output=json", path)).bitmaps.map(({ state }: { state: string }) => state);
  expect(states()).toEqual(["inconsistent", "disabled"]);
  const child = await holder(path);
  expect(states()).toEqual(["in use", "disabled"]);
  expect(qdb("info", path)).toContain("state: in use");
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(states()).toEqual(["inconsistent", "disabled"]);
});

test("the writer itself goes on undisturbed, and SIGTERM makes it leave everything as it was", async () => {
  const path = makeFile("finishes.qdb");
  const child = await holder(path);
  qdbFails("LOCKED", ["bitmap", "--clear", path, "a"]);
  child.stdin?.end(Buffer.from([3, 0]));
  expect((await once(child, "exit"))[0]).toBe(0);
  expect((await bitmapsOf(path))[2]).toMatchObject({ name: "held", dirty: [["0", "131072"]] });
  const before = readFileSync(path);
  const other = await holder(path);
  other.kill("SIGTERM");
  expect((await once(other, "exit"))[0]).toBe(143);
  expect(readFileSync(path).equals(before)).toBe(true);
});
