import { chmodSync, mkdirSync, rmSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import type { DiskStamp } from "@qdb/format";
import { encodeRecord } from "@qdb/format/container";
import { describe, expect, onTestFinished, test } from "vitest";
import { errorOf } from "../../format/test/contract/errors.ts";
import { diskState, lookAtDisk, requireSameDisk } from "../src/index.ts";
import { ioError, replaceInFs } from "./support/fake-fs.ts";
import { asOrdinaryUser, command, loopDevice, tinyFileSystem } from "./support/root.ts";
import { temporaryDirectory } from "./support/temp.ts";

/** A disk in a folder of its own, and what a bitmap says that was stored for it. */
function stampedDisk() {
  const directory = temporaryDirectory();
  chmodSync(directory, 0o755);
  const folder = join(directory, "folder");
  mkdirSync(folder);
  const disk = join(folder, "disk.raw");
  writeFileSync(disk, "a disk");
  return { folder, disk, bitmap: bitmapOf(disk, lookAtDisk(disk).diskStamp) };
}

const bitmapOf = (path: string, stamp: DiskStamp) => ({
  label: "b",
  records: [encodeRecord({ kind: "disk", text: path }), encodeRecord({ kind: "stamp", stamp })],
});

/** The state and the refusal of a disk that is there and cannot be looked at. */
async function expectUnreadable(bitmap: ReturnType<typeof bitmapOf>, disk: string, words: string): Promise<void> {
  const state = diskState(bitmap);
  const message = `cannot look at "${disk}": ${words}`;
  expect(state).toMatchObject({ kind: "unreadable", error: { code: "IO", message } });
  const error = await errorOf(() => requireSameDisk(bitmap));
  expect([error.code, error.where]).toEqual(["IO", { structure: "disk", bitmap: "b" }]);
  expect(error.message).toContain(message);
}

describe("a disk that cannot be looked at is not taken for unchanged", () => {
  test("a folder that this user may not search", async () => {
    const { folder, disk, bitmap } = stampedDisk();
    chmodSync(folder, 0o600);
    await asOrdinaryUser(() => expectUnreadable(bitmap, disk, "EACCES: permission denied"));
    chmodSync(folder, 0o700);
  });

  test("a loop of links, a file in the place of a folder, a name that is too long", async () => {
    const { folder, disk, bitmap } = stampedDisk();
    rmSync(disk);
    symlinkSync(disk, disk);
    await expectUnreadable(bitmap, disk, "ELOOP: too many symbolic links encountered");
    rmSync(folder, { recursive: true });
    writeFileSync(folder, "");
    await expectUnreadable(bitmap, disk, "ENOTDIR: not a directory");
    const long = `/${"x".repeat(300)}`;
    const [, stamp] = bitmap.records;
    const records = [encodeRecord({ kind: "disk", text: long }), ...(stamp === undefined ? [] : [stamp])];
    await expectUnreadable({ label: "b", records }, long, "ENAMETOOLONG: name too long");
  });

  test("an error of the device below", async () => {
    const { disk, bitmap } = stampedDisk();
    replaceInFs("statSync", () => () => {
      throw ioError();
    });
    await expectUnreadable(bitmap, disk, "EIO: i/o error");
  });

  test("a file that is longer than can be compared", async () => {
    const disk = join(tinyFileSystem(4096), "disk.raw");
    writeFileSync(disk, "");
    const bitmap = bitmapOf(disk, lookAtDisk(disk).diskStamp);
    command("truncate", `--size=${2 ** 53}`, disk);
    await expectUnreadable(
      bitmap,
      disk,
      `"${disk}" has 9007199254740992 bytes; 2^53 - 1 is the most that can be addressed`,
    );
  });
});

test("nothing that is there is missing: alone this is unknown, and no error", () => {
  const { folder, disk, bitmap } = stampedDisk();
  const expectMissing = (): void => {
    expect(diskState(bitmap)).toEqual({ kind: "missing" });
    requireSameDisk(bitmap);
  };
  rmSync(disk);
  expectMissing();
  symlinkSync(join(folder, "none"), disk);
  expectMissing();
  rmSync(folder, { recursive: true });
  expectMissing();
  const stamp = { length: 6n, mtime: 1n, file: 1n };
  for (const path of ["", "a\0b"]) expect(diskState(bitmapOf(path, stamp))).toEqual({ kind: "missing" });
  expect(diskState({ records: [encodeRecord({ kind: "stamp", stamp })] })).toEqual({ kind: "missing" });
});

describe("only an absolute path or a path that is given is looked at", () => {
  test.each(["disk.raw", "./disk.raw", "drive0", "file:disk.raw"])("the record %j is no absolute path", (text) => {
    const { folder, disk } = stampedDisk();
    const { diskStamp: stamp } = lookAtDisk(disk);
    // Another file is there for who takes the record for a path.
    const home = process.cwd();
    onTestFinished(() => process.chdir(home));
    process.chdir(folder);
    writeFileSync(text, "another disk");
    expect(diskState(bitmapOf(text, stamp))).toEqual({ kind: "missing" });
    requireSameDisk(bitmapOf(text, stamp));
  });

  test("a path that is given counts, whatever the record says", async () => {
    const { folder, disk, bitmap } = stampedDisk();
    const other = join(folder, "other.raw");
    writeFileSync(other, "a disk");
    expect(diskState(bitmap, other)).toEqual({ kind: "changed" });
    const error = await errorOf(() => requireSameDisk(bitmap, other));
    expect([error.code, error.message]).toEqual(["WRONG_DISK", expect.stringContaining(`"${other}" is another disk`)]);
    const [, stamp] = bitmap.records;
    const noPath = { label: "b", records: stamp === undefined ? [] : [stamp] };
    expect(diskState(noPath)).toEqual({ kind: "missing" });
    expect(diskState(noPath, disk)).toEqual({ kind: "same" });
    expect(diskState(noPath, other)).toEqual({ kind: "changed" });
    expect(diskState(bitmapOf("drive0", lookAtDisk(disk).diskStamp), relative(process.cwd(), disk))).toEqual({
      kind: "same",
    });
    expect(diskState(bitmap, join(folder, "none"))).toEqual({ kind: "missing" });
  });
});

test("what is no disk, a broken stamp and a disk that was written to are changed", async () => {
  const { folder, disk, bitmap } = stampedDisk();
  const [path] = bitmap.records;
  if (path === undefined) throw new Error("the bitmap has a record of its disk");
  const wrong = [
    bitmapOf(folder, lookAtDisk(disk).diskStamp),
    bitmapOf("/dev/null", lookAtDisk(disk).diskStamp),
    { label: "b", records: [path, { type: 2, data: new Uint8Array(23) }] },
  ];
  utimesSync(disk, 1, 1);
  for (const changed of [...wrong, bitmap]) {
    expect(diskState(changed)).toEqual({ kind: "changed" });
    const error = await errorOf(() => requireSameDisk(changed));
    expect([error.code, error.where]).toEqual(["WRONG_DISK", { structure: "disk", bitmap: "b" }]);
  }
  expect(diskState({ records: [path] })).toEqual({ kind: "unstamped" });
  expect(diskState({ records: undefined })).toEqual({ kind: "unstamped" });
});

test("of a block device only the length is compared: a write to it goes unseen, and the state says so", () => {
  const { disk } = stampedDisk();
  truncateSync(disk, 8192);
  const device = loopDevice(disk);
  const bitmap = bitmapOf(device, lookAtDisk(device).diskStamp);
  writeFileSync(device, Buffer.alloc(8192, 1));
  expect(diskState(bitmap)).toEqual({ kind: "same length" });
  requireSameDisk(bitmap);
  truncateSync(disk, 4096);
  command("losetup", "--set-capacity", device);
  expect(diskState(bitmap)).toEqual({ kind: "changed" });
});
