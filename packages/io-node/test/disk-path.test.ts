import { chmodSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { errorOf } from "../../format/test/contract/errors.ts";
import { openFileStore } from "../src/container.ts";
import { lookAtDisk } from "../src/index.ts";
import { fullImage, pattern } from "./support/images.ts";
import { asOrdinaryUser } from "./support/root.ts";
import { temporaryDirectory } from "./support/temp.ts";

/** Works in a directory for the rest of a test. */
function workIn(directory: string): void {
  const before = process.cwd();
  process.chdir(directory);
  onTestFinished(() => process.chdir(before));
}

/** A folder whose name is not UTF-8, and a link to it whose name is. */
function badFolder(): { readonly folder: Buffer; readonly link: string; readonly directory: string } {
  const directory = temporaryDirectory();
  const folder = Buffer.concat([Buffer.from(`${directory}/`), Buffer.from([0x64, 0xff])]);
  const link = join(directory, "link");
  mkdirSync(folder);
  symlinkSync(folder, link);
  return { folder, link, directory };
}

test("the path of a disk is absolute, without dots where that is the same", () => {
  const directory = temporaryDirectory();
  mkdirSync(join(directory, "inner"));
  const disk = join(directory, "disk");
  writeFileSync(disk, "");
  workIn(directory);
  for (const path of ["disk", "./disk", "inner/../disk", disk, `${directory}/inner/..//disk`]) {
    expect(lookAtDisk(path).disk).toBe(disk);
  }
});

test("a link stays one, and .. behind a link stays there: without it the path would lead elsewhere", () => {
  const directory = temporaryDirectory();
  mkdirSync(join(directory, "far", "inner"), { recursive: true });
  symlinkSync(join("far", "inner"), join(directory, "to"));
  writeFileSync(join(directory, "far", "disk"), "");
  symlinkSync(join("far", "disk"), join(directory, "name"));
  // What the text of to/../disk says without its dots.
  writeFileSync(join(directory, "disk"), "");
  workIn(directory);
  expect(lookAtDisk("name").disk).toBe(join(directory, "name"));
  expect(lookAtDisk("to/../disk").disk).toBe(`${directory}/to/../disk`);
  expect(lookAtDisk(`${directory}/to/../disk`).disk).toBe(`${directory}/to/../disk`);
});

test("in a directory that is not UTF-8 a relative path is refused, also where U+FFFD leads to another disk", async () => {
  const { link, directory } = badFolder();
  writeFileSync(join(link, "disk"), "");
  workIn(link);
  expect(process.cwd()).toBe(join(directory, "d\ufffd"));
  const refusal = await errorOf(() => lookAtDisk("disk"));
  expect(refusal.code).toBe("NOT_SUPPORTED");
  expect(refusal.message).toContain('the disk "disk" has no absolute path that is UTF-8');
  mkdirSync(join(directory, "d\ufffd"));
  writeFileSync(join(directory, "d\ufffd", "disk"), "");
  expect((await errorOf(() => lookAtDisk("disk"))).code).toBe("NOT_SUPPORTED");
  expect(lookAtDisk(join(link, "disk")).disk).toBe(join(link, "disk"));
});

test("a path that cannot be looked at is not stored", async () => {
  const directory = temporaryDirectory();
  const folder = join(directory, "folder");
  mkdirSync(folder);
  writeFileSync(join(folder, "disk"), "");
  chmodSync(directory, 0o700);
  workIn(folder);
  const error = await asOrdinaryUser(() => errorOf(() => lookAtDisk("disk")));
  expect([error.code, error.message]).toEqual([
    "IO",
    `cannot look at "${join(folder, "disk")}": EACCES: permission denied`,
  ]);
});

test("a file is not replaced by a name that is not its own", async () => {
  const { link, directory } = badFolder();
  mkdirSync(join(directory, "d\ufffd"));
  const path = join(link, "file");
  writeFileSync(path, pattern(100));
  writeFileSync(join(directory, "d\ufffd", "file"), "another");
  const store = openFileStore(path);
  const error = await errorOf(() => store.replaceSync(fullImage()));
  store.close();
  expect(error.code).toBe("NOT_SUPPORTED");
  expect(error.message).toContain(`"${path}" cannot be rewritten: the path that it leads to is not UTF-8`);
  expect(readFileSync(path)).toEqual(Buffer.from(pattern(100)));
  expect(readdirSync(link)).toEqual(["file"]);
});
