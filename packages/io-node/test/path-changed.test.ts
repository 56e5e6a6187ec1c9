// A change counts as done only where the path still names the file that was changed.
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { Bitmap } from "@qdb/format";
import { describe, expect, test } from "vitest";
import { errorOf } from "../../format/test/contract/errors.ts";
import { createFile, openQdbEditor } from "../src/container.ts";
import { copyExtents } from "../src/index.ts";
import { twoImages } from "./support/disks.ts";
import { replaceInFs } from "./support/fake-fs.ts";
import { fullImage, pattern } from "./support/images.ts";
import { makeFile, markLast, SCENARIOS } from "./support/qdb-files.ts";
import { asOrdinaryUser, loopDevice } from "./support/root.ts";
import { temporaryDirectory } from "./support/temp.ts";

async function fileOf(form: "full" | "draft" = "full"): Promise<string> {
  const path = join(temporaryDirectory(), "file.qdb");
  await makeFile(path, form);
  return path;
}

/** Each way in which a path ceases to name a file. */
const WAYS: Readonly<Record<string, (path: string) => void>> = {
  "another file in its place": (path) => {
    writeFileSync(`${path}.new`, "another");
    renameSync(`${path}.new`, path);
  },
  removed: (path) => rmSync(path),
  "moved away": (path) => renameSync(path, `${path}.old`),
  "a directory in its place": (path) => {
    rmSync(path);
    mkdirSync(path);
  },
};
const ways = Object.entries(WAYS);

/** Does something at the n-th flush of this process, before it is done. */
function atFlush(n: number, act: () => void): { readonly flushes: number } {
  const seen = { flushes: 0 };
  replaceInFs("fsyncSync", (real) => (fd) => {
    if (++seen.flushes === n) act();
    real(fd);
  });
  return seen;
}

const CHANGED = /" no longer names the file that was opened/;

describe("an editor that is held open", () => {
  test.each(ways)("%s before a commit: an error, and the editor has ended", async (_, change) => {
    const path = await fileOf();
    const editor = await openQdbEditor(path);
    await markLast(editor);
    await editor.commit();
    change(path);
    const there = statSync(path, { throwIfNoEntry: false })?.isFile() === true ? readFileSync(path) : undefined;
    await SCENARIOS.first.edit(editor);
    const error = await errorOf(() => editor.commit());
    expect({ code: error.code, message: error.message }).toEqual({
      code: "PATH_CHANGED",
      message: `"${path}" no longer names the file that was opened: that one was removed, moved or replaced; the change is stored in it, but no longer under this path; open the path anew and make the change again`,
    });
    expect(await errorOf(() => editor.commit())).toBe(error);
    expect(await errorOf(() => editor.repair())).toBe(error);
    await editor.close();
    if (there !== undefined) expect(readFileSync(path).equals(there)).toBe(true);
  });

  test.each(ways)("%s with nothing to change: an error", async (_, change) => {
    const path = await fileOf();
    const editor = await openQdbEditor(path);
    await editor.commit();
    change(path);
    const error = await errorOf(() => editor.commit());
    expect(error.code).toBe("PATH_CHANGED");
    expect(error.message).toMatch(CHANGED);
    expect(error.message).toMatch(/; nothing was to be changed; open the path anew$/);
    await editor.close();
  });

  test.each(ways)("%s before a repair: an error, whatever there is to repair", async (_, change) => {
    const damages: readonly ((bytes: Buffer) => Buffer)[] = [
      (bytes) => bytes,
      (bytes) => Buffer.concat([bytes, Buffer.alloc(8192)]),
      // The mirror.
      (bytes) => (bytes.fill(0, 5000, 5100), bytes),
    ];
    for (const damage of damages) {
      const path = await fileOf();
      writeFileSync(path, damage(readFileSync(path)));
      const editor = await openQdbEditor(path, { repair: true });
      change(path);
      expect((await errorOf(() => editor.repair())).code).toBe("PATH_CHANGED");
      await editor.close();
    }
  });

  test("a file that is moved away and back again is the same one", async () => {
    const path = await fileOf();
    const editor = await openQdbEditor(path);
    renameSync(path, `${path}.old`);
    renameSync(`${path}.old`, path);
    await markLast(editor);
    await editor.commit();
    await editor.close();
  });

  test("a path that cannot be looked at is an error of its own, not the same file", async () => {
    const path = await fileOf();
    const directory = join(path, "..");
    chmodSync(path, 0o666);
    const editor = await openQdbEditor(path);
    await markLast(editor);
    chmodSync(directory, 0);
    const error = await asOrdinaryUser(() => errorOf(() => editor.commit()));
    chmodSync(directory, 0o755);
    await editor.close();
    expect({ code: error.code, message: error.message }).toEqual({
      code: "IO",
      message: `cannot look at "${path}": EACCES: permission denied; the change is stored, but whether under this path is unknown; open the path anew`,
    });
  });

  test("on a device whose node is gone", async () => {
    const path = await fileOf();
    truncateSync(path, 2 ** 20);
    const device = loopDevice(path);
    const editor = await openQdbEditor(device);
    await markLast(editor);
    renameSync(device, `${device}.moved`);
    try {
      expect((await errorOf(() => editor.commit())).code).toBe("PATH_CHANGED");
    } finally {
      renameSync(`${device}.moved`, device);
    }
    await editor.close();
  });
});

test.each(ways)("%s at any flush of a commit: an error", async (_, change) => {
  for (const name of ["first", "cut", "packed"] as const) {
    for (let n = 1; ; n++) {
      const path = join(temporaryDirectory(), "file.qdb");
      await SCENARIOS[name].make(path);
      const editor = await openQdbEditor(path);
      await SCENARIOS[name].edit(editor);
      const seen = atFlush(n, () => change(path));
      const outcome = await editor.commit().then(
        () => "committed",
        (error: unknown) => (error as { code: string }).code,
      );
      await editor.close();
      if (seen.flushes < n) {
        expect(outcome).toBe("committed");
        expect(n).toBeGreaterThan(4);
        break;
      }
      expect(outcome).toBe("PATH_CHANGED");
    }
  }
});

test.each(ways)("%s while a draft is rewritten, its new file having got the name already", async (_, change) => {
  const path = await fileOf("draft");
  const editor = await openQdbEditor(path);
  await SCENARIOS.draft.edit(editor);
  // The first flush is the new file's, the second the directory's.
  atFlush(2, () => change(path));
  const error = await errorOf(() => editor.commit());
  expect(error.code).toBe("PATH_CHANGED");
  expect(error.message).toMatch(CHANGED);
  expect(await errorOf(() => editor.commit())).toBe(error);
  await editor.close();
});

describe("a new file", () => {
  test.each(ways)("%s before its directory is flushed: an error, and what is there now stays", async (_, change) => {
    const path = join(temporaryDirectory(), "new.qdb");
    atFlush(2, () => change(path));
    const error = await errorOf(() => createFile(path, fullImage()));
    expect({ code: error.code, message: error.message }).toEqual({
      code: "PATH_CHANGED",
      message: `"${path}" was made, but the path no longer names it: it was removed, moved or replaced meanwhile`,
    });
    const there = statSync(path, { throwIfNoEntry: false });
    if (there?.isFile() === true) expect(readFileSync(path, "utf8")).toBe("another");
    const left = readdirSync(join(path, "..")).filter((name) => name.endsWith(".tmp"));
    expect(left).toEqual([]);
  });

  test("another file in its place when its directory cannot be flushed: that one is not removed", async () => {
    const path = join(temporaryDirectory(), "new.qdb");
    atFlush(2, () => {
      WAYS["another file in its place"]?.(path);
      throw Object.assign(new Error("EIO: i/o error"), { code: "EIO", errno: -5 });
    });
    const error = await errorOf(() => createFile(path, fullImage()));
    expect(error.code).toBe("IO");
    expect(readFileSync(path, "utf8")).toBe("another");
  });
});

test.each(ways)("%s while extents are copied onto it: an error", async (_, change) => {
  const { base, current } = twoImages(pattern(2 ** 20, 1), pattern(2 ** 20, 2));
  const extents = Bitmap.dirty({ size: 2n ** 20n, granularity: 65536 });
  atFlush(1, () => change(base));
  const error = await errorOf(() => copyExtents(extents, current, base));
  expect({ code: error.code, message: error.message }).toEqual({
    code: "PATH_CHANGED",
    message: `"${base}" no longer names the file that was opened: that one was removed, moved or replaced; the extents were copied into it; copy them again`,
  });
});
