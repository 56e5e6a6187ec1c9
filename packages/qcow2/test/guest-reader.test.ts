// The data of the guest, read here and by qemu-img.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bytesSource } from "@qdb/format";
import { compareDisks, GuestReader } from "@qdb/qcow2";
import { afterAll, beforeAll, expect, test } from "vitest";
import { requirePeers, runPeer, seededRandom } from "../../cli/test/peers.ts";
import { pick } from "./operation-scripts.ts";

let directory: string;
const at = (name: string): string => join(directory, name);
beforeAll(() => {
  requirePeers("qemu-img", "qemu-io");
  directory = mkdtempSync(join(tmpdir(), "qdb-guest-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const source = (path: string): ReturnType<typeof bytesSource> => bytesSource(new Uint8Array(readFileSync(path)));
const open = (path: string): Promise<GuestReader> => GuestReader.open(source(path), (name) => source(name));

test.each(Array.from({ length: 24 }, (_, seed) => seed))("image %i", async (seed) => {
  const random = seededRandom(700 + seed);
  const path = at(`${seed}.qcow2`);
  const size = (1 + random(12_000)) * 512;
  const cluster = pick(random, [512, 1024, 4096, 65536, 2 ** 21]);
  const dataFile = random(3) === 0 ? `,data_file=${at(`${seed}.data`)},data_file_raw=on` : "";
  const preallocated = dataFile === "" && random(3) === 0 ? ",preallocation=metadata" : "";
  runPeer("qemu-img", [
    "create",
    "-q",
    "-f",
    "qcow2",
    "-o",
    `cluster_size=${cluster}${dataFile}${preallocated}`,
    path,
    `${size}`,
  ]);
  const writes: string[] = [];
  for (let count = random(14); count > 0; count--) {
    const offset = random(size / 512) * 512;
    const length = Math.min(size - offset, 512 * (1 + random(300)));
    writes.push(
      "-c",
      pick(random, [
        `write -P ${1 + random(255)} ${offset} ${length}`,
        `write -z ${offset} ${length}`,
        `discard ${offset} ${length}`,
      ]),
    );
  }
  if (writes.length > 0) runPeer("qemu-io", ["-f", "qcow2", ...writes, path]);
  const raw = at(`${seed}.raw`);
  runPeer("qemu-img", ["convert", "-O", "raw", path, raw]);
  const expected = new Uint8Array(readFileSync(raw));
  const reader = await open(path);
  expect(reader.size).toBe(BigInt(size));
  expect(Buffer.from(await reader.read(0, size)).equals(expected), `cluster size ${cluster}${dataFile}`).toBe(true);
  for (let count = 0; count < 10; count++) {
    const offset = random(size);
    const length = 1 + random(Math.min(size - offset, 10_000));
    expect(Buffer.from(await reader.read(offset, length)).equals(expected.subarray(offset, offset + length))).toBe(
      true,
    );
  }
  // One byte that differs makes its granule dirty, and what one disk lacks too.
  const other = expected.slice();
  const place = random(size);
  other[place] = (other[place] as number) ^ 1;
  const base = (bytes: Uint8Array): Parameters<typeof compareDisks>[0] => ({
    size: BigInt(bytes.length),
    read: async (offset, length) => bytes.slice(offset, offset + length),
  });
  const bits = await compareDisks(base(other), reader, 512);
  expect([bits.count(), bits.isDirty(Math.floor(place / 512))]).toEqual([1, true]);
  expect((await compareDisks(base(expected), reader, 4096)).count()).toBe(0);
  const cut = Math.floor(size / 2);
  const missing = await compareDisks(base(expected.subarray(0, cut)), reader, 512);
  expect(missing.count()).toBe(Math.ceil(size / 512) - Math.floor(cut / 512));
});

test.each([
  ["compressed clusters", "compressed.qcow2", /compressed/],
  ["a backing file", "overlay.qcow2", /backing file/],
  ["extended L2 entries", "extended.qcow2", /extended L2/],
])("an image with %s is refused", async (_, name, message) => {
  writeFileSync(at("plain.raw"), new Uint8Array(2 ** 20).fill(9));
  runPeer("qemu-img", ["convert", "-c", "-f", "raw", "-O", "qcow2", at("plain.raw"), at("compressed.qcow2")]);
  runPeer("qemu-img", [
    "create",
    "-q",
    "-f",
    "qcow2",
    "-b",
    at("compressed.qcow2"),
    "-F",
    "qcow2",
    at("overlay.qcow2"),
  ]);
  runPeer("qemu-img", ["create", "-q", "-f", "qcow2", "-o", "extended_l2=on", at("extended.qcow2"), "1M"]);
  await expect(open(at(name)).then((reader) => reader.read(0, 4096))).rejects.toThrow(message);
});

test("a data file that is cut, and a cluster past the end, are errors and no zeros", async () => {
  const path = at("cut.qcow2");
  runPeer("qemu-img", ["create", "-q", "-f", "qcow2", path, "1M"]);
  runPeer("qemu-io", ["-f", "qcow2", "-c", "write -P 5 0 1M", path]);
  const bytes = new Uint8Array(readFileSync(path));
  const cut = bytesSource(bytes.subarray(0, bytes.length - 65536));
  const reader = await GuestReader.open(cut, () => cut);
  await expect(reader.read(0, 2 ** 20)).rejects.toMatchObject({ code: "OUT_OF_BOUNDS" });
});
