// A file system without a free byte: every command that changes a file or makes one says so, and the files are as it says.
import { mkdirSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { runQdb, temporaryDirectory } from "./built.ts";
import { CASES } from "./faults/cases.ts";
import { Reader } from "./faults/reader.ts";
import { runPeer } from "./peers.ts";

const directory = realpathSync(temporaryDirectory());
let reader: Reader;
beforeAll(() => {
  reader = new Reader();
});
afterAll(() => reader.end());

/** A file system in memory of a few bytes, for one test. */
function tinyFileSystem(bytes: number): string {
  const folder = join(directory, "tiny");
  mkdirSync(folder);
  runPeer("mount", ["-t", "tmpfs", "-o", `size=${bytes}`, "qdb-test", folder]);
  onTestFinished(() => {
    runPeer("umount", [folder]);
    rmSync(folder, { recursive: true });
  });
  return folder;
}

/** Fills the file system of a path to the last byte. */
function fill(path: string): void {
  for (const length of [65536, 4096]) {
    const block = new Uint8Array(length);
    try {
      for (;;) writeFileSync(path, block, { flag: "a" });
    } catch {
      // A smaller one may fit.
    }
  }
}

// What is written over takes no space.
const growing = CASES.filter(({ name, stdout }) => stdout === undefined && name !== "copy" && !/^check -r/.test(name));
/** Every third of them, where not all are asked for. */
const tried = growing.filter((_, at) => process.env.QDB_SOAK === "1" || at % 3 === 0);

describe.each(tried)("qdb $name", ({ files, args, changes }) => {
  test("without space", async () => {
    const bytes = Object.values(files).reduce((sum, { length }) => sum + length, 0);
    const folder = tinyFileSystem(bytes + 512 * 1024);
    const file = (name: string): string => join(folder, name);
    for (const [name, bytes] of Object.entries(files)) writeFileSync(file(name), bytes);
    const before = await reader.look(folder);
    fill(file("filler"));
    const { status, stderr } = runQdb(args(file));
    rmSync(file("filler"));
    expect(stderr).toMatch(/^(qdb: warning: [^\n]*\n)*qdb: \[(POISONED|IO)\] [^\n]*ENOSPC[^\n]*\n$/);
    if (Object.keys(changes).some((name) => name in files)) expect(stderr).toMatch(/in its old state|is as it was/);
    expect(status).toBe(1);
    expect(await reader.look(folder)).toEqual(before);
    expect(runQdb(args(file))).toMatchObject({ status: 0 });
    expect(await reader.look(folder)).toEqual({ ...before, ...changes });
  });
});
