import { appendFileSync, readFileSync, renameSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DiskStamp } from "@qdb/format";
import { crc32, encodeRecord, toHex } from "@qdb/format/container";
import { describe, expect, test } from "vitest";
import { errorOf } from "../../format/test/contract/errors.ts";
import { detectForeignImage, diskState, lookAtDisk, nodeDigests, openFileSource } from "../src/index.ts";
import { pattern } from "./support/images.ts";
import { command, loopDevice } from "./support/root.ts";
import { temporaryDirectory } from "./support/temp.ts";

function image(bytes: Uint8Array | string = pattern(4096)): string {
  const path = join(temporaryDirectory(), "disk.raw");
  writeFileSync(path, bytes);
  return path;
}

describe("a block device", () => {
  test("has the size that blockdev tells, on a device of its own", () => {
    const device = loopDevice(image(new Uint8Array(3 * 2 ** 20 + 512)));
    const told = Number(command("blockdev", "--getsize64", device));
    expect(told).toBe(3 * 2 ** 20 + 512);
    const source = openFileSource(device);
    expect(source.size).toBe(told);
    expect(source.identity()).toMatchObject({ kind: "block", size: BigInt(told) });
    source.close();
    expect(statSync(device).size).toBe(0);
  });

  test("that shrinks gives SHORT_READ, and its new size after a refresh", async () => {
    const file = image(pattern(2 ** 20));
    const device = loopDevice(file);
    const source = openFileSource(device);
    truncateSync(file, 2 ** 19);
    command("losetup", "--set-capacity", device);
    expect((await errorOf(() => source.readSync(2 ** 19, 512))).code).toBe("SHORT_READ");
    source.refresh();
    expect(source.size).toBe(2 ** 19);
    source.close();
  });
});

/** What a bitmap says that was stored for a disk. */
const bitmapOf = (stamp: DiskStamp, path: string) => ({
  label: "b",
  records: [encodeRecord({ kind: "disk", text: path }), encodeRecord({ kind: "stamp", stamp })],
});

describe("the stamp of a disk", () => {
  const stateOf = (stamp: DiskStamp, path: string) => diskState(bitmapOf(stamp, path)).kind;

  test("is length, mtime in ns and inode, as stat(1) prints them", () => {
    const path = image();
    const [length, mtime, file] = command("stat", "--format=%s %.9Y %i", path).split(" ");
    expect(lookAtDisk(path).diskStamp).toEqual({
      length: BigInt(length ?? ""),
      mtime: BigInt((mtime ?? "").replace(".", "")),
      file: BigInt(file ?? ""),
    });
    expect(stateOf(lookAtDisk(path).diskStamp, path)).toBe("same");
  });

  test("differs when the disk grew, was touched by one nanosecond, or is another file with the same bytes", () => {
    const path = image();
    const stamp = lookAtDisk(path).diskStamp;
    expect(stateOf({ ...stamp, length: stamp.length + 1n }, path)).toBe("changed");
    expect(stateOf({ ...stamp, mtime: stamp.mtime - 1n }, path)).toBe("changed");
    expect(stateOf({ ...stamp, file: stamp.file + 1n }, path)).toBe("changed");
    const copy = image();
    command("touch", "--reference", path, copy);
    renameSync(copy, path);
    expect(lookAtDisk(path).diskStamp.mtime).toBe(stamp.mtime);
    expect(stateOf(stamp, path)).toBe("changed");
    appendFileSync(path, "more");
    command("touch", "--date=@-1.5", path);
    expect(lookAtDisk(path).diskStamp).toMatchObject({ length: 4100n, mtime: -1_500_000_000n });
  });

  test("of a block device is its length alone; a file in its place is a difference, and the reverse", () => {
    const path = image();
    const device = loopDevice(path);
    expect(lookAtDisk(device).diskStamp).toEqual({ length: 4096n, mtime: 0n, file: 0n });
    expect(stateOf(lookAtDisk(device).diskStamp, device)).toBe("same length");
    expect(stateOf(lookAtDisk(device).diskStamp, path)).toBe("changed");
    expect(stateOf(lookAtDisk(path).diskStamp, device)).toBe("changed");
  });

  test("cannot be had of what is no disk", async () => {
    expect((await errorOf(() => lookAtDisk(join(image(), "no")))).code).toBe("NOT_FOUND");
    expect((await errorOf(() => lookAtDisk(temporaryDirectory()))).code).toBe("USAGE");
  });
});

describe("images of other formats", () => {
  test.each([
    ["qcow2", "qcow2"],
    ["vmdk", "VMDK"],
    ["vhdx", "VHDX"],
    ["vdi", "VDI"],
    ["vpc", "VHD"],
    ["qed", "QED"],
    ["parallels", "parallels"],
  ])("%s, as qemu-img makes it", (format, name) => {
    const path = join(temporaryDirectory(), "disk");
    command("qemu-img", "create", "-q", "-f", format, path, "16M");
    expect(detectForeignImage(path)).toBe(name);
  });

  test("a VHD of fixed size, whose magic is at its end; a VMDK that is a description", () => {
    const directory = temporaryDirectory();
    command("qemu-img", "create", "-q", "-f", "vpc", "-o", "subformat=fixed", join(directory, "fixed"), "4M");
    expect(detectForeignImage(join(directory, "fixed"))).toBe("VHD");
    command(
      "qemu-img",
      "create",
      "-q",
      "-f",
      "vmdk",
      "-o",
      "subformat=monolithicFlat",
      join(directory, "flat.vmdk"),
      "4M",
    );
    expect(detectForeignImage(join(directory, "flat.vmdk"))).toBe("VMDK");
  });

  test("magics that qemu-img makes no more: COWD, old parallels, a footer of 511 bytes", () => {
    expect(detectForeignImage(image("COWD"))).toBe("VMDK");
    expect(detectForeignImage(image("WithoutFreeSpace"))).toBe("parallels");
    expect(detectForeignImage(image(`${"x".repeat(1000)}conectix${"x".repeat(503)}`))).toBe("VHD");
  });

  test("a raw disk is none, however short", () => {
    for (const bytes of ["", "Q", "QFI", pattern(67), pattern(511), pattern(512), pattern(2 ** 20)]) {
      expect(detectForeignImage(image(bytes))).toBeUndefined();
    }
    const raw = join(temporaryDirectory(), "raw");
    command("qemu-img", "create", "-q", "-f", "raw", raw, "16M");
    expect(detectForeignImage(raw)).toBeUndefined();
    expect(readFileSync(raw)).toHaveLength(2 ** 24);
  });
});

describe("digests", () => {
  const check = new TextEncoder().encode("123456789");

  test("crc32 is the one of the format, whole and in pieces", () => {
    expect(nodeDigests.crc32?.(check)).toBe(0xcbf43926);
    expect(nodeDigests.crc32?.(check.subarray(4), nodeDigests.crc32(check.subarray(0, 4)))).toBe(0xcbf43926);
    const long = pattern(100_003);
    expect(nodeDigests.crc32?.(long)).toBe(crc32(long));
  });

  test("sha256 is the one of sha256sum", () => {
    const path = image(pattern(70_000));
    const hash = nodeDigests.sha256?.();
    hash?.update(pattern(70_000).subarray(0, 1));
    hash?.update(pattern(70_000).subarray(1));
    expect(hash?.hex()).toBe(command("sha256sum", path).split(" ")[0]);
    expect(toHex(Uint8Array.of(0xe3))).toBe(nodeDigests.sha256?.().hex().slice(0, 2));
  });
});
