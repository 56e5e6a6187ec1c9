// What a Blob promises its reader, in Node and in a page.
import { Bitmap, readBitmap } from "@qdb/format";
import { BlobSource, openQdb } from "@qdb/io-web";
import { describe, expect, test } from "vitest";
import { errorOf } from "../../../format/test/contract/errors.ts";
import { readingContract } from "../../../format/test/contract/reading.ts";
import { fileAt, memoryHost } from "../../../format/test/support/memory-host.ts";
import { fileBytes } from "../support/file-bytes.ts";

const BYTES = Uint8Array.from({ length: 10_000 }, (_, at) => at * 7);

export function blobContract(): void {
  describe("openQdb", () =>
    readingContract({
      ...memoryHost((store) => store),
      open: (place, options) => openQdb(new Blob([fileAt(place).bytes as Uint8Array<ArrayBuffer>]), options),
      afterCommit: "old",
      canBeMissing: false,
    }));

  test("a File is a QDB file", async () => {
    const bits = Bitmap.clean({ size: 2n ** 30n, granularity: 512 });
    bits.mark({ offset: 512, length: 1024 });
    const file = await openQdb(new File([fileBytes({ bitmaps: [{ name: "a", bits }] })], "a.qdb"));
    expect([...(await readBitmap(file.bitmap("a"))).extents()]).toEqual([{ offset: 512n, length: 1024n }]);
  });

  test("reads are exact", async () => {
    const source = new BlobSource(new Blob([BYTES]));
    expect(source.size).toBe(10_000);
    expect(await source.read(1000, 50)).toEqual(BYTES.slice(1000, 1050));
    expect(await source.read(10_000, 0)).toEqual(new Uint8Array(0));
    const ranges = [
      { offset: 9_000, length: 1000 },
      { offset: 0, length: 0 },
      { offset: 5, length: 1 },
      { offset: 9_100, length: 10 },
    ];
    expect(await source.readMany(ranges)).toEqual(
      ranges.map(({ offset, length }) => BYTES.slice(offset, offset + length)),
    );
  });

  test.each([
    [9_999, 2],
    [-10, 5],
    [0, Number.NaN],
    [5, -1],
  ])("%i+%i is outside: SHORT_READ", async (offset, length) => {
    const source = new BlobSource(new Blob([BYTES]));
    expect((await errorOf(() => source.read(offset, length))).code).toBe("SHORT_READ");
    const ranges = [
      { offset: 0, length: 1 },
      { offset, length },
    ];
    expect((await errorOf(() => source.readMany(ranges))).code).toBe("SHORT_READ");
  });

  test("a Blob that gives fewer bytes than it has is SHORT_READ", async () => {
    const short = { size: 100, slice: () => ({ arrayBuffer: async () => new ArrayBuffer(3) }) } as unknown as Blob;
    expect((await errorOf(() => new BlobSource(short).read(0, 4))).code).toBe("SHORT_READ");
  });

  describe("reads from front to back", () => {
    /** A Blob of bytes that change when the test changes them; `slices` are the ranges that were read, of which those that touch `bad` fail. */
    const changing = () => {
      const state = { bytes: BYTES.slice(), slices: [] as [number, number][], bad: -1 };
      const slice = (start: number, end: number) => ({
        arrayBuffer: async () => {
          state.slices.push([start, end]);
          if (start <= state.bad && state.bad < end) throw new DOMException("bad sector", "NotReadableError");
          return state.bytes.slice(start, end).buffer;
        },
      });
      return { state, source: new BlobSource({ size: BYTES.length, slice } as unknown as Blob) };
    };

    test.each([1, 7, 64, 1000, 4999])("of %i bytes are exact, in fewer reads of the Blob", async (length) => {
      const { state, source } = changing();
      for (let at = 0; at < BYTES.length; at += length) {
        const end = Math.min(at + length, BYTES.length);
        expect(await source.read(at, end - at)).toEqual(BYTES.slice(at, end));
      }
      // Each part is twice as long as the one before.
      expect(state.slices.length).toBeLessThanOrEqual(2 + Math.log2(BYTES.length / length));
    });

    test("and of any other kind are exact, side by side too", async () => {
      const { source } = changing();
      const reads: Promise<void>[] = [];
      for (let at = 0, step = 1; step < 500; step++) {
        const length = (step * 37) % 190;
        const expected = BYTES.slice(at, at + length);
        reads.push(source.read(at, length).then((bytes) => expect(bytes).toEqual(expected)));
        at += length;
        if (step % 5 === 0) await reads[step - 1];
        if (step % 11 === 0 || at > BYTES.length - 200) at = (step * 101) % 5000;
      }
      await Promise.all(reads);
    });

    test("give no bytes that are older than the last read that was of another kind", async () => {
      const { state, source } = changing();
      for (const at of [0, 100, 200]) await source.read(at, 100);
      expect(state.slices.at(-1)?.[1]).toBeGreaterThan(400);
      state.bytes.fill(9);
      await source.read(0, 100);
      for (const at of [100, 200, 300]) expect(await source.read(at, 100)).toEqual(new Uint8Array(100).fill(9));
    });

    test("fail only if their own bytes cannot be read", async () => {
      const { state, source } = changing();
      state.bad = 555;
      for (let at = 0; at < 1500; at += 100) {
        const error = at === 500 ? await errorOf(() => source.read(at, 100)) : undefined;
        if (error === undefined) expect(await source.read(at, 100)).toEqual(BYTES.slice(at, at + 100));
        else expect([error.code, error.message]).toEqual(["IO", expect.stringMatching(/^100 bytes at offset 500 /)]);
      }
    });
  });

  test("a closed source is not read", async () => {
    const source = new BlobSource(new Blob([BYTES]));
    source.close();
    expect((await errorOf(() => source.read(0, 1))).code).toBe("USAGE");
    expect((await errorOf(() => source.readMany([]))).code).toBe("USAGE");
  });
}
