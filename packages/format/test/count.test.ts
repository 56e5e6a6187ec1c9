// How much of a range of the disk is dirty, against the bits as they were put into the file by hand.
import { bytesSource, QdbFile } from "@qdb/format";
import { describe, expect, it } from "vitest";
import { bits, file } from "./hand.ts";
import { ZLIB } from "./reading.ts";

const SIZE = 512 * 12000 - 100;
const DIRTY = new Set([...Array.from({ length: 4096 }, (_, bit) => bit), 8195, 10192, 11999]);
const BYTES = file({
  header: { incompatible: 1n },
  bitmaps: [{ name: "a", size: BigInt(SIZE), granularity: 512, clusters: ["ones", "zeros", bits(476, 3, 2000, 3807)] }],
});

/** Bits that a range touches, and the bytes of it that are dirty. */
function counted(offset: number, length: number): { bits: number; bytes: bigint } {
  let [touched, bytes] = [0, 0];
  for (const bit of DIRTY) {
    const inside = Math.min(offset + length, SIZE, 512 * (bit + 1)) - Math.max(offset, 512 * bit);
    if (inside <= 0) continue;
    touched++;
    bytes += inside;
  }
  return { bits: touched, bytes: BigInt(bytes) };
}

describe("count within a range", () => {
  it.each([
    ["the whole disk", 0, SIZE],
    ["one byte", 0, 1],
    ["a part of one granule", 100, 200],
    ["parts of two granules", 511, 2],
    ["whole granules", 512, 1024],
    ["the end of the dirt, and what is clean behind it", 4095 * 512 + 7, 600 * 512],
    ["what is clean", 4096 * 512, 4096 * 512],
    ["the last byte", SIZE - 1, 1],
    ["clean bits and a part of the last granule", 11_990 * 512, 9 * 512 + 12],
    ["nothing", 5000, 0],
  ])("%s", async (_, offset, length) => {
    const opened = await QdbFile.open(bytesSource(BYTES), { digests: ZLIB });
    const said: [number, number][] = [];
    const onProgress = (done: number, total: number): void => void said.push([done, total]);
    const within = { offset, length };
    expect(await opened.bitmap("a").count({ within, onProgress })).toEqual(counted(offset, length));
    for (const [done, total] of said) expect(done).toBeLessThanOrEqual(total);
    if (length > 0) expect(said.at(-1)?.[0]).toBe(said.at(-1)?.[1]);
  });

  it("refuses a range that leaves the disk", async () => {
    const opened = await QdbFile.open(bytesSource(BYTES), { digests: ZLIB });
    const count = opened.bitmap("a").count({ within: { offset: SIZE, length: 1 } });
    await expect(count).rejects.toMatchObject({ code: "USAGE" });
  });
});
