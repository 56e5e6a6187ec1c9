import { chmodSync, mkdirSync, rmSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type DiskStamp, encodeRecord } from "@qdb/format";
import { describe, expect, test } from "vitest";
import { diskState, lookAtDisk, requireSameDisk } from "../src/index.ts";
import { errorOf } from "./support/errors.ts";
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
  return { folder, disk, bitmap: bitmapOf(disk, lookAtDisk(disk).stamp) };
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
  expect([error.code, error.where.bitmap]).toEqual(["IO", "b"]);
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
    const bitmap = bitmapOf(disk, lookAtDisk(disk).stamp);
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

test("what is no disk, a broken stamp and a disk that was written to are changed", async () => {
  const { folder, disk, bitmap } = stampedDisk();
  const [path] = bitmap.records;
  if (path === undefined) throw new Error("the bitmap has a record of its disk");
  const wrong = [
    bitmapOf(folder, lookAtDisk(disk).stamp),
    bitmapOf("/dev/null", lookAtDisk(disk).stamp),
    { label: "b", records: [path, { type: 2, data: new Uint8Array(23) }] },
  ];
  utimesSync(disk, 1, 1);
  for (const changed of [...wrong, bitmap]) {
    expect(diskState(changed)).toEqual({ kind: "changed" });
    const error = await errorOf(() => requireSameDisk(changed));
    expect([error.code, error.where]).toEqual(["WRONG_DISK", { bitmap: "b" }]);
  }
  expect(diskState({ records: [path] })).toEqual({ kind: "unstamped" });
  expect(diskState({ records: undefined })).toEqual({ kind: "unstamped" });
});

test("of a block device only the length is compared: a write to it goes unseen, and the state says so", () => {
  const { disk } = stampedDisk();
  truncateSync(disk, 8192);
  const device = loopDevice(disk);
  const bitmap = bitmapOf(device, lookAtDisk(device).stamp);
  writeFileSync(device, Buffer.alloc(8192, 1));
  expect(diskState(bitmap)).toEqual({ kind: "same length" });
  requireSameDisk(bitmap);
  truncateSync(disk, 4096);
  command("losetup", "--set-capacity", device);
  expect(diskState(bitmap)).toEqual({ kind: "changed" });
});
