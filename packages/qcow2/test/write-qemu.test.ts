// The same scripts of operations, done by `qemu-img bitmap` and by this package on copies of one image.

import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { requirePeers, runPeer, seededRandom } from "../../cli/test/peers.ts";
import { fileStore } from "./file-store.ts";
import { editBy, guestDigest, makeImage, type Operation } from "./operation-scripts.ts";
import { checkImage, listBitmaps, qemuDigests } from "./qemu-digest.ts";

const SCRIPTS = process.env.QDB_SOAK === "1" ? 200 : 20;

let directory: string;
beforeAll(() => {
  requirePeers("qemu-img", "qemu-io", "qemu-storage-daemon");
  directory = mkdtempSync(join(tmpdir(), "qdb-write-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function byQemu(path: string, operation: Operation): void {
  const { what, name } = operation;
  const options = what === "add" ? ["-g", `${operation.granularity}`] : what === "merge" ? [operation.source] : [];
  runPeer("qemu-img", ["bitmap", `--${what}`, ...options, path, name]);
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
    await editBy(fileStore(ours), operations.slice(at, end));
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
