// What an open image gives out, in parts and by the names of its bitmaps, while it changes or not.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bytesSource, type Finding, type SyncByteSource } from "@qdb/format";
import { type Clock, countPlan, type Plan, put, readRange } from "@qdb/format/container";
import { checkQcow2, dumpQcow2, Qcow2File, type Qcow2Index } from "@qdb/qcow2";
import { afterAll, beforeAll, expect, test } from "vitest";
import { requirePeers } from "../../cli/test/peers.ts";
import { makeSmallImage, Patchable } from "./small-image.ts";

let directory: string;
let small: Uint8Array;
beforeAll(() => {
  requirePeers("qemu-img", "qemu-io");
  directory = mkdtempSync(join(tmpdir(), "qdb-qcow2-"));
  small = makeSmallImage(directory);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** An image that another program changes. */
function changing(bytes: Uint8Array): SyncByteSource & { bytes: Uint8Array } {
  return {
    bytes,
    size: bytes.length,
    refresh: () => undefined,
    readSync(offset, length) {
      return this.bytes.slice(offset, offset + length);
    },
  };
}

/** A clock that only pauses move. */
function quickClock(): Clock {
  let now = 0;
  return {
    now: () => now,
    wait: async (ms) => {
      now += ms;
    },
  };
}

/** Puts out the first bytes of the directory entries, one after the other. */
function* flags({ bitmaps }: Qcow2Index): Plan<number, number> {
  for (const { fileOffset } of bitmaps) yield* put((yield* readRange(fileOffset + 15, 1))[0] ?? -1);
  return bitmaps.length;
}

/** The same image after a program has taken it into use. */
const inUse = (): Uint8Array => new Patchable(small).entry("fine", { flags: 3 }).bytes;

test("a stream starts over as long as nothing of it was yielded, and fails after that", async () => {
  for (const holdBytes of [100, 0]) {
    const source = changing(small);
    const file = await Qcow2File.open(source, { clock: quickClock() });
    const plan = function* (index: Qcow2Index): Plan<number, number> {
      const count = yield* flags(index);
      // The image changes while the plan runs, once.
      source.bytes = inUse();
      return count;
    };
    const values = file.stream(plan, () => 1, { holdBytes });
    const found: number[] = [];
    const read = async (): Promise<number> => {
      for (;;) {
        const step = await values.next();
        if (step.done === true) return step.value;
        found.push(step.value);
      }
    };
    if (holdBytes === 0) {
      await expect(read()).rejects.toMatchObject({ code: "SOURCE_CHANGED" });
      // `auto` of the two that are enabled.
      expect(found).toEqual([2, 2, 0]);
      await expect(file.run(({ bitmaps }) => countPlan(bitmaps[1]!.map()))).rejects.toMatchObject({
        code: "SOURCE_CHANGED",
      });
    } else {
      expect(await read()).toBe(3);
      expect(found).toEqual([3, 2, 0]);
    }
  }
});

test("a bitmap is read by its name; when the image changes, by the same name", async () => {
  const source = changing(small);
  const file = await Qcow2File.open(source, { clock: quickClock() });
  const bits = file.bitsReader("coarse");
  expect(bits.shape).toEqual({ size: 8388096n, granularity: 65536 });
  source.bytes = new Patchable(small).rename("fine", Buffer.from("what")).bytes;
  // 0, 3 MiB, 5 MiB and the last sector, in granules of 64 KiB, of which the last one is a sector short.
  expect(await bits.run(countPlan, {})).toEqual({ bits: 4, bytes: 4n * 65536n - 512n });
  expect(() => file.bitsReader("fine")).toThrow(expect.objectContaining({ code: "NOT_FOUND" }));
  expect(file.bitsReader("what").shape.granularity).toBe(512);
});

test("a bitmap of which it is not known what it is has no reader", async () => {
  const image = new Patchable(small).entry("fine", { granularityBits: 255 });
  const file = await Qcow2File.open(bytesSource(image.bytes));
  expect(() => file.bitsReader("fine")).toThrow(expect.objectContaining({ code: "BAD_FIELD" }));
});

test("a check of an image that changes meanwhile is of one state", async () => {
  const source = changing(small);
  let reads = 0;
  const counted: SyncByteSource = {
    ...source,
    readSync(offset, length) {
      // Not while the image is opened, which reads the same again.
      if (++reads === 12) source.bytes = inUse();
      return source.readSync(offset, length);
    },
  };
  const codes: string[] = [];
  const findings = checkQcow2(counted, { clock: quickClock() });
  let step: IteratorResult<Finding, unknown> = await findings.next();
  for (; step.done !== true; step = await findings.next()) codes.push(step.value.code);
  expect(reads).toBeGreaterThan(12);
  expect(codes).toEqual(["INCONSISTENT"]);
});

test("a dump without SHA-256 has no digests", async () => {
  const file = await Qcow2File.open(bytesSource(small));
  let text = "";
  for await (const piece of dumpQcow2(file)) text += piece;
  const { bitmaps } = JSON.parse(text);
  expect(bitmaps.map(({ name, bits_sha256: digest }: Record<string, unknown>) => [name, digest])).toEqual([
    ["fine", undefined],
    ["coarse", undefined],
    ["idle", undefined],
  ]);
});
