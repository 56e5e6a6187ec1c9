import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { qdb, temporaryDirectory } from "./built.ts";
import { bestOf } from "./measured.ts";
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

test("merging two bitmaps of 32 MiB, 10 % dirty, takes less than a second and 300 MiB, fsyncs included", () => {
  const template = join(directory, "template.qdb");
  for (const [seed, name] of ["a", "b"].entries()) {
    const bits = join(directory, `${name}.bits`);
    writeFileSync(bits, randomBits(2 ** 25, seed));
    qdb("import", "--from=raw-bits", "-g", "512", "--size", "128G", "-B", name, bits, template);
  }
  const file = join(directory, "file.qdb");
  const args = ["bitmap", "--merge", "b", file, "a"];
  const { wall, mebibytes } = bestOf(5, args, () => copyFileSync(template, file));
  expect(wall).toBeLessThan(1);
  expect(mebibytes).toBeLessThan(300);
});
