// The writer that reads bits as it stores them, beside the one whose bits are all in memory.
import { Bitmap, bytesSource } from "@qdb/format";
import {
  type BitSource,
  ClusterBits,
  type FileChunk,
  type FileContents,
  imageBytes,
  streamSync,
  writeImage,
} from "@qdb/format/container";
import { atGranularity, Counts, imagePlan, Spool, SpooledBits } from "@qdb/format/internal";
import { describe, expect, test } from "vitest";
import { errorOf } from "./contract/errors.ts";
import { fileContents, plainContents } from "./support/contents.ts";
import { fc, runs } from "./support/seed.ts";

const NOTHING = bytesSource(new Uint8Array(0));

/** Runs the plan to its end. Chunks are copied, since their bytes are valid until the next one. */
function written(contents: FileContents<Bitmap | BitSource>): {
  readonly bytes: Uint8Array;
  readonly chunks: FileChunk[];
} {
  const chunks: FileChunk[] = [];
  const plan = streamSync(imagePlan(contents), NOTHING);
  for (;;) {
    const step = plan.next();
    if (step.done === true) {
      const bytes = new Uint8Array(step.value);
      for (const chunk of chunks) bytes.set(chunk.bytes, chunk.offset);
      return { bytes, chunks };
    }
    chunks.push({ offset: step.value.offset, bytes: step.value.bytes.slice() });
  }
}

/** A temporary file in memory. */
function memoryFile(): { readonly bytes: Uint8Array; readonly spool: Spool } {
  const bytes = new Uint8Array(2 ** 24);
  const file = {
    writeSync: (offset: number, from: Uint8Array) => bytes.set(from, offset),
    readIntoSync: (offset: number, target: Uint8Array) => target.set(bytes.subarray(offset, offset + target.length)),
  };
  return { bytes, spool: new Spool(() => file) };
}

/** Contents whose bitmaps have the bits of a source. */
function withBits(contents: FileContents, bits: BitSource): FileContents<BitSource> {
  return { ...contents, bitmaps: contents.bitmaps.map((bitmap) => ({ ...bitmap, bits })) };
}

function spooled(spool: Spool, bits: Bitmap): SpooledBits {
  const copy = new SpooledBits(spool, bits);
  for (const { offset, length } of bits.extents()) copy.mark({ offset, length });
  return copy;
}

/** 12 MiB of bits: three times what a spool holds in memory. */
const LARGE = { size: 512 * 8 * 12 * 2 ** 20, granularity: 512 };

/** Bits all over the large bitmap: runs of pages, single bits, both sides of borders of pages. */
function largeBits(): Bitmap {
  const bits = Bitmap.clean(LARGE);
  bits.markBits({ first: 0, end: 2 ** 21 + 5 });
  for (let bit = 0; bit < bits.bitCount; bit += 99_991) bits.markBits({ first: bit, end: bit + 3 });
  bits.markBits({ first: bits.bitCount - 2 ** 20, end: bits.bitCount });
  return bits;
}

describe("a file whose bits are read as they are stored", () => {
  test("has the bytes of the one whose bits are in memory; its header comes last", () => {
    fc.assert(
      fc.property(fileContents, (contents) => {
        const { bytes, chunks } = written(contents);
        expect(Buffer.compare(bytes, imageBytes(writeImage(contents)))).toBe(0);
        expect(chunks.at(-1)?.offset).toBe(0);
        expect(chunks.filter(({ offset }) => offset === 0)).toHaveLength(1);
        const ends = chunks
          .map(({ offset, bytes: { length } }) => [offset, offset + length] as const)
          .sort((a, b) => a[0] - b[0]);
        for (const [at, [offset]] of ends.entries()) expect(offset).toBeGreaterThanOrEqual(ends[at - 1]?.[1] ?? 0);
      }),
      runs(100),
    );
  });

  test("has them with bits in a spool, of any cluster size, in full form and as a draft", () => {
    const bits = largeBits();
    const { spool } = memoryFile();
    const source = spooled(spool, bits);
    for (const form of ["full", "draft"] as const) {
      for (const clusterBits of [9, 12, 16, 21]) {
        const contents = plainContents([bits], { form, clusterBits, allOnes: form === "full" });
        const { bytes } = written(withBits(contents, source));
        const expected = imageBytes(writeImage(contents));
        expect(Buffer.compare(bytes, expected)).toBe(0);
      }
    }
  });

  test.each([512, 4096, 2 ** 21, 2 ** 31])("has them with bits at granules of %i bytes", (granularity) => {
    const shape = { size: 2 ** 40 + 12_345, granularity: 65_536 };
    const bits = Bitmap.clean(shape);
    for (let bit = 7; bit < bits.bitCount; bit += 77_777) bits.markBits({ first: bit, end: bit + 40 });
    const source = atGranularity(ClusterBits.of(bits, { clusterSize: 4096 }), granularity, false);
    const contents = plainContents([bits.regranulate(granularity)]);
    expect(Buffer.compare(written(withBits(contents, source)).bytes, imageBytes(writeImage(contents)))).toBe(0);
  });

  test("tells how many bits are dirty, and how far it is", () => {
    const bits = largeBits();
    const counts = new Counts(1);
    const told: number[] = [];
    const plan = imagePlan(plainContents([bits]), {
      visitorOf: (at) => counts.visitor(at, { first: 0, end: bits.bitCount }),
      onProgress: (done, total) => told.push(done / total),
    });
    for (const _ of streamSync(plan, NOTHING));
    expect(counts.total(bits, 0)).toEqual({ bits: bits.count(), bytes: bits.dirtyBytes() });
    expect(told).toHaveLength(12);
    expect(told.at(-1)).toBe(1);
  });
});

describe("a spool", () => {
  test("gives the bits that were marked, in whatever order", () => {
    const { spool } = memoryFile();
    const shape = { size: 512 * 8 * 6 * 2 ** 20 - 700, granularity: 512 };
    const model = Bitmap.clean(shape);
    const bits = new SpooledBits(spool, shape);
    const other = new SpooledBits(spool, { size: 512 * 40, granularity: 512 });
    other.markBits({ first: 3, end: 40 });
    for (let step = 0; step < 3000; step++) {
      // A step of the golden ratio: each mark is far from the one before it.
      const first = Math.floor(((step * 0.618_033_988) % 1) * model.bitCount);
      const end = Math.min(model.bitCount, first + (step % 50 === 0 ? 700_000 : step % 40));
      model.markBits({ first, end });
      bits.markBits({ first, end });
    }
    expect(bits.dirtyBytes()).toBe(model.dirtyBytes());
    expect(other.dirtyBytes()).toBe(37n * 512n);
    for (let at = 0; at < model.bitCount / 8; at += 65_536)
      expect(Buffer.compare(bits.viewAt(at, 65_536), model.bytesAt(at, 65_536))).toBe(0);
  });

  test("that has other bytes than were written to it is an error", async () => {
    const { bytes, spool } = memoryFile();
    const bits = spooled(spool, largeBits());
    const changed = bytes.findIndex((byte) => byte !== 0);
    expect(changed).toBeGreaterThanOrEqual(0);
    bytes[changed] = (bytes[changed] ?? 0) ^ 1;
    expect((await errorOf(() => bits.dirtyBytes())).code).toBe("IO");
  });

  test("needs no file for bits that fit in memory", () => {
    const spool = new Spool(() => {
      throw new Error("a file was opened");
    });
    const bits = new SpooledBits(spool, { size: 512 * 8 * 2 ** 22, granularity: 512 });
    for (let bit = 0; bit < bits.bitCount; bit += 1000) bits.markBits({ first: bit, end: bit + 1 });
    expect(bits.dirtyBytes()).toBe(BigInt(Math.ceil(bits.bitCount / 1000)) * 512n);
  });
});
