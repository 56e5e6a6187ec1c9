// Damaged images: an edit is refused and nothing is written, or it commits, and the data of the guest is what it was.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isQdbError, type QdbEdit } from "@qdb/format";
import { editQcow2 } from "@qdb/qcow2";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Random, requirePeers, runPeer, seededRandom } from "../../cli/test/peers.ts";
import { type Clusters, clustersOf } from "./clusters.ts";
import { pick } from "./operation-scripts.ts";
import { checkImage } from "./qemu-digest.ts";
import { recordingStore } from "./recording-store.ts";
import { Patchable } from "./small-image.ts";

const [IMAGES, DAMAGES] = process.env.QDB_SOAK === "1" ? [12, 400] : [4, 60];
/** An edit of a damaged image takes no longer, in ms. */
const MAX_TIME = 2000;

let directory: string;
beforeAll(() => {
  requirePeers("qemu-img", "qemu-io");
  directory = mkdtempSync(join(tmpdir(), "qdb-hostile-write-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** An image with guest data, a snapshot, and three bitmaps. */
function makeImage(path: string, random: Random): Uint8Array {
  const options = `cluster_size=${pick(random, [512, 1024, 4096])},refcount_bits=${pick(random, [2, 8, 16, 64])}`;
  runPeer("qemu-img", ["create", "-q", "-f", "qcow2", "-o", options, path, "4M"]);
  for (const name of ["a", "b", "c"]) runPeer("qemu-img", ["bitmap", "--add", "-g", "512", path, name]);
  runPeer("qemu-io", ["-f", "qcow2", "-c", "write -P 7 0 40k", "-c", "write -P 9 2M 8k", path]);
  runPeer("qemu-img", ["snapshot", "-c", "one", path]);
  runPeer("qemu-io", ["-f", "qcow2", "-c", "write -P 3 4k 4k", "-c", "write -P 5 3M 1k", path]);
  return new Uint8Array(readFileSync(path));
}

/** Overwrites a field that the writer relies on with something else, often a place that another structure has. */
function damage(image: Patchable, sound: Patchable, clusters: Clusters, random: Random): string {
  const { bytes } = image;
  const clusterBits = Math.log2(clusters.size);
  const u64 = (at: number, value: bigint): void => new DataView(bytes.buffer).setBigUint64(at, value);
  const offsets = [
    ...(
      [
        "header",
        "L1 table",
        "refcount table",
        "refcount block",
        "snapshot table",
        "snapshot's L1 table",
        "L2 table",
        "snapshot's L2 table",
        "data",
        "snapshot's data",
      ] as const
    ).map((kind) => clusters[kind]),
    sound.directoryAt,
    ...["a", "b", "c"].flatMap((name) => [sound.tableAt(name), Number(sound.readTableEntry(name, 0))]),
    Math.ceil(bytes.length / 2 ** clusterBits) * 2 ** clusterBits,
    2 ** 40,
    2 ** 53 + 2 ** clusterBits,
    pick(random, [1, 8, 512]),
  ];
  const offset = pick(random, offsets);
  const name = pick(random, ["a", "b", "c"]);
  const number = pick(random, [0, 1, 2, 7, 255, 65535, 2 ** 31, 2 ** 32 - 1]);
  const kinds: readonly (readonly [what: string, change: () => unknown])[] = [
    [
      `table entry of ${name}: ${offset}`,
      () => u64(sound.tableAt(name) + 8 * random(2), BigInt(offset) | BigInt(pick(random, [0, 0, 1, 2]))),
    ],
    [`table of ${name} at ${offset}`, () => image.entry(name, { bitmapTableOffset: BigInt(offset) })],
    [`table size of ${name}: ${number}`, () => image.entry(name, { bitmapTableSize: number })],
    [`flags of ${name}: ${number}`, () => image.entry(name, { flags: number })],
    [`name size of ${name}: ${number}`, () => image.entry(name, { nameSize: number % 65536 })],
    [`extra data of ${name}: ${number}`, () => image.entry(name, { extraDataSize: number })],
    [`granularity of ${name}: ${number}`, () => image.entry(name, { granularityBits: number % 256 })],
    [`directory at ${offset}`, () => image.extension({ bitmapDirectoryOffset: BigInt(offset) })],
    [`directory of ${number}`, () => image.extension({ bitmapDirectorySize: BigInt(number) })],
    [`${number} bitmaps`, () => image.extension({ nbBitmaps: number })],
    [`refcount table at ${offset}`, () => image.header({ refcountTableOffset: BigInt(offset) })],
    [`refcount table of ${number}`, () => image.header({ refcountTableClusters: number })],
    [`refcount order ${number}`, () => image.header({ refcountOrder: number })],
    [`L1 table at ${offset}`, () => image.header({ l1TableOffset: BigInt(offset) })],
    [`L1 table of ${number}`, () => image.header({ l1Size: number })],
    [`snapshots at ${offset}`, () => image.header({ snapshotsOffset: BigInt(offset) })],
    [`${number} snapshots`, () => image.header({ nbSnapshots: number })],
    [`backing file at ${offset}`, () => image.header({ backingFileOffset: BigInt(offset) })],
    [`header length ${number}`, () => image.header({ headerLength: number })],
    [`autoclear ${number}`, () => image.header({ autoclearFeatures: BigInt(number) })],
    [`incompatible ${number}`, () => image.header({ incompatibleFeatures: BigInt(number % 8) })],
    [
      `refcount of ${offset}: ${number % 4}`,
      () =>
        offset < bytes.length &&
        offset % 2 ** clusterBits === 0 &&
        clusters.setRefcount(image.bytes, offset, number % 4),
    ],
    [`block at ${offset}`, () => u64(clusters["refcount table"], BigInt(offset))],
    [`L2 table at ${offset}`, () => u64(clusters["L1 table"], BigInt(offset) | (1n << 63n))],
    [`data at ${offset}`, () => u64(clusters["L2 table"] + 8 * random(16), BigInt(offset) | (1n << 63n))],
  ];
  const [what, change] = pick(random, kinds);
  change();
  return what;
}

const CHANGES: Readonly<Record<string, (edit: QdbEdit, size: bigint) => void>> = {
  remove: (edit) => edit.bitmap("a").remove(),
  clear: (edit) => edit.bitmap("b").clear(),
  markAll: (edit) => edit.bitmap("a").markAll(),
  merge: (edit) => edit.bitmap("c").merge("b"),
  add: (edit, size) => edit.add({ name: "new", size }),
  mark: (edit) => edit.bitmap("c").mark({ offset: 2 ** 20, length: 512 }),
};

/** What the guest and its snapshot see, or why QEMU cannot read it. Damage may have made the data anything, but an edit must not change it. */
function guestOf(bytes: Uint8Array): string {
  const path = join(directory, "guest.qcow2");
  const raw = join(directory, "guest.raw");
  writeFileSync(path, bytes);
  try {
    runPeer("qemu-img", ["convert", "-O", "raw", path, raw]);
    const now = Buffer.from(readFileSync(raw)).toString("latin1");
    runPeer("qemu-img", ["convert", "-l", "one", "-O", "raw", path, raw]);
    return now + Buffer.from(readFileSync(raw)).toString("latin1");
  } catch {
    return "unreadable";
  }
}

test.each(Array.from({ length: IMAGES }, (_, seed) => seed))("image %i with one or two damages", async (seed) => {
  const random = seededRandom(300 + seed);
  const whole = makeImage(join(directory, "image.qcow2"), random);
  const clusters = clustersOf(whole);
  const sound = new Patchable(whole);
  let committed = 0;
  for (let count = 0; count < DAMAGES; count++) {
    const image = new Patchable(whole);
    const { bytes } = image;
    const damages = Array.from({ length: 1 + random(2) }, () => damage(image, sound, clusters, random));
    const what = damages.join(", ");
    const how = pick(random, Object.keys(CHANGES));
    const store = recordingStore(bytes);
    const start = performance.now();
    try {
      await editQcow2(store, (edit, { size }) => CHANGES[how]?.(edit, size));
    } catch (error) {
      expect(isQdbError(error), `${what}, ${how}: ${String(error)}`).toBe(true);
      expect(Buffer.from(store.bytes).equals(bytes), `${what}, ${how}`).toBe(true);
      continue;
    } finally {
      expect(performance.now() - start, `${what}, ${how}`).toBeLessThan(MAX_TIME);
    }
    committed++;
    const before = guestOf(bytes);
    if (before !== "unreadable") expect(guestOf(store.bytes) === before, `${what}, ${how}`).toBe(true);
    writeFileSync(join(directory, "before.qcow2"), bytes);
    writeFileSync(join(directory, "after.qcow2"), store.bytes);
    const [was, is] = [checkImage(join(directory, "before.qcow2")), checkImage(join(directory, "after.qcow2"))];
    // What was sound or only leaking is not corrupt afterwards.
    if (was.code === 0 || was.code === 3) expect([0, 3], `${what}, ${how}: ${is.text}`).toContain(is.code);
  }
  expect(committed).toBeGreaterThan(DAMAGES / 20);
});
