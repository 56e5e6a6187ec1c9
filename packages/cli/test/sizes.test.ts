import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { longSize, parseSize } from "../src/shell/size.ts";
import { temporaryDirectory } from "./built.ts";
import { requirePeers, runPeer, seededRandom } from "./peers.ts";

const directory = temporaryDirectory();
beforeAll(() => requirePeers("qemu-img"));

test("sizes are written as qemu-img info writes them", () => {
  const image = join(directory, "size.qcow2");
  const random = seededRandom(7);
  const sizes = [
    0,
    512,
    1024,
    999 * 512,
    1000 * 1024,
    1001 * 1024,
    1023 * 1024,
    2 ** 20,
    2 ** 30 * 999,
    2 ** 30 * 1000,
    2 ** 40 * 1.5,
  ];
  for (let count = 0; count < 12; count++) sizes.push(512 * (1 + random(2 ** random(32))));
  for (const size of sizes) {
    runPeer("qemu-img", ["create", "-q", "-f", "qcow2", "-o", "cluster_size=2M", image, `${size}`]);
    const line = /^virtual size: (.*)$/m.exec(runPeer("qemu-img", ["info", image]))?.[1];
    // The peer falls back to an exponent where three digits become four.
    expect(longSize(BigInt(size))).toBe(line?.replace("1e+03", "1000"));
  }
});

describe("sizes are read exactly", () => {
  test.each([
    ["0", 0n],
    ["007", 7n],
    ["1k", 1024n],
    ["64K", 65_536n],
    ["3m", 3n << 20n],
    ["16G", 16n << 30n],
    ["16T", 16n << 40n],
    ["9P", 9n << 50n],
    ["9007199254740993", 9_007_199_254_740_993n],
    ["99999999999999999999k", 99_999_999_999_999_999_999n << 10n],
  ])("%s", (text, value) => {
    expect(parseSize(text, "--size")).toBe(value);
  });

  test.each(["", "k", "1.5k", "-1", "+1", "0x10", "1kB", "1 k", "1e3", "१", "1\n"])("%j is none", (text) => {
    expect(() => parseSize(text, "--size")).toThrowError(/--size .* is no size/);
  });
});
