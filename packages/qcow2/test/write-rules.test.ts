// What the writer refuses, what it leaves alone, and what becomes of damaged bitmaps.
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isQdbError, type QdbEdit, type QdbErrorCode } from "@qdb/format";
import { editQcow2, QCOW2_HEADER, type Qcow2CommitReport, type Qcow2EditOptions } from "@qdb/qcow2";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { requirePeers, runPeer, seededRandom } from "../../cli/test/peers.ts";
import { clustersOf } from "./clusters.ts";
import { fileStore } from "./file-store.ts";
import { guestDigest } from "./operation-scripts.ts";
import { checkImage, listBitmaps, qemuDigests } from "./qemu-digest.ts";
import { readAll } from "./reading.ts";
import { recordingStore } from "./recording-store.ts";
import { makeSmallImage, Patchable, SMALL_DISK } from "./small-image.ts";

let directory: string;
let small: Uint8Array;
/** An image with guest data written after the bitmaps were added, so that the bits of `kept` and `other` are those writes. */
let withData: Uint8Array;
const at = (name: string): string => join(directory, name);
const qemuImg = (...args: string[]): string => runPeer("qemu-img", args);

beforeAll(() => {
  requirePeers("qemu-img", "qemu-io", "qemu-storage-daemon");
  directory = mkdtempSync(join(tmpdir(), "qdb-rules-"));
  small = makeSmallImage(directory);
  const path = at("data.qcow2");
  qemuImg("create", "-q", "-f", "qcow2", "-o", "cluster_size=4k", path, "16M");
  for (const name of ["kept", "other"]) qemuImg("bitmap", "--add", "-g", "512", path, name);
  runPeer("qemu-io", ["-f", "qcow2", "-c", "write -P 7 0 64k", "-c", "write -P 9 8M 8k", path]);
  withData = new Uint8Array(readFileSync(path));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

type Change = (edit: QdbEdit) => void;

/** Edits an image in memory. */
async function edit(bytes: Uint8Array, change: Change, options: Qcow2EditOptions = {}): Promise<Uint8Array> {
  const store = recordingStore(bytes);
  await editQcow2(store, change, options);
  return store.bytes;
}

async function refusal(bytes: Uint8Array, change: Change): Promise<QdbErrorCode> {
  const store = recordingStore(bytes);
  try {
    await editQcow2(store, change);
  } catch (error) {
    if (!isQdbError(error)) throw error;
    expect(store.events, `${error.message}: nothing is written before a refusal`).toEqual([]);
    return error.code;
  }
  throw new Error("nothing was refused");
}

function onDisk(bytes: Uint8Array, name = "asked.qcow2"): string {
  writeFileSync(at(name), bytes);
  return at(name);
}

describe("refuses", () => {
  const clear: Change = (change) => change.bitmap("fine").clear();

  test.each([
    ["version 2", { version: 2 }],
    ["the corrupt bit", { incompatibleFeatures: 2n }],
    ["the dirty bit", { incompatibleFeatures: 1n }],
  ])("%s", async (_, fields) => {
    expect(await refusal(new Patchable(small).header(fields).bytes, (change) => change.has("fine"))).toBe(
      "NOT_SUPPORTED",
    );
  });

  test("an unknown incompatible feature", async () => {
    expect(await refusal(new Patchable(small).header({ incompatibleFeatures: 1n << 20n }).bytes, clear)).toBe(
      "UNSUPPORTED_FEATURE",
    );
  });

  test("a cluster that is counted as free, but holds data of the guest, a table, or a snapshot's", async () => {
    const path = at("snapshot.qcow2");
    writeFileSync(path, withData);
    qemuImg("snapshot", "-c", "one", path);
    runPeer("qemu-io", ["-f", "qcow2", "-c", "write -P 3 0 4k", path]);
    const bytes = new Uint8Array(readFileSync(path));
    const clusters = clustersOf(bytes);
    for (const kind of [
      "L1 table",
      "refcount table",
      "refcount block",
      "snapshot table",
      "snapshot's L1 table",
      "L2 table",
      "snapshot's L2 table",
      "data",
      "snapshot's data",
    ] as const) {
      const damaged = bytes.slice();
      expect(clusters[kind], kind).toBeGreaterThan(0);
      clusters.setRefcount(damaged, clusters[kind], 0);
      expect(await refusal(damaged, (change) => change.bitmap("kept").clear()), kind).toBe("OVERLAP");
    }
  });

  test("what qcow2 cannot hold", async () => {
    const code = (change: Change): Promise<QdbErrorCode> => refusal(small, change);
    const size = SMALL_DISK;
    expect(await code((change) => change.bitmap("fine").freeze("next"))).toBe("NOT_SUPPORTED");
    expect(await code((change) => change.bitmap("fine").resize(2 ** 20))).toBe("NOT_SUPPORTED");
    expect(await code((change) => change.add({ name: "new", size, comment: "text" }))).toBe("NOT_SUPPORTED");
    expect(await code((change) => change.add({ name: "new", size, id: "00112233-4455-6677-8899-aabbccddeeff" }))).toBe(
      "NOT_SUPPORTED",
    );
    expect(await code((change) => change.add({ name: "new", size: 2 ** 20 }))).toBe("SIZE_MISMATCH");
    expect(await code((change) => change.add({ name: "fine", size }))).toBe("ALREADY_EXISTS");
  });

  test("bits of a bitmap in use, but not to remove it or to mark all of it", async () => {
    const inUse = new Patchable(small).entry("fine", { flags: 3 }).bytes;
    expect(await refusal(inUse, clear)).toBe("INCONSISTENT");
    const marked = onDisk(await edit(inUse, (change) => change.bitmap("fine").markAll()));
    expect(listBitmaps(marked).find(({ name }) => name === "fine")?.flags).toEqual(["auto"]);
    expect(qemuDigests(marked, ["fine"])).toEqual([digestOfOnes(SMALL_DISK / 512)]);
    const removed = onDisk(await edit(inUse, (change) => change.bitmap("fine").remove()));
    expect(checkImage(removed)).toMatchObject({ code: 0 });
    expect(listBitmaps(removed).map(({ name }) => name)).toEqual(["coarse", "idle"]);
  });
});

/** QEMU's digest of `count` ones. */
function digestOfOnes(count: number): string {
  const bytes = new Uint8Array(Math.ceil(count / 64) * 8);
  for (let bit = 0; bit < count; bit++) bytes[bit >> 3] = (bytes[bit >> 3] as number) | (1 << (bit & 7));
  return createHash("sha256").update(bytes).digest("hex");
}

describe("leaves alone", () => {
  test("header fields, other extensions and known autoclear bits; unknown autoclear bits are cleared", async () => {
    const path = at("external.qcow2");
    const raw = at("external.raw");
    writeFileSync(raw, new Uint8Array(2 ** 20).fill(5));
    qemuImg("create", "-q", "-f", "qcow2", "-o", `data_file=${raw},data_file_raw=on`, path, "1M");
    writeFileSync(raw, new Uint8Array(2 ** 20).fill(5));
    qemuImg("bitmap", "--add", path, "one");
    const before = new Uint8Array(readFileSync(path));
    new DataView(before.buffer).setBigUint64(80, 1n << 50n);
    new DataView(before.buffer).setBigUint64(88, (1n << 33n) | 3n);
    const after = await edit(before, (change) => change.bitmap("one").mark({ offset: 65536, length: 1 }));
    const header = QCOW2_HEADER.decode(after);
    expect(header).toEqual({ ...QCOW2_HEADER.decode(before), autoclearFeatures: 3n });
    // All but autoclear bits, and the 16 bytes of place and length of the directory, is as it was.
    const extension = new Patchable(before).extensionAt;
    const differing = [...before.subarray(0, 65536).entries()].filter(([place, byte]) => after[place] !== byte);
    expect(
      differing.every(([place]) => (place >= 88 && place < 96) || (place >= extension + 8 && place < extension + 24)),
    ).toBe(true);
    const written = onDisk(after);
    expect(checkImage(written).code).toBe(0);
    expect(new Uint8Array(readFileSync(raw)).every((byte) => byte === 5)).toBe(true);
  });

  test("guest data on which a bitmap lies, when that bitmap is removed, and when another one is", async () => {
    const guest = guestDigest(onDisk(withData));
    const { data } = clustersOf(withData);
    const damaged = new Patchable(withData).tableEntry("kept", 0, BigInt(data)).bytes;
    for (const name of ["kept", "other"]) {
      const path = onDisk(await edit(damaged, (change) => change.bitmap(name).remove()));
      expect(guestDigest(path), name).toBe(guest);
      // Space that the guest's cluster took away from the bitmap is lost until qemu-img check -r leaks.
      if (name === "kept") expect([0, 3]).toContain(checkImage(path).code);
    }
    const kept = await edit(damaged, (change) => change.bitmap("other").clear());
    expect(() => readAll(kept)).toThrow(/data of the guest/);
  });
});

describe("makes all dirty", () => {
  const sharing = (): Uint8Array => {
    const image = new Patchable(withData);
    return image.tableEntry("kept", 0, image.readTableEntry("other", 0)).bytes;
  };

  test.each(["clear", "remove"] as const)("a bitmap that shared a cluster with one that has a %s", async (how) => {
    let report: Qcow2CommitReport | undefined;
    // Neither can be read, so that only an action that needs no bits is possible.
    const act: Change = (change) =>
      how === "remove" ? change.bitmap("other").remove() : change.bitmap("other").markAll();
    const after = await edit(sharing(), act, {
      onCommit: (given) => {
        report = given;
      },
    });
    expect(report?.madeDirty.map(({ code, where }) => [code, where.bitmap])).toEqual([["OVERLAP", "kept"]]);
    const path = onDisk(after);
    expect([0, 3]).toContain(checkImage(path).code);
    expect(qemuDigests(path, ["kept"])).toEqual([digestOfOnes(2 ** 24 / 512)]);
  });

  test("nothing else: a bitmap that shares no cluster stays as it is", async () => {
    const image = new Patchable(small);
    image.tableEntry("coarse", 0, image.readTableEntry("fine", 0));
    const after = await edit(image.bytes, (change) => change.bitmap("coarse").remove());
    const path = onDisk(after);
    expect(qemuDigests(path, ["fine"])).toEqual([digestOfOnes(SMALL_DISK / 512)]);
    expect(qemuDigests(path, ["idle"])).toEqual(qemuDigests(onDisk(small, "small-copy.qcow2"), ["idle"]));
  });

  test("all of them, when the directory shares its cluster", async () => {
    const image = new Patchable(withData);
    const damaged = image.tableEntry("kept", 0, BigInt(image.directoryAt)).bytes;
    const path = onDisk(await edit(damaged, (change) => change.add({ name: "new", size: 2 ** 24 })));
    expect(qemuDigests(path, ["kept", "other"])).toEqual([digestOfOnes(2 ** 15), digestOfOnes(2 ** 15)]);
  });
});

test("bitmaps of an image that was written without them stay unusable, but for those that were marked", async () => {
  const lost = new Patchable(small).header({ autoclearFeatures: 0n }).bytes;
  const path = onDisk(await edit(lost, (change) => change.bitmap("fine").markAll()));
  expect(listBitmaps(path).map(({ name, flags }) => [name, flags])).toEqual([
    ["coarse", ["in-use", "auto"]],
    ["fine", ["auto"]],
    ["idle", ["in-use"]],
  ]);
  expect(checkImage(path).code).toBe(0);
  const cleaned = onDisk(
    await edit(lost, (change) => {
      for (const name of ["fine", "coarse", "idle"]) change.bitmap(name).remove();
    }),
  );
  expect(listBitmaps(cleaned)).toEqual([]);
  expect(checkImage(cleaned).code).toBe(0);
});

test("the refcount table grows with the image, and its old clusters are free then", async () => {
  const path = at("grow.qcow2");
  qemuImg("create", "-q", "-f", "qcow2", "-o", "cluster_size=512,refcount_bits=64", path, "1G");
  const before = QCOW2_HEADER.decode(readFileSync(path));
  const random = seededRandom(3);
  // 2^21 bits take 512 clusters, each with a dirty bit; 6 bitmaps pass the 4096 clusters that one cluster of the table counts.
  for (let count = 0; count < 12; count++) {
    await editQcow2(fileStore(path), (change, { size }) => {
      change.add({ name: `b${count}`, size, granularity: 512 });
      for (let cluster = 0; cluster < 512; cluster++)
        change.bitmap(`b${count}`).mark({ offset: cluster * 2 ** 21 + random(4096) * 512, length: 1 });
    });
    expect(checkImage(path), `${count}`).toMatchObject({ code: 0 });
  }
  expect(QCOW2_HEADER.decode(readFileSync(path)).refcountTableClusters).toBeGreaterThan(before.refcountTableClusters);
  const names = listBitmaps(path).map(({ name }) => name);
  expect(names).toHaveLength(12);
  await editQcow2(fileStore(path), (change) => {
    for (const name of names) change.bitmap(name).remove();
  });
  expect(checkImage(path)).toMatchObject({ code: 0 });
});

test("space is used again: many commits leave the image as long as a few do", async () => {
  const path = onDisk(withData, "again.qcow2");
  const lengths: number[] = [];
  for (let round = 0; round < 12; round++) {
    await editQcow2(fileStore(path), (change) => {
      change.bitmap("kept").mark({ offset: round * 2 ** 20, length: 4096 });
    });
    lengths.push(readFileSync(path).length);
  }
  expect(lengths.at(-1)).toBe(lengths[2]);
  expect(checkImage(path)).toMatchObject({ code: 0 });
});

test("a device that is full refuses, and one with free clusters inside uses them", async () => {
  const whole = new Uint8Array(Math.ceil(withData.length / 4096) * 4096);
  whole.set(withData);
  const counted = whole.slice();
  for (let free = clustersOf(counted)["free cluster"]; free !== 0; free = clustersOf(counted)["free cluster"])
    clustersOf(counted).setRefcount(counted, free, 1);
  const full = Object.assign(recordingStore(counted), { fixedSize: true });
  await expect(editQcow2(full, (change, { size }) => change.add({ name: "new", size }))).rejects.toMatchObject({
    code: "LIMIT",
  });
  const roomy = new Uint8Array(whole.length + 64 * 4096);
  roomy.set(whole);
  const store = recordingStore(roomy);
  await editQcow2(Object.assign(store, { fixedSize: true }), (change, { size }) => change.add({ name: "new", size }));
  expect(store.bytes.length).toBe(roomy.length);
  expect(checkImage(onDisk(store.bytes)).code).toBe(0);
});
