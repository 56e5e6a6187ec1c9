// The system refuses to close a file: the first error is the one that a command reports, and there is always one.
import { copyFileSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, test } from "vitest";
import { qdb, runQdb, temporaryDirectory } from "./built.ts";

const directory = realpathSync(temporaryDirectory());
const at = (name: string): string => join(directory, name);
const preload = fileURLToPath(new URL("./failing-close.cjs", import.meta.url));
const image = fileURLToPath(new URL("../../../conformance/fixtures/qcow2/bitmaps.qcow2", import.meta.url));

const file = at("file.qdb");
const other = at("other.qdb");

beforeAll(() => {
  qdb("create", file);
  qdb("bitmap", "--add", "--size", "1M", file, "b");
  copyFileSync(file, other);
  copyFileSync(image, at("image.qcow2"));
  for (const name of ["one.raw", "two.raw"]) writeFileSync(at(name), Buffer.alloc(2 ** 20));
  writeFileSync(at("none"), "no QDB file");
});

/** Runs a command that can close no file, and returns the line of its error. */
function errorLine(args: readonly string[]): string {
  const env = { NODE_OPTIONS: `--require ${JSON.stringify(preload)}`, QDB_CLOSE: directory };
  const { status, stderr } = runQdb(args, { env });
  expect([args, status]).toEqual([args, 1]);
  return stderr;
}

test.each([
  ["NOT_FOUND", ["map", file, "no"]],
  ["NOT_FOUND", ["show", file, "no"]],
  ["NOT_FOUND", ["export", "--to", "extents", "-B", "no", file]],
  ["NOT_FOUND", ["bitmap", "--mark-all", file, "no"]],
  ["NOT_FOUND", ["copy", file, "no", at("one.raw"), at("two.raw")]],
  ["ALREADY_EXISTS", ["diff", "-B", "b", at("one.raw"), at("two.raw"), file]],
])("the work failed with %s: %j", (code, args) => {
  expect(errorLine(args)).toMatch(new RegExp(`^qdb: \\[${code}\\] `));
});

test("what comes first is the look at the first bytes, for which the file is opened and closed", () => {
  for (const args of [
    ["map", at("none"), "b"],
    ["info", at("none")],
    ["bitmap", "--mark-all", at("none"), "b"],
  ])
    expect(errorLine(args)).toMatch(/^qdb: \[IO\] cannot close "[^"]*": EBADF: bad file descriptor/);
});

test.each([
  ["map", file, "b"],
  ["info", file],
  ["show", "--ascii", file],
  ["export", "--to", "extents", "-B", "b", file],
  ["dump", file],
  ["check", file],
  ["bitmap", "--mark-all", other, "b"],
  ["copy", file, "b", at("one.raw"), at("two.raw")],
  ["diff", at("one.raw"), at("two.raw"), at("made.qdb")],
  ["import", at("image.qcow2"), at("imported.qdb")],
])("the work succeeded, and closing did not: qdb %s", (...args) => {
  expect(errorLine(args)).toMatch(/^qdb: \[IO\] .*cannot close "[^"]*": EBADF: bad file descriptor/);
});
