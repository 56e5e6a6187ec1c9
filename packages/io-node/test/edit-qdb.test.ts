// `editQdb` and `createQdb` on files and devices of Node.
import { readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Bitmap, QdbError, readBitmapSync } from "@qdb/format";
import { describe, expect, test } from "vitest";
import { type EditingHost, editingContract } from "../../format/test/contract/editing.ts";
import { errorOf } from "../../format/test/contract/errors.ts";
import { readingContract } from "../../format/test/contract/reading.ts";
import { createQdb, editQdb, lookAtDisk, openQdb, openQdbSync } from "../src/index.ts";
import { Child } from "./support/child.ts";
import { replaceInFs } from "./support/fake-fs.ts";
import { loopDevice } from "./support/root.ts";
import { temporaryDirectory } from "./support/temp.ts";

const HOST: EditingHost<string> = {
  place: () => join(temporaryDirectory(), "file.qdb"),
  createQdb,
  editQdb,
  openQdb,
  bytes: (path) => readFileSync(path),
  overwrite: (path, bytes) => writeFileSync(path, bytes),
};

describe("editQdb and createQdb", () => editingContract(HOST));
describe("openQdb", () => readingContract({ ...HOST, open: openQdb }));
describe("openQdbSync", () => readingContract({ ...HOST, open: openQdbSync }));

test("openQdbSync compares the disk of a bitmap, and closes the file if it cannot be opened", async () => {
  const directory = temporaryDirectory();
  const [path, disk] = [join(directory, "file.qdb"), join(directory, "disk.raw")];
  writeFileSync(disk, new Uint8Array(4096));
  utimesSync(disk, 1, 1);
  const seen = lookAtDisk(disk);
  await createQdb(path, { bitmaps: [{ name: "daily", ...seen }] });
  utimesSync(disk, 2, 2);
  const file = openQdbSync(path);
  expect((await errorOf(() => readBitmapSync(file.bitmap("daily")))).code).toBe("WRONG_DISK");
  expect((await errorOf(() => [...file.bitmap("daily").extents()])).code).toBe("WRONG_DISK");
  file.close();
  const insisting = openQdbSync(path, { disk: "ignore" });
  expect(readBitmapSync(insisting.bitmap("daily")).count()).toBe(0);
  insisting.close();
  expect((await errorOf(() => readBitmapSync(file.bitmap("daily")))).code).toBe("USAGE");
  expect((await errorOf(() => openQdbSync(path, { disk: "" }))).code).toBe("USAGE");
  writeFileSync(path, "no QDB file");
  expect((await errorOf(() => openQdbSync(path))).code).toBe("BAD_MAGIC");
});

test("a device", async () => {
  const backing = join(temporaryDirectory(), "disk");
  writeFileSync(backing, new Uint8Array(2 ** 21 + 65536));
  const device = loopDevice(backing);
  await createQdb(device, { bitmaps: [{ name: "daily", size: 2 ** 30 }] });
  expect((await errorOf(() => createQdb(device))).code).toBe("ALREADY_EXISTS");
  await editQdb(device, (edit) => edit.bitmap("daily").mark({ offset: 0, length: 1 }));
  const file = await openQdb(device);
  expect(await file.bitmap("daily").count()).toMatchObject({ bits: 1, bytes: 65536n });
  await file.close();
});

test("another process that edits the file is named at once", async () => {
  const path = join(temporaryDirectory(), "file.qdb");
  await createQdb(path);
  const other = new Child("hold-script.ts", path);
  await other.says("locked");
  const error = await errorOf(() => editQdb(path, () => undefined));
  expect([error.code, error.message]).toEqual(["LOCKED", expect.stringContaining(`process ${other.pid}`)]);
});

describe("closing the file fails", () => {
  const closeFails = (): void => {
    replaceInFs("closeSync", (real) => (fd) => {
      real(fd);
      real(fd);
    });
  };

  const made = async (): Promise<string> => {
    const path = join(temporaryDirectory(), "file.qdb");
    await createQdb(path, { bitmaps: [{ name: "daily", size: 4096, granularity: 512 }] });
    return path;
  };

  test("after the callback did: the error of the callback", async () => {
    const path = await made();
    closeFails();
    const failing = editQdb(path, () => {
      throw new RangeError("of the callback");
    });
    await expect(failing).rejects.toThrow(new RangeError("of the callback"));
  });

  test("after the commit: the error says that the change is stored, and it is", async () => {
    const path = await made();
    closeFails();
    const error = await errorOf(() => editQdb(path, (edit) => edit.bitmap("daily").markAll()));
    expect([error.code, error.message]).toEqual([
      "IO",
      expect.stringMatching(/cannot close .*; the change is stored$/),
    ]);
  });
});

describe("the disk of a bitmap", () => {
  /** A file with the bitmap "daily" of a disk that has changed since, and "other", of no disk. */
  const changed = async (): Promise<{ readonly path: string; readonly disk: string }> => {
    const directory = temporaryDirectory();
    const [path, disk] = [join(directory, "file.qdb"), join(directory, "disk.raw")];
    writeFileSync(disk, new Uint8Array(4096));
    utimesSync(disk, 1, 1);
    const seen = lookAtDisk(disk);
    const bits = Bitmap.clean({ size: 4096, granularity: 512 });
    await createQdb(path, {
      bitmaps: [
        { name: "daily", bits, ...seen },
        { name: "other", bits },
      ],
    });
    utimesSync(disk, 2, 2);
    return { path, disk };
  };

  test("is compared before its bits are given out or merged, and not when they are changed", async () => {
    const { path } = await changed();
    await editQdb(path, async (edit) => {
      const read = edit.bitmap("daily").read();
      expect((await errorOf(() => read)).code).toBe("WRONG_DISK");
      await edit.bitmap("other").read();
      edit.bitmap("daily").mark({ offset: 0, length: 1 });
    });
    expect((await errorOf(() => editQdb(path, (edit) => edit.bitmap("other").merge("daily")))).code).toBe("WRONG_DISK");
  });

  test("can be named, or ignored", async () => {
    const { path, disk } = await changed();
    const read = (given: string) => editQdb(path, (edit) => edit.bitmap("daily").read(), { disk: given });
    expect((await read("ignore")).count()).toBe(0);
    expect((await errorOf(() => read(disk))).code).toBe("WRONG_DISK");
    utimesSync(disk, 1, 1);
    expect((await read(disk)).count()).toBe(0);
    expect((await errorOf(() => read(""))).code).toBe("USAGE");
  });
});

test("what is no QDB file is an error, and the lock is released", async () => {
  const path = join(temporaryDirectory(), "file");
  writeFileSync(path, "no QDB file");
  for (let turn = 0; turn < 2; turn++)
    expect((await errorOf(() => editQdb(path, () => undefined))).code).toBe("BAD_MAGIC");
});

test("an error of the callback is thrown as it is", async () => {
  const path = join(temporaryDirectory(), "file.qdb");
  await createQdb(path);
  const own = new QdbError("NOT_FOUND", "of the callback");
  await expect(
    editQdb(path, () => {
      throw own;
    }),
  ).rejects.toBe(own);
});
