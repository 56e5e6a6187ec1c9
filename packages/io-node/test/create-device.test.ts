import { closeSync, constants, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { FileImage } from "@qdb/format/container";
import { describe, expect, test } from "vitest";
import { errorOf } from "../../format/test/contract/errors.ts";
import { createFile, createFileBy, type NewFile } from "../src/container.ts";
import { bytesOf, fullImage, headerArea, imageOf, pattern } from "./support/images.ts";
import { loopDevice } from "./support/root.ts";
import { traced } from "./support/strace.ts";
import { temporaryDirectory } from "./support/temp.ts";

const MIRRORS = Array.from({ length: 10 }, (_, index) => 2 ** (12 + index));

/** A device full of bytes that are not zero, with an old header wherever a mirror can be. */
function oldDevice(length: number): { readonly device: string; readonly before: Uint8Array } {
  const before = pattern(length, 99);
  for (const offset of MIRRORS)
    before.set(headerArea().subarray(0, Math.max(0, length - offset)), Math.min(offset, length));
  return { device: deviceOf(before), before };
}

function deviceOf(bytes: Uint8Array): string {
  const file = join(temporaryDirectory(), "disk");
  writeFileSync(file, bytes);
  return loopDevice(file);
}

/** What a device must hold then: the image, zeros at every mirror's place behind it, and what was there before. */
function expected(before: Uint8Array, image: FileImage): Uint8Array {
  const after = before.slice();
  for (const offset of MIRRORS) after.fill(0, offset, offset + 4096);
  after.set(bytesOf(image));
  return after;
}

const draft = imageOf(2048, { offset: 0, bytes: headerArea(512) }, { offset: 1024, bytes: pattern(700, 5) });

const long = imageOf(16384, { offset: 0, bytes: headerArea(10_000) }, { offset: 12288, bytes: pattern(100, 6) });

describe("a file on a block device", () => {
  test.each([
    ["a full file", fullImage(), 4 * 2 ** 20],
    ["a draft file, smaller than a header area", draft, 4 * 2 ** 20],
    ["a device that ends before the last mirror's place", fullImage(), 2 ** 20],
    ["a device that ends inside a mirror's place", draft, 2 ** 17 + 2048],
    ["an image whose first chunk is more than the header", long, 2 ** 20],
    ["an image as long as the device", fullImage(), 40960],
  ])("%s: older bytes shine through nowhere", async (_name, image, length) => {
    const { device, before } = oldDevice(length);
    await createFile(device, image);
    expect(Buffer.compare(readFileSync(device), expected(before, image))).toBe(0);
  });

  test("mirrors are zeroed first, the header is written last, by one write", () => {
    const { device } = oldDevice(2 ** 18);
    const { code, calls } = traced("create-script.ts", device);
    expect(code).toBe("created");
    expect(calls).toEqual([
      "open target O_RDWR|O_EXCL",
      "pread64 target 4@0",
      ...[12, 13, 14, 15, 16, 17].map((bits) => `pwrite64 target 4096@${2 ** bits}`),
      "fsync target",
      "pwrite64 target 4096@4096",
      "pwrite64 target 5000@8192",
      "pwrite64 target 4096@28672",
      "pwrite64 target 15480@13192",
      "pwrite64 target 8192@32768",
      "fsync target",
      "pwrite64 target 4096@0",
      "fsync target",
      "close target",
    ]);
  });
});

describe("a device is left as it was", () => {
  test.each([
    ["it is smaller than the image", "LIMIT", () => pattern(40960 - 512)],
    ["it begins with a QDB file", "ALREADY_EXISTS", () => bytesOf(fullImage())],
  ])("when %s", async (_name, code, make) => {
    const before = make();
    const device = deviceOf(before);
    expect((await errorOf(() => createFile(device, fullImage()))).code).toBe(code);
    expect(Buffer.compare(readFileSync(device), before)).toBe(0);
  });

  test("when something else has it", async () => {
    const { device, before } = oldDevice(2 ** 17);
    const fd = openSync(device, constants.O_RDONLY | constants.O_EXCL);
    try {
      expect((await errorOf(() => createFile(device, fullImage()))).code).toBe("LOCKED");
    } finally {
      closeSync(fd);
    }
    expect(Buffer.compare(readFileSync(device), before)).toBe(0);
  });

  test("when the image throws while it is only looked at", async () => {
    const { device, before } = oldDevice(2 ** 17);
    const broken: FileImage = {
      length: 40_960,
      *chunks() {
        yield { offset: 0, bytes: headerArea() };
        throw new RangeError("no more");
      },
    };
    await expect(createFile(device, broken)).rejects.toThrow(RangeError);
    expect(Buffer.compare(readFileSync(device), before)).toBe(0);
  });

  test("when the call is aborted before it begins", async () => {
    const { device, before } = oldDevice(2 ** 17);
    const error = await errorOf(() => createFile(device, fullImage(), { signal: AbortSignal.abort() }));
    expect(error.code).toBe("ABORTED");
    expect(Buffer.compare(readFileSync(device), before)).toBe(0);
  });
});

describe("after a failure no header is left, neither new nor old", () => {
  const isCleared = (device: string): boolean => {
    const bytes = readFileSync(device);
    return [0, ...MIRRORS].every((offset) => bytes.subarray(offset, offset + 4096).every((byte) => byte === 0));
  };

  test.each([
    "fsync:error=EIO:when=1",
    "pwrite64:error=EIO:when=1",
    "pwrite64:error=EIO:when=12",
    "fsync:error=EIO:when=2",
    "pwrite64:error=EIO:when=16",
    "fsync:error=EIO:when=3",
  ])("%s", (fault) => {
    const { device } = oldDevice(4 * 2 ** 20);
    const { code, message } = traced("create-script.ts", device, { inject: [fault] });
    expect({ code, message }).toEqual({ code: "IO", message: expect.stringContaining("EIO: i/o error") });
    expect(isCleared(device)).toBe(true);
  });

  test("and when it cannot be cleared, the message says so", () => {
    const { device } = oldDevice(4 * 2 ** 20);
    const { code, message } = traced("create-script.ts", device, { inject: ["fsync:error=EIO:when=2+"] });
    expect(code).toBe("IO");
    expect(message).toContain(`; then "${device}" could not be cleared`);
  });

  test("aborted, or an image that throws", async () => {
    const { device } = oldDevice(4 * 2 ** 20);
    let times = 0;
    const broken: FileImage = {
      length: 2 ** 20,
      *chunks() {
        yield { offset: 0, bytes: headerArea() };
        yield { offset: 4096, bytes: headerArea() };
        // The first time, it is only looked at what will be written.
        if (++times === 2) throw new RangeError("no more");
      },
    };
    await expect(createFile(device, broken)).rejects.toThrow(RangeError);
    expect(isCleared(device)).toBe(true);
  });

  test.each([
    ["writes", 36_864, 4097],
    ["gets a length", 36_864, 4096],
  ])("a file that %s past the end that it had the first time", async (_name, offset, length) => {
    const { device } = oldDevice(4 * 2 ** 20);
    let times = 0;
    const changing = async (file: NewFile): Promise<void> => {
      const isFirst = ++times === 1;
      file.write(pattern(isFirst ? 4096 : length), isFirst ? 28_672 : offset);
      file.write(headerArea(), 0);
      file.truncate(isFirst || length > 4096 ? 40_960 : 40_961);
    };
    expect((await errorOf(() => createFileBy(device, changing))).code).toBe("SOURCE_CHANGED");
    expect(isCleared(device)).toBe(true);
  });
});
