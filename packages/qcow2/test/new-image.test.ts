// New images, as QEMU sees them: a shell over a raw disk shows every byte of the disk, and writes through it reach the disk.
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { imageBytes } from "@qdb/format/container";
import { editQcow2, newImage } from "@qdb/qcow2";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { requirePeers, runPeer } from "../../cli/test/peers.ts";
import { fileStore } from "./file-store.ts";
import { guestDigest } from "./operation-scripts.ts";
import { checkImage, listBitmaps, qemuDigests } from "./qemu-digest.ts";

let directory: string;
const at = (name: string): string => join(directory, name);
beforeAll(() => {
  requirePeers("qemu-img", "qemu-io", "qemu-storage-daemon");
  directory = mkdtempSync(join(tmpdir(), "qdb-new-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const digestOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** A disk without zeros, of `size` bytes. */
function makeDisk(size: number): string {
  const bytes = new Uint8Array(size);
  for (let place = 0; place < size; place++) bytes[place] = 1 + (place % 251);
  writeFileSync(at("disk.raw"), bytes);
  return at("disk.raw");
}

describe.each([512, 4096, 65536, 2 ** 21])("clusters of %i", (clusterSize) => {
  test.each([512, 512 * 77, 4 * 2 ** 20, 5 * 2 ** 20 + 512])("a shell over a disk of %i bytes", async (size) => {
    const disk = makeDisk(size);
    const before = digestOf(readFileSync(disk));
    const shell = at("shell.qcow2");
    writeFileSync(
      shell,
      imageBytes(
        newImage({
          size: BigInt(size),
          clusterSize,
          dataFile: disk,
          extensions: [{ type: 0x51444253, data: new Uint8Array(40).fill(7) }],
        }),
      ),
    );
    expect(checkImage(shell)).toMatchObject({ code: 0 });
    expect(guestDigest(shell)).toBe(before);
    await editQcow2(fileStore(shell), (edit) => edit.add({ name: "daily", size, granularity: 512 }));
    expect(checkImage(shell)).toMatchObject({ code: 0 });
    runPeer("qemu-io", ["-f", "qcow2", "-c", "write -P 255 0 512", "-c", `write -z ${size - 512} 512`, shell]);
    const after = readFileSync(disk);
    expect(after.subarray(0, 512).every((byte) => byte === 255) || size === 512).toBe(true);
    expect(after.subarray(size - 512).every((byte) => byte === 0)).toBe(true);
    expect(after.length).toBe(size);
    const bits = new Uint8Array(Math.ceil(size / 512 / 64) * 8);
    for (const bit of [0, size / 512 - 1]) bits[bit >> 3] = (bits[bit >> 3] as number) | (1 << (bit & 7));
    expect(qemuDigests(shell, ["daily"])).toEqual([digestOf(bits)]);
    expect(checkImage(shell)).toMatchObject({ code: 0 });
    // QEMU keeps the extension of others when it writes the header.
    expect(Buffer.from(readFileSync(shell).subarray(0, clusterSize)).includes(Buffer.alloc(40, 7))).toBe(true);
  });

  test("an image of bitmaps only reads as zeros", async () => {
    const path = at("bitmaps.qcow2");
    writeFileSync(path, imageBytes(newImage({ size: 3n * 2n ** 20n, clusterSize })));
    await editQcow2(fileStore(path), (edit, { size }) => {
      edit.add({ name: "daily", size });
      edit.bitmap("daily").mark({ offset: 2 ** 20, length: 1 });
    });
    expect(checkImage(path)).toMatchObject({ code: 0 });
    expect(guestDigest(path)).toBe(digestOf(new Uint8Array(3 * 2 ** 20)));
    expect(listBitmaps(path)).toEqual([{ name: "daily", granularity: 65536, flags: ["auto"] }]);
  });
});

test("tables of a disk of many TiB are counted, whatever the cluster size", () => {
  for (const [clusterSize, size] of [
    [65536, 2n ** 44n],
    [2 ** 21, 2n ** 50n + 512n],
    [512, 2n ** 31n],
  ] as const) {
    const path = at("large.qcow2");
    rmSync(path, { force: true });
    const store = (writeFileSync(path, ""), fileStore(path));
    const image = newImage({ size, clusterSize });
    store.truncateSync(image.length);
    for (const { offset, bytes } of image.chunks()) store.writeSync(offset, bytes);
    expect(checkImage(path), `${clusterSize}`).toMatchObject({ code: 0 });
  }
  const mapped = newImage({ size: 2n ** 40n, clusterSize: 2 ** 21, dataFile: "/nowhere" });
  expect(mapped.length).toBeLessThanOrEqual(12 * 2 ** 20);
});

test("what qcow2 cannot be is refused", () => {
  const code = (change: Partial<Parameters<typeof newImage>[0]>): unknown => {
    try {
      newImage({ size: 2n ** 20n, clusterSize: 65536, ...change });
    } catch (error) {
      return (error as { code?: string }).code;
    }
    return undefined;
  };
  expect(code({ size: 1000n })).toBe("BAD_FIELD");
  expect(code({ size: 0n })).toBe("BAD_FIELD");
  expect(code({ clusterSize: 3000 })).toBe("BAD_FIELD");
  expect(code({ clusterSize: 2 ** 22 })).toBe("BAD_FIELD");
  expect(code({ clusterSize: 512, size: 2n ** 50n })).toBe("LIMIT");
  expect(code({ clusterSize: 512, dataFile: `/${"x".repeat(600)}` })).toBe("LIMIT");
});
