// How long the command may take and how much memory, on a 32 MiB bitmap (16 TiB at 64 KiB), with the Node of its users.
import { writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { file } from "../../format/test/hand.ts";
import { temporaryDirectory } from "./built.ts";
import { bestOf } from "./measured.ts";
import { requirePeers, seededRandom } from "./peers.ts";
import { largeImage } from "./qcow2-images.ts";

const directory = temporaryDirectory();
const CLUSTER = 4096;
const BYTES = 32 * 1024 * 1024;

/** A file whose bitmap has every bit dirty with the same chance, each for itself. */
function randomFile(name: string, share: number, seed: number): string {
  const data = randomBits(share, seed);
  const clusters = Array.from({ length: BYTES / CLUSTER }, (_, index) =>
    data.subarray(index * CLUSTER, (index + 1) * CLUSTER),
  );
  const path = join(directory, name);
  writeFileSync(
    path,
    file({ clusterBits: 12, bitmaps: [{ name: "b", size: 16n << 40n, granularity: 65_536, clusters }] }),
  );
  return path;
}

/** A qcow2 image with such a bitmap. */
function randomImage(name: string, share: number, seed: number): string {
  const data = randomBits(share, seed);
  return largeImage(join(directory, name), { size: 16 * 2 ** 40, granularity: 65_536 }, (fd, offset) => {
    writeSync(fd, data, 0, data.length, offset);
  });
}

function randomBits(share: number, seed: number): Uint8Array {
  const random = seededRandom(seed);
  const data = new Uint8Array(BYTES);
  // The distance to the next dirty bit, drawn at once: a number for each bit would take too long.
  const step = Math.log(1 - share);
  const next = (): number => 1 + Math.floor(Math.log((1 + random(2 ** 31)) / 2 ** 31) / step);
  for (let bit = next() - 1; bit < BYTES * 8; bit += next()) data[bit >> 3] = (data[bit >> 3] ?? 0) | (1 << (bit & 7));
  return data;
}

const files: Record<string, string> = {};
beforeAll(() => {
  requirePeers("python3", "qemu-img");
  files.one = randomFile("one.qdb", 0.01, 1);
  files.ten = randomFile("ten.qdb", 0.1, 2);
  files["image, one"] = randomImage("one.qcow2", 0.01, 1);
  files["image, ten"] = randomImage("ten.qcow2", 0.1, 2);
}, 120_000);

test.each([
  ["info", "--output=human", "ten"],
  ["info", "--output=json", "ten"],
  ["check", "--output=human", "ten"],
  ["map", "--output=json", "one"],
  ["info", "--output=json", "image, ten"],
  ["check", "--output=human", "image, ten"],
  ["map", "--output=json", "image, one"],
] as const)("%s %s, %s percent dirty at random: below 1 s and 300 MiB", (command, output, name) => {
  const operands = command === "map" ? [files[name] ?? "", "b"] : [files[name] ?? ""];
  const { wall, mebibytes } = bestOf(4, [command, output, ...operands]);
  expect(wall).toBeLessThan(1);
  expect(mebibytes).toBeLessThan(300);
});
