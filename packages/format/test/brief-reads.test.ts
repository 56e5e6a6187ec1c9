// Data that is only counted or checked goes through one buffer, if the source has `readIntoSync`: with the same results and errors.
import {
  Bitmap,
  type ByteRange,
  bytesSource,
  type CheckSummary,
  checkQdb,
  countAll,
  type Finding,
  QdbError,
  QdbFile,
  type SyncByteSource,
} from "@qdb/format";
import { imageBytes, writeImage } from "@qdb/format/container";
import { describe, expect, test } from "vitest";
import { plainContents } from "./support/contents.ts";
import { badSector } from "./support/sources.ts";

/** Bits of a few MiB, each byte of which is another one than its neighbours. */
function bits(seed: number): Bitmap {
  const bytes = new Uint8Array(3 * 2 ** 20 - 700).map((_, at) => (at * seed + (at >> 9)) & 255);
  return Bitmap.fromBytes(bytes, { size: BigInt(bytes.length) * 8n * 512n, granularity: 512 });
}

const bitmaps = [bits(3), bits(5), bits(7)];
const image = imageBytes(writeImage(plainContents(bitmaps)));
/** Somewhere in the data of the second bitmap. */
const MIDDLE = image.length >> 1;

interface IntoSource extends SyncByteSource {
  /** The buffers that were read into. */
  readonly buffers: Set<unknown>;
}

function intoSource(bytes: Uint8Array, bend: (range: ByteRange) => undefined = () => undefined): IntoSource {
  const buffers = new Set<unknown>();
  const { immutable: _, ...source } = bytesSource(bytes);
  return {
    ...source,
    buffers,
    readSync(offset, length) {
      bend({ offset, length });
      return source.readSync(offset, length).slice();
    },
    readIntoSync(offset, target) {
      buffers.add(target.buffer);
      // What a read that fails has left behind is not used.
      target.fill(255);
      bend({ offset, length: target.length });
      target.set(source.readSync(offset, target.length));
    },
  };
}

async function countsOf(source: SyncByteSource): Promise<unknown[]> {
  const file = await QdbFile.open(source);
  return (await countAll(file)).map(({ dirty, problem }) => dirty?.bits ?? problem?.code);
}

async function check(source: SyncByteSource): Promise<{ findings: Finding[]; summary: CheckSummary }> {
  const findings: Finding[] = [];
  const walk = checkQdb(source);
  for (;;) {
    const step = await walk.next();
    if (step.done === true) return { findings, summary: step.value };
    findings.push(step.value);
  }
}

const counted = bitmaps.map((bitmap) => bitmap.count());

describe("all data goes through one buffer of a MiB", () => {
  test("when it is counted", async () => {
    const source = intoSource(image);
    expect(await countsOf(source)).toEqual(counted);
    const [buffer, ...others] = source.buffers as Set<ArrayBuffer>;
    expect([buffer?.byteLength, others]).toEqual([2 ** 20, []]);
    const file = await QdbFile.open(source);
    expect((await file.bitmap("b1").count()).bits).toBe(counted[1]);
  });

  test("when it is checked", async () => {
    const source = intoSource(image);
    const { findings } = await check(source);
    expect(findings).toEqual((await check(bytesSource(image))).findings);
    const [buffer, ...others] = source.buffers as Set<ArrayBuffer>;
    expect([buffer?.byteLength, others]).toEqual([2 ** 20, []]);
  });
});

describe("damage is found", () => {
  const bent = image.slice();
  bent[MIDDLE] = (bent[MIDDLE] ?? 0) ^ 1;

  test("a cluster that does not match its checksum", async () => {
    expect(await countsOf(intoSource(bent))).toEqual([counted[0], "BAD_CHECKSUM", counted[2]]);
    const { findings } = await check(intoSource(bent));
    expect(findings).toEqual((await check(bytesSource(bent))).findings);
    expect(findings.map(({ code }) => code)).toEqual(["BAD_CHECKSUM"]);
  });

  test("a cluster that cannot be read: what is beside it is counted and checked", async () => {
    const source = (): SyncByteSource => intoSource(bent, badSector(MIDDLE + 20_000, 1));
    expect(await countsOf(source())).toEqual([counted[0], "IO", counted[2]]);
    const { findings } = await check(source());
    expect(findings.map(({ code }) => code)).toEqual(["BAD_CHECKSUM", "IO"]);
  });

  test("a source that reads nothing more", async () => {
    const source = intoSource(image, ({ offset, length }) => {
      if (offset + length > MIDDLE) throw new QdbError("SHORT_READ", "it ends");
    });
    expect(await countsOf(source)).toEqual([counted[0], "SHORT_READ", "SHORT_READ"]);
  });
});
