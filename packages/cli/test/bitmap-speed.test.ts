import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { qdb, runQdb, temporaryDirectory } from "./built.ts";
import { seededRandom } from "./peers.ts";

const directory = temporaryDirectory();

/** Bytes of bits of which about a tenth is dirty, in no order. */
function randomBits(length: number, seed: number): Buffer {
  const random = seededRandom(seed);
  const words = new Uint32Array(length / 4);
  for (let at = 0; at < words.length; at++) {
    // Three bits each of 32: a tenth.
    words[at] = (1 << random(32)) | (1 << random(32)) | (1 << random(32));
  }
  return Buffer.from(words.buffer);
}

/**
 * Says at the end what memory was used, and for how long other programs had the processors that this one was ready for:
 * other tests run at the same time.
 */
const HOOK = `
const { readFileSync, writeFileSync } = require("fs");
process.on("exit", () => {
  const waited = Number(readFileSync("/proc/self/schedstat", "utf8").split(" ")[1]) / 1e6;
  writeFileSync(process.env.USAGE_FILE, JSON.stringify({ maxRss: process.resourceUsage().maxRSS, waited }));
});`;

test("merging two bitmaps of 32 MiB, 10 % dirty, takes less than a second and 300 MiB, fsyncs included", () => {
  const template = join(directory, "template.qdb");
  for (const [seed, name] of ["a", "b"].entries()) {
    const bits = join(directory, `${name}.bits`);
    writeFileSync(bits, randomBits(2 ** 25, seed));
    qdb("import", "--from=raw-bits", "-g", "512", "--size", "128G", "-B", name, bits, template);
  }
  const usage = join(directory, "usage.json");
  const hook = join(directory, "usage.cjs");
  writeFileSync(hook, HOOK);
  const file = join(directory, "file.qdb");
  const env = { NODE_OPTIONS: `--require ${hook}`, USAGE_FILE: usage };
  const runs = [1, 2, 3, 4, 5, 6, 7, 8].map(() => {
    copyFileSync(template, file);
    const start = performance.now();
    const { status, stderr } = runQdb(["bitmap", "--merge", "b", file, "a"], { env });
    const wall = performance.now() - start;
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const { maxRss, waited } = JSON.parse(readFileSync(usage, "utf8"));
    return { wall, own: wall - waited, mebibytes: maxRss / 1024 };
  });
  const texts = runs.map(({ wall, own, mebibytes }) => [wall, own, mebibytes].map(Math.round).join(", "));
  console.log(`merge of 32 MiB; ms, ms without waiting for a processor, MiB: ${texts.join("; ")}`);
  expect(Math.min(...runs.map(({ mebibytes }) => mebibytes))).toBeLessThan(300);
  expect(Math.min(...runs.map(({ own }) => own))).toBeLessThan(1000);
});
