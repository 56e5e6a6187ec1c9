// The same scripts of operations, done by `qemu-img bitmap` and by this package on copies of one image.

import { createHash } from "node:crypto";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { editQcow2 } from "@qdb/qcow2";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Random, requirePeers, runPeer, seededRandom } from "../../cli/test/peers.ts";
import { fileStore } from "./file-store.ts";
import { checkImage, listBitmaps, qemuDigests } from "./qemu-digest.ts";

const SCRIPTS = process.env.QDB_SOAK === "1" ? 200 : 20;

let directory: string;
beforeAll(() => {
  requirePeers("qemu-img", "qemu-io", "qemu-storage-daemon");
  directory = mkdtempSync(join(tmpdir(), "qdb-write-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** An operation of `qemu-img bitmap`. */
type Operation =
  | { readonly what: "add"; readonly name: string; readonly granularity: number }
  | { readonly what: "remove" | "clear" | "enable" | "disable"; readonly name: string }
  | { readonly what: "merge"; readonly name: string; readonly source: string };

const pick = <T>(random: Random, items: readonly T[]): T => items[random(items.length)] as T;

interface MadeScript {
  readonly options: string;
  readonly size: number;
  readonly operations: readonly Operation[];
}

/** Makes an image with bitmaps and guest data. */
function makeImage(path: string, random: Random): MadeScript {
  const cluster = pick(random, [512, 1024, 4096, 65536, 2 ** 21]);
  const bits = pick(random, [1, 2, 4, 8, 16, 16, 32, 64]);
  const size = (1 + random(20_000)) * 512 + pick(random, [0, 2 ** 20, 2 ** 26]);
  const extended = cluster >= 16384 && random(3) === 0 ? ",extended_l2=on" : "";
  const preallocated = random(4) === 0 ? ",preallocation=metadata" : "";
  const options = `cluster_size=${cluster},refcount_bits=${bits}${extended}${preallocated}`;
  runPeer("qemu-img", ["create", "-q", "-f", "qcow2", "-o", options, path, `${size}`]);
  const names = ["a", "b", "c"].slice(0, random(4));
  for (const name of names) runPeer("qemu-img", ["bitmap", "--add", "-g", `${2 ** (9 + random(8))}`, path, name]);
  const writes: string[] = [];
  for (let count = random(12); count > 0; count--) {
    const offset = random(size / 512) * 512;
    const length = Math.min(size - offset, (1 + random(64)) * 512 * pick(random, [1, 8, 64]));
    writes.push("-c", `write -P ${1 + random(255)} ${offset} ${length}`);
  }
  if (writes.length > 0) runPeer("qemu-io", ["-f", "qcow2", ...writes, path]);
  if (bits > 1 && random(4) === 0) runPeer("qemu-img", ["snapshot", "-c", "snap", path]);
  return { options: `${options} size=${size}`, size, operations: operationsOn(new Set(names), random) };
}

function operationsOn(names: Set<string>, random: Random): Operation[] {
  const operations: Operation[] = [];
  for (let count = 4 + random(8); count > 0; count--) {
    const name = pick(random, ["a", "b", "c", "d", "a name that takes more bytes than an entry of a directory has"]);
    if (!names.has(name)) {
      names.add(name);
      operations.push({ what: "add", name, granularity: 2 ** (9 + random(9)) });
      continue;
    }
    const what = pick(random, ["remove", "clear", "enable", "disable", "merge", "merge", "merge"] as const);
    const source = pick(random, [...names]);
    if (what === "remove") names.delete(name);
    if (what !== "merge") operations.push({ what, name });
    else if (source !== name) operations.push({ what, name, source });
  }
  return operations;
}

function byQemu(path: string, operation: Operation): void {
  const { what, name } = operation;
  const options = what === "add" ? ["-g", `${operation.granularity}`] : what === "merge" ? [operation.source] : [];
  runPeer("qemu-img", ["bitmap", `--${what}`, ...options, path, name]);
}

async function byUs(path: string, operations: readonly Operation[]): Promise<void> {
  await editQcow2(fileStore(path), (edit, { size }) => {
    for (const operation of operations) {
      const { what, name } = operation;
      if (what === "add") edit.add({ name, size, granularity: operation.granularity });
      else if (what === "merge") edit.bitmap(name).merge(operation.source);
      else edit.bitmap(name)[what]();
    }
  });
}

/** SHA-256 of what the guest sees. */
function guestDigest(path: string): string {
  const raw = `${path}.raw`;
  runPeer("qemu-img", ["convert", "-O", "raw", path, raw]);
  return createHash("sha256").update(readFileSync(raw)).digest("hex");
}

test.each(Array.from({ length: SCRIPTS }, (_, seed) => seed))("script %i leaves what qemu-img leaves", async (seed) => {
  const random = seededRandom(1000 + seed);
  const ours = join(directory, `ours-${seed}.qcow2`);
  const theirs = join(directory, `theirs-${seed}.qcow2`);
  const { options, operations } = makeImage(ours, random);
  copyFileSync(ours, theirs);
  const guest = guestDigest(ours);
  for (const operation of operations) byQemu(theirs, operation);
  for (let at = 0, end = 0; at < operations.length; at = end) {
    end = at + 1 + random(3);
    await byUs(ours, operations.slice(at, end));
    const check = checkImage(ours);
    expect(check.code, `${options} ${JSON.stringify(operations.slice(0, end))}\n${check.text}`).toBe(0);
  }
  expect(checkImage(theirs).code).toBe(0);
  const listed = listBitmaps(ours);
  expect(listed, options).toEqual(listBitmaps(theirs));
  const names = listed.map(({ name }) => name);
  expect(qemuDigests(ours, names), options).toEqual(qemuDigests(theirs, names));
  expect(guestDigest(ours)).toBe(guest);
});
