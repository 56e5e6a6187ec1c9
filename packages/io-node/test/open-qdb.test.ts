import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Bitmap } from "@qdb/format";
import { type FileContents, writeImage } from "@qdb/format/container";
import { expect, test } from "vitest";
import { errorOf } from "../../format/test/contract/errors.ts";
import { createFile } from "../src/container.ts";
import { nodeDigests, openQdb } from "../src/index.ts";
import { loopDevice } from "./support/root.ts";
import { temporaryDirectory } from "./support/temp.ts";

const size = 10n * 2n ** 40n + 5n;

function contents(form: "full" | "draft"): FileContents {
  const bits = Bitmap.clean({ size, granularity: 65536 });
  bits.mark({ offset: 2 ** 40 + 7, length: 200_000 });
  bits.mark({ offset: size - 1n, length: 1 });
  const bitmaps = [{ nameBytes: new TextEncoder().encode("daily"), flags: 1, extraData: [], bits }];
  const id = new Uint8Array(16).fill(9);
  return { form, clusterBits: 12, fileId: id, writerId: id, allOnes: false, extensions: [], bitmaps };
}

const wanted = [
  [2 ** 40, 262_144],
  [Number(size) - 5, 5],
];

test.each(["full", "draft"] as const)(
  "a %s file that was made is opened and its extents come out, from file and device",
  async (form) => {
    const directory = temporaryDirectory();
    const disk = join(directory, "disk");
    writeFileSync(disk, new Uint8Array(2 ** 21 + 8192).fill(0x51));
    for (const path of [join(directory, "new.qdb"), loopDevice(disk)]) {
      await createFile(path, writeImage(contents(form), nodeDigests));
      const file = await openQdb(path);
      const found: number[][] = [];
      for await (const batch of file.bitmap("daily").batches()) {
        for (const { offset, length } of batch.ranges()) found.push([offset, length]);
      }
      await file.close();
      expect(found).toEqual(wanted);
    }
  },
);

test("only the extents asked for; a signal ends the call", async () => {
  const path = join(temporaryDirectory(), "new.qdb");
  await createFile(path, writeImage(contents("full"), nodeDigests));
  const file = await openQdb(path);
  const found: bigint[][] = [];
  for await (const batch of file.bitmap("daily").batches({ within: { offset: 2 ** 40 + 65536 + 1, length: 10 } })) {
    for (const { offset, length } of batch.rangesBig()) found.push([offset, length]);
  }
  expect(found).toEqual([[2n ** 40n + 65537n, 10n]]);
  const aborted = await errorOf(() => file.bitmap("daily").count({ signal: AbortSignal.abort() }));
  expect(aborted.code).toBe("ABORTED");
  await file.close();
});

test("what is no QDB file is told, and nothing stays open", async () => {
  const path = join(temporaryDirectory(), "file");
  writeFileSync(path, "no QDB file");
  expect((await errorOf(() => openQdb(path))).code).toBe("BAD_MAGIC");
  writeFileSync(path, "");
  expect((await errorOf(() => openQdb(path))).code).toBe("BAD_MAGIC");
  expect((await errorOf(() => openQdb(`${path}.no`))).code).toBe("NOT_FOUND");
  expect((await errorOf(() => openQdb(temporaryDirectory()))).code).toBe("USAGE");
});

test("a file cut short while it is open is an error, never clean bits", async () => {
  const path = join(temporaryDirectory(), "new.qdb");
  await createFile(path, writeImage(contents("full"), nodeDigests));
  const file = await openQdb(path);
  truncateSync(path, 12288);
  const error = await errorOf(() => file.bitmap("daily").count());
  expect(["SHORT_READ", "OUT_OF_BOUNDS", "BAD_CHECKSUM"]).toContain(error.code);
  await file.close();
});
