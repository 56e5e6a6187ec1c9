import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Bitmap } from "@qdb/format";
import { encodeRecord } from "@qdb/format/container";
import { beforeEach, describe, expect, test } from "vitest";
import { errorOf } from "../../format/test/contract/errors.ts";
import { settledStatus } from "../src/disk/settled-status.ts";
import { copyExtents, diffImages, diskState, lookAtDisk } from "../src/index.ts";
import type { FileStatus } from "../src/system/file-status.ts";
import { coarseFileSystem } from "./support/root.ts";

const write = (path: string, text: string): void => writeFileSync(path, text, { flag: "r+" });

describe("two writes in one second of a file system that knows no shorter times", () => {
  let disk: string;
  let other: string;
  beforeEach(async () => {
    const directory = coarseFileSystem();
    [disk, other] = [join(directory, "disk"), join(directory, "other")];
    for (const path of [disk, other]) writeFileSync(path, Buffer.alloc(4096));
    // The writes of a test are to be in the same second. The clock of the file system is some milliseconds behind.
    await new Promise((resolve) => setTimeout(resolve, 1050 - (Date.now() % 1000)));
    write(disk, "old");
    expect(statSync(disk, { bigint: true }).mtimeNs % 1_000_000_000n).toBe(0n);
  });

  test("a write right after a disk was stamped is a difference", () => {
    const { disk: path, diskStamp: stamp } = lookAtDisk(disk);
    write(disk, "new");
    const records = [encodeRecord({ kind: "disk", text: path }), encodeRecord({ kind: "stamp", stamp })];
    expect(diskState({ records })).toEqual({ kind: "changed" });
  });

  test("a write right after the source of a copy was opened is seen", async () => {
    const extents = async (): Promise<Bitmap> => {
      write(disk, "new");
      return Bitmap.clean({ size: 4096n, granularity: 512 });
    };
    expect((await errorOf(() => copyExtents(extents, disk, other))).code).toBe("SOURCE_CHANGED");
  });

  test("a write while images are compared is seen", async () => {
    const onProgress = (): void => write(disk, "new");
    expect((await errorOf(() => diffImages(other, disk, { granularity: 512, onProgress }))).code).toBe(
      "SOURCE_CHANGED",
    );
  });
});

describe("what is waited for", () => {
  const file = (mtimeNs: bigint): FileStatus => ({ kind: "file", size: 1n, mtimeNs, file: 1n, key: "file 1 1" });
  const nowNs = (): bigint => BigInt(Date.now()) * 1_000_000n;
  /** Milliseconds that it took, and times that it was looked at. */
  function timed(look: () => FileStatus): { readonly ms: number; readonly looks: number; readonly isSettled: boolean } {
    let looks = 0;
    const start = performance.now();
    const { isSettled } = settledStatus(() => {
      looks++;
      return look();
    });
    return { ms: performance.now() - start, looks, isSettled };
  }

  test("nothing, for a file that was left alone, one of the future and a device", () => {
    for (const status of [
      file(0n),
      file(nowNs() - 5_000_000_000n),
      file(nowNs() + 3_600_000_000_000n),
      { ...file(nowNs() + 1n), kind: "block" } as const,
    ]) {
      expect(timed(() => status)).toMatchObject({ looks: 1, isSettled: true });
    }
  });

  test("a tick of the clock, and seconds where times are whole seconds", () => {
    const recent = file(nowNs() + 1n);
    const short = timed(() => recent);
    expect(short).toMatchObject({ looks: 2, isSettled: true });
    expect(short.ms).toBeGreaterThanOrEqual(20);
    const coarse = file((nowNs() / 1_000_000_000n) * 1_000_000_000n);
    const long = timed(() => coarse);
    expect(long).toMatchObject({ looks: 2, isSettled: true });
    expect(long.ms).toBeGreaterThanOrEqual(1000);
  });

  test("not for ever, where a file is written to all the time", () => {
    expect(timed(() => file(nowNs() + 1n))).toMatchObject({ looks: 4, isSettled: false });
  });
});
