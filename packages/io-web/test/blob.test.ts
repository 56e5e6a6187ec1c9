// Blobs in Node, which can be files on the disk.
import { mkdtempSync, openAsBlob, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Bitmap, readBitmap } from "@qdb/format";
import { openQdb } from "@qdb/io-web";
import { expect, test } from "vitest";
import { blobContract } from "./contract/blob.ts";
import { fileBytes } from "./support/file-bytes.ts";

blobContract();

test("a file that is changed while it is open is an error", async () => {
  const folder = mkdtempSync(join(tmpdir(), "io-web-"));
  try {
    const path = join(folder, "a.qdb");
    const bits = Bitmap.clean({ size: 2n ** 30n, granularity: 512 });
    bits.mark({ offset: 512, length: 512 });
    writeFileSync(path, fileBytes({ bitmaps: [{ name: "a", bits }] }));
    const file = await openQdb(await openAsBlob(path));
    expect((await readBitmap(file.bitmap("a"))).nextDirty()).toBe(1);
    writeFileSync(path, "other");
    await expect(readBitmap(file.bitmap("a"))).rejects.toMatchObject({
      code: "IO",
      message: expect.stringMatching(/changed or removed/),
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
