// A store that fails: the error reaches the caller and says what the image has, and QEMU opens it with the old bitmaps or the new ones.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isQdbError, QdbError } from "@qdb/format";
import type { SyncStore } from "@qdb/format/container";
import { editQcow2 } from "@qdb/qcow2";
import { afterAll, beforeAll, expect, test } from "vitest";
import { requirePeers, runPeer } from "../../cli/test/peers.ts";
import { checkImage, listBitmaps, qemuDigests } from "./qemu-digest.ts";
import { type RecordingStore, recordingStore } from "./recording-store.ts";

let directory: string;
let image: Uint8Array;
beforeAll(() => {
  requirePeers("qemu-img", "qemu-io", "qemu-storage-daemon");
  directory = mkdtempSync(join(tmpdir(), "qdb-faults-"));
  const path = join(directory, "image.qcow2");
  runPeer("qemu-img", ["create", "-q", "-f", "qcow2", "-o", "cluster_size=512,refcount_bits=64", path, "64M"]);
  for (const name of ["a", "b"]) runPeer("qemu-img", ["bitmap", "--add", "-g", "512", path, name]);
  runPeer("qemu-io", ["-f", "qcow2", "-c", "write -P 1 0 300k", "-c", "write -P 2 20M 30k", path]);
  image = new Uint8Array(readFileSync(path));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** A store whose call number `failing` of those that change the file fails. A failing write stores half of its bytes. */
function failingStore(store: RecordingStore, failing: number): SyncStore {
  let calls = 0;
  const fails = (): boolean => ++calls === failing;
  return {
    get size() {
      return store.size;
    },
    readSync: (offset, length) => store.readSync(offset, length),
    writeSync(offset, bytes) {
      if (!fails()) return store.writeSync(offset, bytes);
      store.writeSync(offset, bytes.subarray(0, Math.floor(bytes.length / 1024) * 512));
      throw new QdbError("IO", "no space is left");
    },
    flushSync() {
      if (fails()) throw new QdbError("IO", "the flush failed");
      store.flushSync();
    },
    truncateSync: () => store.truncateSync(0),
  };
}

const edit = (store: SyncStore): Promise<void> =>
  editQcow2(store, (change, { size }) => {
    change.bitmap("a").merge("b");
    change.bitmap("b").clear();
    change.add({ name: "c", size, granularity: 512 });
    for (let at = 0; at < 64; at += 2) change.bitmap("c").mark({ offset: at * 2 ** 20, length: 512 });
  });

/** The bitmaps as QEMU sees them. */
function bitmapsOf(bytes: Uint8Array): string {
  const path = join(directory, "asked.qcow2");
  writeFileSync(path, bytes);
  const listed = listBitmaps(path);
  return JSON.stringify([
    listed,
    qemuDigests(
      path,
      listed.map(({ name }) => name),
    ),
  ]);
}

test("every write and every flush", async () => {
  const sound = recordingStore(image);
  await edit(sound);
  const [old, next] = [bitmapsOf(image), bitmapsOf(sound.bytes)];
  expect(old).not.toBe(next);
  const said = new Set<string>();
  for (let failing = 1; failing <= sound.events.length; failing++) {
    const store = recordingStore(image);
    const error: unknown = await edit(failingStore(store, failing)).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (!isQdbError(error, "POISONED")) throw new Error(`call ${failing}: ${String(error)}`);
    const [, state = ""] = error.message.split("; ");
    said.add(state);
    const found = bitmapsOf(store.bytes);
    if (state === "the bitmaps are as they were") expect(found, `call ${failing}`).toBe(old);
    else if (state.startsWith("the change is stored")) expect(found, `call ${failing}`).toBe(next);
    else expect([old, next], `call ${failing}`).toContain(found);
    const path = join(directory, "asked.qcow2");
    expect([0, 3], `call ${failing}`).toContain(checkImage(path).code);
  }
  expect(said.size, [...said].join(", ")).toBe(3);
});
