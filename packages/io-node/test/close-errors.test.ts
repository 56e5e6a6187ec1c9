// Closing a file never hides the first error: the system refuses to close it, after the work failed or succeeded.
import { readlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Bitmap } from "@qdb/format";
import { writeImage } from "@qdb/format/container";
import { beforeEach, describe, expect, test } from "vitest";
import { errorOf } from "../../format/test/contract/errors.ts";
import { createFile, openFileStore, openQdbEditor } from "../src/container.ts";
import { copyExtents, detectForeignImage, diffImages, nodeDigests, openFileSource, openQdb } from "../src/index.ts";
import { replaceInFs } from "./support/fake-fs.ts";
import { temporaryDirectory } from "./support/temp.ts";

const shape = { size: 4096n, granularity: 512 };

let directory = "";
beforeEach(() => {
  directory = temporaryDirectory();
});

function made(name: string, text: string | Uint8Array = Buffer.alloc(4096)): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  utimesSync(path, 1, 1);
  return path;
}

async function madeQdb(): Promise<string> {
  const path = join(directory, "file.qdb");
  const id = new Uint8Array(16).fill(9);
  const contents = { clusterBits: 12, fileId: id, writerId: id, allOnes: false, extensions: [], bitmaps: [] };
  await createFile(path, writeImage({ form: "full", ...contents }, nodeDigests));
  return path;
}

/** Has each close of a file in the directory fail: its descriptor is closed already. Returns the names of the files. */
function failingCloses(): string[] {
  const names: string[] = [];
  replaceInFs("closeSync", (real) => (fd) => {
    const path = readlinkSync(`/proc/self/fd/${fd}`);
    real(fd);
    if (!path.startsWith(`${directory}/`)) return;
    names.push(path.slice(directory.length + 1));
    real(fd);
  });
  return names;
}

const never = async (): Promise<never> => {
  throw new Error("of the work");
};

describe("the work failed: its error is thrown", () => {
  test.each([openQdb, openQdbEditor])("%o of what is no QDB file", async (open) => {
    const path = made("none", "no QDB file");
    const names = failingCloses();
    expect((await errorOf(() => open(path))).code).toBe("BAD_MAGIC");
    expect(names).toEqual(["none"]);
  });

  test("opening a store that is locked", async () => {
    const path = made("locked");
    const store = openFileStore(path);
    const names = failingCloses();
    expect((await errorOf(() => openFileStore(path))).code).toBe("LOCKED");
    expect(names).toEqual(["locked"]);
    expect((await errorOf(() => store.close())).message).toContain("cannot close");
  });

  test("copying extents", async () => {
    const source = made("source");
    const target = made("target");
    const names = failingCloses();
    await expect(copyExtents(never, source, target)).rejects.toThrow("of the work");
    expect((await errorOf(() => copyExtents([], source, join(directory, "none")))).code).toBe("NOT_FOUND");
    expect((await errorOf(() => copyExtents([], source, source))).code).toBe("USAGE");
    expect(names).toEqual(["target", "source", "source", "source", "source"]);
  });

  test("comparing images", async () => {
    const base = made("base");
    const current = made("current");
    const names = failingCloses();
    const options = { granularity: 512, signal: AbortSignal.abort() };
    expect((await errorOf(() => diffImages(base, current, options))).code).toBe("ABORTED");
    expect((await errorOf(() => diffImages(base, join(directory, "none"), options))).code).toBe("NOT_FOUND");
    expect(names).toEqual(["current", "base", "base"]);
  });

  test("looking for the magic of an image", async () => {
    const image = made("image");
    const names = failingCloses();
    replaceInFs("readSync", () => () => 0);
    expect((await errorOf(() => detectForeignImage(image))).code).toBe("SHORT_READ");
    expect(names).toEqual(["image"]);
  });
});

describe("the work succeeded: the error of closing is thrown", () => {
  const expectCannotClose = async (name: string, call: () => unknown): Promise<void> => {
    const error = await errorOf(call);
    const message = `cannot close "${join(directory, name)}": EBADF: bad file descriptor`;
    expect([error.code, error.message]).toEqual(["IO", message]);
  };

  test("a file that is read, and one that is changed", async () => {
    const path = await madeQdb();
    const file = await openQdb(path);
    const editor = await openQdbEditor(path);
    const source = openFileSource(path);
    failingCloses();
    await expectCannotClose("file.qdb", () => file.close());
    await expectCannotClose("file.qdb", () => editor.close());
    await expectCannotClose("file.qdb", () => source.close());
  });

  test("copying extents", async () => {
    const source = made("source");
    const target = made("target");
    const names = failingCloses();
    await expectCannotClose("target", () => copyExtents(Bitmap.dirty(shape), source, target));
    expect(names).toEqual(["target", "source"]);
  });

  test("comparing images, and looking for the magic of one", async () => {
    const base = made("base");
    const current = made("current");
    failingCloses();
    await expectCannotClose("current", () => diffImages(base, current, { granularity: 512 }));
    await expectCannotClose("base", () => detectForeignImage(base));
  });
});
