// Short calls load no module of Node that takes longer to load than they run.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { qdb, runQdb, temporaryDirectory } from "./built.ts";

const SLOW = ["child_process", "crypto", "perf_hooks", "stream", "worker_threads", "zlib"];

test("qdb info of a file without bitmaps loads nothing slow, with bitmaps it loads zlib only", () => {
  const directory = temporaryDirectory();
  const file = join(directory, "file.qdb");
  const hook = join(directory, "hook.cjs");
  // What Node loads before the command differs from version to version.
  const program = `const before = process.moduleLoadList.slice();
process.on("exit", () => {
  const loaded = process.moduleLoadList.filter((name) => !before.includes(name)).map((name) => name.replace("NativeModule ", ""));
  require("node:fs").writeSync(2, JSON.stringify(loaded));
});`;
  writeFileSync(hook, program);
  const loaded = (): string[] => {
    const { status, stderr } = runQdb(["info", file], { env: { NODE_OPTIONS: `--require ${hook}` } });
    expect(status).toBe(0);
    return JSON.parse(stderr).filter((name: string) => SLOW.includes(name));
  };
  qdb("create", file);
  expect(loaded()).toEqual([]);
  qdb("bitmap", "--add", "--size=16T", "-g64K", "--mark-all", file, "full");
  qdb("bitmap", "--add", "--size=1M", "--mark=0+64K", file, "small");
  expect(loaded().filter((name) => name !== "zlib" && name !== "stream")).toEqual([]);
});

test("what reads qcow2 images is loaded for one, and for no QDB file", () => {
  const directory = temporaryDirectory();
  const file = join(directory, "file.qdb");
  qdb("create", file);
  qdb("bitmap", "--add", "--size=1M", file, "daily");
  const image = fileURLToPath(new URL("../../../conformance/fixtures/qcow2/bitmaps.qcow2", import.meta.url));
  const hook = join(directory, "hook.cjs");
  const program = `process.on("exit", () => {
  const names = Object.keys(require.cache).map((path) => require("node:path").basename(path));
  require("node:fs").writeSync(2, names.filter((name) => name !== "hook.cjs").join());
});`;
  writeFileSync(hook, program);
  const loaded = (...args: string[]): string => runQdb(args, { env: { NODE_OPTIONS: `--require ${hook}` } }).stderr;
  for (const [command = "", ...args] of [
    ["info"],
    ["map", "daily"],
    ["show"],
    ["check"],
    ["dump"],
    ["export", "--to=extents", "-Bdaily"],
  ]) {
    const operands = (path: string): string[] =>
      command === "map" ? [command, path, ...args] : [command, ...args, path];
    expect(loaded(...operands(file))).toBe(`qdb.cjs,${command}.cjs`);
    expect(loaded(...operands(image))).toBe(`qdb.cjs,${command}.cjs,image-file.cjs`);
  }
});

test("the stack of an error has the names of the sources, where source maps are on", () => {
  const env = { NODE_OPTIONS: "--enable-source-maps", QDB_DEBUG: "1" };
  const { status, stderr } = runQdb(["info", join(temporaryDirectory(), "none")], { env });
  expect(status).toBe(1);
  expect(stderr).toMatch(/^ +at openFileSource \(.*packages\/io-node\/src\/files\/file-source\.ts:\d+:\d+\)$/m);
});
