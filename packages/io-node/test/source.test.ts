import {
  chmodSync,
  closeSync,
  ftruncateSync,
  openSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { bytesSource, type SyncByteSource } from "@qdb/format";
import { describe, expect, test } from "vitest";
import { errorOf } from "../../format/test/contract/errors.ts";
import { openFileSource } from "../src/index.ts";
import { replaceInFs } from "./support/fake-fs.ts";
import { pattern } from "./support/images.ts";
import { asOrdinaryUser, loopDevice, pipe } from "./support/root.ts";
import { traced } from "./support/strace.ts";
import { temporaryDirectory } from "./support/temp.ts";

type OpenBytes = (bytes: Uint8Array) => SyncByteSource;

const openers: Record<string, OpenBytes> = {
  "bytes in memory": bytesSource,
  "a file": (bytes) => openFileSource(fileOf(bytes)),
  "a block device": (bytes) => openFileSource(loopDevice(fileOf(bytes))),
};

function fileOf(bytes: Uint8Array | string): string {
  const path = join(temporaryDirectory(), "file");
  writeFileSync(path, bytes);
  return path;
}

/** Opens for one test. */
function using<T>(source: SyncByteSource, call: (source: SyncByteSource) => T): T {
  try {
    return call(source);
  } finally {
    void source.close?.();
  }
}

describe.each(Object.entries(openers))("every source, over %s", (_name, open) => {
  const bytes = pattern(8192);

  test("tells its size and gives exact ranges", () => {
    using(open(bytes), (source) => {
      expect(source.size).toBe(8192);
      for (const [offset, length] of [
        [0, 8192],
        [0, 1],
        [1, 17],
        [511, 4098],
        [8191, 1],
      ] as const) {
        expect(Buffer.compare(source.readSync(offset, length), bytes.subarray(offset, offset + length))).toBe(0);
      }
    });
  });

  test("gives nothing where nothing is asked for, up to the very end", () => {
    using(open(bytes), (source) => {
      for (const offset of [0, 100, 8192]) expect(source.readSync(offset, 0)).toHaveLength(0);
    });
  });

  test.each([
    [8191, 2],
    [8192, 1],
    [8193, 0],
    [2 ** 40, 16],
    [0, 2 ** 52],
    [2 ** 53, 1],
    [Number.POSITIVE_INFINITY, 1],
    [-1, 1],
    [0, -1],
  ])("refuses offset %d, length %d", async (offset, length) => {
    const error = await errorOf(() => using(open(bytes), (source) => source.readSync(offset, length)));
    expect(error.code).toBe("SHORT_READ");
  });
});

test("each read has a buffer of its own, aligned to 8 bytes", () => {
  using(openFileSource(fileOf(pattern(100))), (source) => {
    const first = source.readSync(3, 16);
    const second = source.readSync(3, 16);
    expect(first.buffer).not.toBe(second.buffer);
    expect([first.byteOffset % 8, second.byteOffset % 8]).toEqual([0, 0]);
    expect(first.buffer.byteLength).toBe(16);
  });
});

test("reads into a buffer: all of it, or SHORT_READ", async () => {
  const path = fileOf(pattern(10000));
  const source = openFileSource(path);
  const buffer = new Uint8Array(100).fill(9);
  source.readIntoSync(9950, buffer.subarray(20, 70));
  const wanted = Buffer.concat([Buffer.alloc(20, 9), pattern(10000).subarray(9950), Buffer.alloc(30, 9)]);
  expect(Buffer.compare(buffer, wanted)).toBe(0);
  for (const offset of [9901, 10000, 2 ** 53, -1, Number.NaN])
    expect((await errorOf(() => source.readIntoSync(offset, buffer))).code).toBe("SHORT_READ");
  truncateSync(path, 6000);
  expect((await errorOf(() => source.readIntoSync(5950, buffer))).code).toBe("SHORT_READ");
  source.close();
  expect((await errorOf(() => source.readIntoSync(0, buffer))).code).toBe("USAGE");
});

test("a file that shrinks while it is open gives SHORT_READ, not zeros", async () => {
  const path = fileOf(pattern(10000));
  const source = openFileSource(path);
  truncateSync(path, 6000);
  expect(source.readSync(5000, 1000)).toHaveLength(1000);
  const error = await errorOf(() => source.readSync(5000, 1001));
  expect(error.code).toBe("SHORT_READ");
  expect(error.message).toContain("ends at 6000");
  expect(source.size).toBe(10000);
  source.refresh();
  expect(source.size).toBe(6000);
  source.close();
});

test("a file that grows shows its new bytes after a refresh only", async () => {
  const path = fileOf("1234");
  const source = openFileSource(path);
  writeFileSync(path, "123456");
  expect((await errorOf(() => source.readSync(4, 2))).code).toBe("SHORT_READ");
  source.refresh();
  expect(Buffer.from(source.readSync(4, 2)).toString()).toBe("56");
  source.close();
});

test("the stamp of a file is another one after a write, also one of the same length; a device has none", () => {
  const path = fileOf("1234");
  const source = openFileSource(path);
  const before = source.stamp();
  expect(source.stamp()).toBe(before);
  source.readSync(0, 4);
  expect(source.stamp()).toBe(before);
  // Writes within one tick of the kernel's clock have one time.
  const end = Date.now() + 20;
  while (Date.now() < end);
  writeFileSync(path, "5678");
  expect(source.stamp()).not.toBe(before);
  source.close();
  using(openFileSource(loopDevice(fileOf(pattern(4096)))), (device) => expect(device.stamp?.()).toBeUndefined());
});

test("offsets past 2^32 reach their own bytes", async () => {
  const path = join(temporaryDirectory(), "sparse");
  const fd = openSync(path, "w");
  const far = 2 ** 32 + 123;
  writeSync(fd, "low", 123);
  writeSync(fd, "high", far);
  ftruncateSync(fd, 2 ** 33 + 1);
  closeSync(fd);
  const source = openFileSource(path);
  expect(source.size).toBe(2 ** 33 + 1);
  expect(Buffer.from(source.readSync(far, 4)).toString()).toBe("high");
  expect([...source.readSync(2 ** 33 - 1, 2)]).toEqual([0, 0]);
  expect((await errorOf(() => source.readSync(2 ** 33, 2))).code).toBe("SHORT_READ");
  source.close();
});

test("a length past 2^31, which Node refuses, is read in pieces", () => {
  const path = join(temporaryDirectory(), "sparse");
  writeFileSync(path, "");
  truncateSync(path, 2 ** 32);
  const pieces: [length: number, offset: number][] = [];
  // Nothing is read: 2 GiB that no one touches take no memory.
  replaceInFs("readSync", () => (...args: readonly unknown[]) => {
    const [, , , length, offset] = args;
    pieces.push([Number(length), Number(offset)]);
    return Number(length);
  });
  const source = openFileSource(path);
  expect(source.readSync(5, 2 ** 31 + 7)).toHaveLength(2 ** 31 + 7);
  source.close();
  expect(pieces).toEqual([
    [2 ** 30, 5],
    [2 ** 30, 5 + 2 ** 30],
    [7, 5 + 2 ** 31],
  ]);
});

test("more than memory takes is LIMIT", async () => {
  const path = join(temporaryDirectory(), "sparse");
  writeFileSync(path, "");
  truncateSync(path, 2 ** 43);
  const source = openFileSource(path);
  expect((await errorOf(() => source.readSync(0, 2 ** 43))).code).toBe("LIMIT");
  source.close();
});

test("reads that the system cuts short or interrupts are completed", () => {
  const path = fileOf("the whole of it");
  const hex = Buffer.from("the whole of it").toString("hex");
  const interrupted = traced("read-script.ts", path, { inject: ["pread64:error=EINTR:when=1..2"], onFileOnly: true });
  expect(interrupted).toMatchObject({ code: "read", message: hex });
  expect(interrupted.calls.filter((call) => call.startsWith("pread64"))).toEqual([
    "pread64 target 15@0 EINTR",
    "pread64 target 15@0 EINTR",
    "pread64 target 15@0",
  ]);
  const pieces: number[] = [];
  replaceInFs("readSync", (real) => (fd, buffer, ...rest: readonly unknown[]) => {
    const [offset, length, position] = rest.map(Number);
    const count = real(fd, buffer, offset ?? 0, Math.min(4, length ?? 0), position ?? 0);
    pieces.push(count);
    return count;
  });
  const source = openFileSource(path);
  expect(Buffer.from(source.readSync(0, 15)).toString()).toBe("the whole of it");
  expect(pieces).toEqual([4, 4, 4, 3]);
  source.close();
});

test("an error of the disk is IO and names errno and path", () => {
  const path = fileOf("bytes");
  const { code, message } = traced("read-script.ts", path, { inject: ["pread64:error=EIO"], onFileOnly: true });
  expect(code).toBe("IO");
  expect(message).toBe(`cannot read "${path}": EIO: i/o error`);
});

test("after close nothing is read, whoever has the number of the file by then", async () => {
  const source = openFileSource(fileOf("mine"));
  source.close();
  source.close();
  const other = openFileSource(fileOf("theirs"));
  for (const call of [
    () => source.readSync(0, 1),
    () => source.refresh(),
    () => source.identity(),
    () => source.stamp(),
  ]) {
    expect((await errorOf(call)).code).toBe("USAGE");
  }
  other.close();
});

test("identity is what stat says, in full", () => {
  const path = fileOf("12345");
  const source = openFileSource(path);
  const before = source.identity();
  expect(before).toMatchObject({ kind: "file", size: 5n });
  writeFileSync(path, "123456");
  const after = source.identity();
  expect(after.size).toBe(6n);
  expect(after.file).toBe(before.file);
  expect(after.mtimeNs > before.mtimeNs).toBe(true);
  source.close();
});

describe("what cannot be opened", () => {
  test("a missing file, and one below a file", async () => {
    const path = fileOf("");
    for (const missing of [`${path}.not`, `${path}/below`, ""]) {
      const error = await errorOf(() => openFileSource(missing));
      expect(error.code).toBe("NOT_FOUND");
      expect(error.cause).toBeInstanceOf(Error);
    }
  });

  test("a directory", async () => {
    const error = await errorOf(() => openFileSource(temporaryDirectory()));
    expect(error.code).toBe("USAGE");
    expect(error.message).toContain("is a directory");
  });

  test("a pipe, without waiting for its other end; a character device; a socket", async () => {
    const socket = join(temporaryDirectory(), "socket");
    const server = createServer();
    await new Promise<void>((resolve) => void server.listen(socket, resolve));
    for (const path of [pipe(), "/dev/null", socket]) {
      const error = await errorOf(() => openFileSource(path));
      expect(error.code).toBe("USAGE");
      expect(error.message).toContain("no regular file");
    }
    await new Promise((resolve) => server.close(resolve));
  });

  test("a file without permission, and a circle of links", async () => {
    const path = fileOf("secret");
    chmodSync(path, 0);
    const denied = await asOrdinaryUser(() => errorOf(() => openFileSource(path)));
    expect(denied.code).toBe("IO");
    expect(denied.message).toContain("EACCES");
    symlinkSync("loop", join(path, "..", "loop"));
    expect((await errorOf(() => openFileSource(join(path, "..", "loop")))).message).toContain("ELOOP");
  });

  test("a path with a NUL byte; a path that could act on a terminal is harmless in the message", async () => {
    expect((await errorOf(() => openFileSource("a\0b"))).code).toBe("USAGE");
    const error = await errorOf(() => openFileSource("/no/\x1b[31mred"));
    expect(error.message).toContain("\\x1b[31mred");
    expect(error.message).not.toContain("\x1b");
  });
});
