import { Bitmap, readRawBits } from "@qdb/format";
import { describe, expect, test } from "vitest";

/** 1001 bits: 0, 7, 8, 500 to 599 and the last one. */
const BITS = [0, 7, 8, ...Array.from({ length: 100 }, (_, index) => 500 + index), 1000];
const SHAPE = { size: 1000 * 4096 + 512, granularity: 4096 };

function bytesOf(bits: readonly number[], length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (const bit of bits) bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (1 << (bit & 7));
  return bytes;
}

function parts(bytes: Uint8Array, length: number): Uint8Array[] {
  return Array.from({ length: Math.ceil(bytes.length / length) }, (_, index) =>
    bytes.subarray(index * length, (index + 1) * length),
  );
}

test("bits in any pieces are the bitmap they mean, least significant bit first", async () => {
  const bytes = bytesOf(BITS, 126);
  for (const length of [1, 2, 3, 4, 5, 63, 64, 125, 126, 1000]) {
    const bitmap = await readRawBits(parts(bytes, length), SHAPE);
    expect([...bitmap.extents()]).toEqual([
      { offset: 0n, length: 4096n },
      { offset: 7n * 4096n, length: 2n * 4096n },
      { offset: 500n * 4096n, length: 100n * 4096n },
      { offset: 1000n * 4096n, length: 512n },
    ]);
  }
  expect((await readRawBits(bytes, SHAPE)).count()).toBe(BITS.length);
});

test("bits past the last one are ignored", async () => {
  const bytes = bytesOf([...BITS, 1001, 1007], 126);
  expect([...(await readRawBits(bytes, SHAPE)).toBytes()]).toEqual([...bytesOf(BITS, 126)]);
});

test("more than a block of bits, from chunks that do not fit in it", async () => {
  const length = 300_001;
  const bytes = Uint8Array.from({ length }, (_, index) => (index * 7 + (index >> 8)) & 0xff);
  const shape = { size: BigInt(length) * 8n * 512n, granularity: 512 };
  for (const piece of [1000, 65536, 65537, length]) {
    const bitmap = await readRawBits(parts(bytes, piece), shape);
    expect(Buffer.compare(bitmap.toBytes(), bytes)).toBe(0);
  }
});

test("a disk of 0 bytes has no bits", async () => {
  expect((await readRawBits([], { size: 0, granularity: 512 })).bitCount).toBe(0);
  expect((await readRawBits(new Uint8Array(), { size: 0n, granularity: 512 })).bitCount).toBe(0);
});

describe("what is refused", () => {
  test.each([
    ["no byte", [0], 0],
    ["a byte too few", [125], 125],
    ["a byte too many", [127], 126],
    ["a byte too many after the right ones", [126, 1], 126],
  ])("%s", async (_, lengths, offset) => {
    const chunks = lengths.map((length) => new Uint8Array(length));
    await expect(readRawBits(chunks, SHAPE)).rejects.toMatchObject({
      code: "SIZE_MISMATCH",
      where: { structure: "raw bits", offset },
      message: expect.stringContaining("take 126;"),
    });
  });

  test("a shape that the format does not allow", async () => {
    const given = (size: number | bigint, granularity: number) => readRawBits([], { size, granularity });
    await expect(given(4096, 1000)).rejects.toMatchObject({ code: "USAGE" });
    await expect(given(Number.NaN, 512)).rejects.toMatchObject({ code: "USAGE" });
    await expect(given(2n ** 62n, 512)).rejects.toMatchObject({ code: "LIMIT" });
  });

  test("text, and an aborted signal", async () => {
    await expect(readRawBits("bits" as never, SHAPE)).rejects.toMatchObject({ code: "USAGE" });
    const signal = AbortSignal.abort();
    await expect(readRawBits(new Uint8Array(126), SHAPE, { signal })).rejects.toMatchObject({ code: "ABORTED" });
  });
});

test("progress is told in bytes, and the input may be asynchronous", async () => {
  async function* slow(): AsyncGenerator<Uint8Array, void> {
    for (const part of parts(bytesOf(BITS, 126), 50)) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      yield part;
    }
  }
  const told: number[] = [];
  const bitmap = await readRawBits(slow(), SHAPE, { onProgress: (done) => void told.push(done) });
  expect(bitmap.equals(Bitmap.fromBytes(bytesOf(BITS, 126), SHAPE))).toBe(true);
  expect(told).toEqual([50, 100, 126, 126]);
});
