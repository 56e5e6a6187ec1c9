// Run by the tests in a pid namespace of its own, where /proc/locks leaves out what a helper that has ended took.
import { deepStrictEqual } from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { openFileStore } from "../../src/container.ts";
import { lockState } from "../../src/index.ts";

const path = process.argv[2] ?? "";
deepStrictEqual(lockState(path), undefined);
const store = openFileStore(path);
deepStrictEqual(lockState(path), { held: true, holder: { pid: process.pid, command: "node" } });
store.close();
const reader = openSync(path, "r");
spawnSync("flock", ["--shared", "3"], { stdio: ["ignore", "ignore", "ignore", reader] });
deepStrictEqual(lockState(path), undefined);
closeSync(reader);
