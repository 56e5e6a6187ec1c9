// `qdb bitmap` on qcow2 images, beside the tools of QEMU.
import { type ChildProcess, spawn } from "node:child_process";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { expectSilent, qdb, qdbFails, type Ran, runQdb, temporaryDirectory } from "./built.ts";
import { dirtyRanges, nbdinfoMap, requirePeers, runPeer } from "./peers.ts";

const directory = temporaryDirectory();
const image = join(directory, "disk.qcow2");
const at = (name: string): string => join(directory, name);

beforeAll(() => requirePeers("qemu-img", "qemu-io", "qemu-nbd", "nbdinfo"));
beforeEach(() => {
  runPeer("rm", ["-f", image]);
  runPeer("qemu-img", ["create", "-q", "-f", "qcow2", image, "64M"]);
});

const dirty = (name: string): (readonly [number, number])[] => [...dirtyRanges(nbdinfoMap(image, name))];
const check = (): string => runPeer("qemu-img", ["check", image]);
const bitmap = (...args: readonly string[]): string => qdb("bitmap", ...args);
const refused = (code: string, ...args: readonly string[]): string => qdbFails(code, ["bitmap", ...args]);

test("adds, marks, renames; QEMU sees it, collects into it, and qdb sees that", () => {
  bitmap("--add", "-g", "128K", "--mark", "1M+1", image, "daily");
  expect(dirty("daily")).toEqual([[2 ** 20, 2 ** 17]]);
  runPeer("qemu-io", ["-f", "qcow2", "-c", "write 8M 64k", image]);
  bitmap("--rename", "weekly", "--disable", image, "daily");
  expect(dirty("weekly")).toEqual([
    [2 ** 20, 2 ** 17],
    [2 ** 23, 2 ** 17],
  ]);
  expect(check()).toMatch(/No errors/);
});

test("QEMU's locks are taken too if standard output is a pipe, and nothing but the package itself leads to koffi", () => {
  // pnpm sets NODE_PATH, which leads around the links.
  const args = ["bitmap", "--add", image, "daily"];
  expectSilent(args, runQdb(args, { env: { NODE_PATH: undefined } }));
});

test("merges from a QDB file and into one", () => {
  const file = at("source.qdb");
  qdb("create", file);
  bitmap("--add", "--size", "64M", "--mark", "5M+1M", file, "changes");
  bitmap("--add", "--merge", "changes", "-b", file, image, "daily");
  expect(dirty("daily")).toEqual([[5 * 2 ** 20, 2 ** 20]]);
  bitmap("--mark", "0+1", image, "daily");
  bitmap("--merge", "daily", "-b", image, file, "changes");
  expect(qdb("map", file, "changes").match(/1 {2}dirty/g)).toHaveLength(2);
});

test("merges from another image", () => {
  const other = at("other.qcow2");
  copyFileSync(image, other);
  bitmap("--add", "--mark", "7M+1M", other, "changes");
  bitmap("--add", "--merge", "changes", "-b", other, image, "daily");
  expect(dirty("daily")).toEqual([[7 * 2 ** 20, 2 ** 20]]);
});

test.each([
  [["--freeze", "next"], "NOT_SUPPORTED"],
  [["--resize", "1G"], "NOT_SUPPORTED"],
  [["--add", "--size", "1G"], "SIZE_MISMATCH"],
  [["--mark", "64M+1"], "USAGE"],
  [["--merge", "nothing"], "NOT_FOUND"],
])("%j is refused with %s, and the image is what it was", (actions, code) => {
  bitmap("--add", image, "daily");
  const before = readFileSync(image);
  refused(code, ...actions, image, actions.includes("--add") ? "other" : "daily");
  expect(readFileSync(image).equals(before)).toBe(true);
});

test("an image of version 2, or marked dirty, is refused with what to do", () => {
  runPeer("qemu-img", ["create", "-q", "-f", "qcow2", "-o", "compat=0.10", at("old.qcow2"), "1M"]);
  expect(refused("NOT_SUPPORTED", "--add", at("old.qcow2"), "x")).toMatch(/qemu-img amend -o compat=1\.1/);
  const bytes = readFileSync(image);
  bytes[79] = 1;
  writeFileSync(image, bytes);
  expect(refused("NOT_SUPPORTED", "--add", image, "x")).toMatch(/qemu-img check -r all/);
});

test("a bitmap that a killed QEMU left in use: refused, but for --mark-all and --remove", async () => {
  bitmap("--add", image, "daily");
  const qemu = spawn("qemu-io", ["-f", "qcow2", "-c", "write 0 64k", "-c", "sleep 60000", image], { stdio: "ignore" });
  await holding(qemu);
  expect(refused("LOCKED", "--clear", image, "daily")).toContain("qemu-io");
  qemu.kill("SIGKILL");
  await new Promise((resolve) => qemu.once("exit", resolve));
  refused("INCONSISTENT", "--clear", image, "daily");
  bitmap("--mark-all", image, "daily");
  expect(dirty("daily")).toEqual([[0, 2 ** 26]]);
  expect(check()).toMatch(/No errors/);
});

/** Waits until QEMU has set in_use in the image. */
async function holding(qemu: ChildProcess): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    const { stdout }: Ran = runQdb(["info", "--output=json", image]);
    if (stdout.includes('"in_use"')) return;
    await sleep(20);
  }
  qemu.kill("SIGKILL");
  throw new Error("QEMU did not set in_use");
}

test("salvages a bitmap: what it had stored, and what differs from the backup", async () => {
  const [base, raw] = [at("base.raw"), at("now.raw")];
  bitmap("--add", "-g", "64K", image, "daily");
  runPeer("qemu-io", ["-f", "qcow2", "-c", "write -P 1 1M 64k", image]);
  runPeer("qemu-img", ["convert", "-O", "raw", image, base]);
  // Written before the crash, but after the last backup: stored by QEMU when it closed the image.
  runPeer("qemu-io", ["-f", "qcow2", "-c", "write -P 2 8M 64k", image]);
  const qemu = spawn(
    "qemu-io",
    ["-f", "qcow2", "-c", "write -P 3 20M 128k", "-c", "write -z 1M 4k", "-c", "sleep 60000", image],
    {
      stdio: "ignore",
    },
  );
  await holding(qemu);
  await sleep(300);
  refused("LOCKED", "--salvage", "--base", base, image, "daily");
  qemu.kill("SIGKILL");
  await new Promise((resolve) => qemu.once("exit", resolve));
  runPeer("qemu-img", ["convert", "-U", "-O", "raw", image, raw]);
  refused("USAGE", "--salvage", image, "daily");
  bitmap("--salvage", "--base", base, image, "daily");
  expect(dirty("daily")).toEqual([
    [2 ** 20, 65536],
    [8 * 2 ** 20, 65536],
    [20 * 2 ** 20, 131072],
  ]);
  expect(check()).toMatch(/No errors/);
  // Collects again.
  runPeer("qemu-io", ["-f", "qcow2", "-c", "write 40M 4k", image]);
  expect(dirty("daily")).toContainEqual([40 * 2 ** 20, 65536]);
  refused("USAGE", "--salvage", "--base", base, image, "daily");
});
