// What load and import read is stored in windows: their memory does not grow with the bitmaps.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Bitmap } from "@qdb/format";
import { openFileStore } from "@qdb/io-node/container";
import { editQcow2 } from "@qdb/qcow2";
import { beforeAll, describe, expect, test } from "vitest";
import { COMMAND, NODE, qdb, qdbFails, temporaryDirectory } from "./built.ts";
import { measured } from "./measured.ts";
import { runPeer } from "./peers.ts";

const directory = temporaryDirectory();
const inFolder = (name: string): string => join(directory, name);

const GRANULARITY = 65536;
const MEBIBYTES = 64;
/** Mebibytes by which the memory of a run for 64 MiB of bits may be above that for 1 MiB. Those of the garbage collector vary. */
const SPREAD = 32;

/** Bits of which some are dirty in every cluster and every page, from a plain loop. */
function plainBits(mebibytes: number): Buffer {
  const bits = Buffer.alloc(mebibytes * 2 ** 20);
  for (let at = 77; at < bits.length; at += 4096) bits[at] = 0x18;
  return bits;
}

const sizeOf = (mebibytes: number): string => `${mebibytes * 512}G`;

/** The JSON form of these bits. The ranges of each page are in the order of the disk, the pages are not. */
function formOf(mebibytes: number, sha256: string): string {
  const pages = mebibytes * 16;
  const ranges: string[] = [];
  for (let at = 0; at < pages; at++) {
    const page = (at * 7) % pages;
    for (let byte = page * 65536 + 77; byte < (page + 1) * 65536; byte += 4096)
      ranges.push(`["${(byte * 8 + 3) * GRANULARITY}", "${2 * GRANULARITY}"]`);
  }
  const header = '{"form": "full", "version": 1, "cluster_bits": 12}';
  const size = mebibytes * 2 ** 23 * GRANULARITY;
  return `{"format": "qdb", "header": ${header}, "bitmaps": [{"name": "b", "size": "${size}", "granularity": ${GRANULARITY},
    "dirty": [${ranges.join(", ")}], "bits_sha256": "${sha256}"}]}`;
}

/** Makes the sources for so many mebibytes of bits. */
async function makeSources(mebibytes: number): Promise<void> {
  const bits = plainBits(mebibytes);
  writeFileSync(inFolder(`${mebibytes}.bits`), bits);
  writeFileSync(inFolder(`${mebibytes}.json`), formOf(mebibytes, createHash("sha256").update(bits).digest("hex")));
  const image = inFolder(`${mebibytes}.qcow2`);
  runPeer("qemu-img", ["create", "-q", "-f", "qcow2", image, sizeOf(mebibytes)]);
  const bitmap = Bitmap.fromBytes(bits, {
    size: BigInt(mebibytes) * 2n ** 23n * BigInt(GRANULARITY),
    granularity: GRANULARITY,
  });
  await editQcow2(openFileStore(image), (edit) => edit.add({ name: "b", bits: bitmap }));
  qdb("load", inFolder(`${mebibytes}.json`), inFolder(`${mebibytes}-there.qdb`));
}

beforeAll(async () => {
  for (const mebibytes of [1, MEBIBYTES]) await makeSources(mebibytes);
}, 120_000);

const raw = (mebibytes: number): string[] => [
  "import",
  "--from=raw-bits",
  "-g",
  `${GRANULARITY}`,
  "--size",
  sizeOf(mebibytes),
  "-B",
  "b",
  inFolder(`${mebibytes}.bits`),
];

test.each<[string, (mebibytes: number) => string[], "new" | "there"]>([
  ["load", (mebibytes) => ["load", inFolder(`${mebibytes}.json`)], "new"],
  ["import of plain bits", raw, "new"],
  ["import of plain bits that are merged", (mebibytes) => [...raw(mebibytes), "--merge"], "there"],
  ["import of an image", (mebibytes) => ["import", inFolder(`${mebibytes}.qcow2`)], "new"],
  ["import of an image that is merged", (mebibytes) => ["import", "--merge", inFolder(`${mebibytes}.qcow2`)], "there"],
  [
    "import of an image in place of a bitmap",
    (mebibytes) => ["import", "--replace", inFolder(`${mebibytes}.qcow2`)],
    "there",
  ],
])(
  "%s takes as much memory for large bitmaps",
  (what, args, target) => {
    const before = readdirSync(directory);
    const use = (mebibytes: number): number => {
      const file = inFolder(`${what}-${mebibytes}.qdb`);
      if (target === "there") copyFileSync(inFolder(`${mebibytes}-there.qdb`), file);
      const { status, mebibytes: used } = measured([COMMAND, ...args(mebibytes), file]);
      expect(status).toBe(0);
      const out = inFolder(`${what}-${mebibytes}.out`);
      qdb("export", "--to=raw-bits", "-B", "b", file, out);
      expect(readFileSync(out).equals(plainBits(mebibytes))).toBe(true);
      return used;
    };
    const [small, large] = [use(1), use(MEBIBYTES)];
    console.log(`${what}: ${small.toFixed(0)} and ${large.toFixed(0)} MiB`);
    expect(large - small).toBeLessThan(SPREAD);
    expect(readdirSync(directory)).toHaveLength(before.length + 4);
  },
  60_000,
);

describe("nothing is left behind", () => {
  test("if the bits are not those of the digest", () => {
    const form = inFolder("other.json");
    writeFileSync(form, formOf(MEBIBYTES, "00".repeat(32)));
    const before = readdirSync(directory);
    expect(qdbFails("USAGE", ["load", form, inFolder("other.qdb")])).toContain("bits_sha256");
    expect(readdirSync(directory)).toEqual(before);
  });

  test("if the input ends in the middle", () => {
    const form = inFolder("short.json");
    writeFileSync(form, readFileSync(inFolder(`${MEBIBYTES}.json`)).subarray(0, 400_000));
    const bits = inFolder("short.bits");
    writeFileSync(bits, plainBits(MEBIBYTES).subarray(0, 2 ** 25));
    const before = readdirSync(directory);
    qdbFails("USAGE", ["load", form, inFolder("short.qdb")]);
    qdbFails("SIZE_MISMATCH", [...raw(MEBIBYTES).slice(0, -1), bits, inFolder("short.qdb")]);
    expect(readdirSync(directory)).toEqual(before);
  });

  test.each(["SIGINT", "SIGTERM", "SIGKILL"] as const)("by %s in the middle", async (signal) => {
    const before = readdirSync(directory);
    const child = spawn(NODE, [COMMAND, ...raw(MEBIBYTES).slice(0, -1), "-", inFolder("ended.qdb")], {
      stdio: ["pipe", "ignore", "ignore"],
    });
    child.stdin.on("error", () => undefined);
    // More than is held in memory, so that there is a temporary file.
    await new Promise((resolve) => child.stdin.write(plainBits(32), resolve));
    child.kill(signal);
    await once(child, "exit");
    expect(readdirSync(directory)).toEqual(before);
  });
});
