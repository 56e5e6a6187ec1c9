// A draft file is changed by putting a new one in its place.
import {
  chmodSync,
  chownSync,
  copyFileSync,
  linkSync,
  lstatSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { countAll, QdbFile } from "@qdb/format";
import type { FileImage } from "@qdb/format/container";
import { expect, test, vi } from "vitest";
import { errorOf } from "../../format/test/contract/errors.ts";
import { openFileStore, openQdbEditor } from "../src/container.ts";
import { lockState, openFileSource, openQdb } from "../src/index.ts";
import { bytesOf, fullImage } from "./support/images.ts";
import { commit, findingsOf, makeFile, markLast, SCENARIOS, type State, stateOf } from "./support/qdb-files.ts";
import { asOrdinaryUser, loopDevice } from "./support/root.ts";
import { type TracedEnd, tracedEnd } from "./support/strace.ts";
import { temporaryDirectory } from "./support/temp.ts";

// Many runs of a program, on machines that do other things too.
vi.setConfig({ testTimeout: 300_000 });

async function draftFile(): Promise<string> {
  const path = join(temporaryDirectory(), "draft.qdb");
  await makeFile(path, "draft");
  return path;
}

async function formOf(path: string): Promise<string> {
  const file = await openQdb(path);
  const { form } = file.index;
  await file.close();
  return form;
}

test("in full form, with mode and owner, nothing left beside it, and more commits to follow", async () => {
  const path = await draftFile();
  chmodSync(path, 0o4640);
  chownSync(path, 1234, 2345);
  chmodSync(path, 0o4640);
  const editor = await openQdbEditor(path);
  await SCENARIOS.draft.edit(editor);
  await editor.commit();
  expect(lockState(path)).toMatchObject({ held: true, holder: { pid: process.pid } });
  expect((await errorOf(() => openFileStore(path))).code).toBe("LOCKED");
  const state = stateOf(path);
  await markLast(editor);
  await editor.commit();
  expect(stateOf(path)).toEqual({ ...state, still: expect.not.stringMatching(String(state.still)) });
  await editor.close();
  expect(await formOf(path)).toBe("full");
  expect(await findingsOf(path)).toEqual([]);
  const { mode, uid, gid } = statSync(path);
  expect({ mode: mode & 0o7777, uid, gid }).toEqual({ mode: 0o4640, uid: 1234, gid: 2345 });
  expect(readdirSync(join(path, ".."))).toEqual(["draft.qdb"]);
  openFileStore(path).close();
});

test("by a symbolic link, which stays one", async () => {
  const path = await draftFile();
  const link = join(temporaryDirectory(), "link.qdb");
  symlinkSync(path, link);
  await commit(link, SCENARIOS.draft.edit);
  expect(lstatSync(link).isSymbolicLink()).toBe(true);
  expect(await formOf(path)).toBe("full");
});

test("and who reads the old one meanwhile reads it to its end", async () => {
  const path = await draftFile();
  const file = await openQdb(path);
  const before = await countAll(file);
  await commit(path, SCENARIOS.draft.edit);
  expect(await countAll(file)).toEqual(before);
  expect((await QdbFile.open(openFileSource(path)).then(closed)).length).toBe(before.length);
  await file.close();
});

async function closed(file: QdbFile): Promise<readonly unknown[]> {
  const { bitmaps } = file;
  await file.close();
  return bitmaps;
}

test("in this order: the lock of the new file, all of it, its name", async () => {
  const path = await draftFile();
  const { status, calls } = tracedEnd("edit-script.ts", path, {}, ["draft"]);
  expect(status).toBe(0);
  const from = calls.indexOf("open temporary O_RDWR|O_CREAT|O_EXCL, 0600");
  expect(calls.slice(from).filter((call) => !/^pwrite64 temporary|^pread64 target/.test(call))).toEqual([
    "open temporary O_RDWR|O_CREAT|O_EXCL, 0600",
    "flock temporary LOCK_EX|LOCK_NB",
    "ftruncate temporary",
    "fchmod temporary",
    "fsync temporary",
    "rename temporary target",
    "open directory O_RDONLY",
    "fsync directory",
    "close directory",
    "close target",
    "close target",
  ]);
  expect(calls.slice(0, from).some((call) => /^(?:pwrite64|ftruncate) target/.test(call))).toBe(false);
});

/** The draft, its states before and after the edit, and how often a run makes each call. */
async function draftCase() {
  const template = await draftFile();
  const run = (...inject: readonly string[]): { readonly path: string; readonly ended: TracedEnd } => {
    const path = join(temporaryDirectory(), "draft.qdb");
    copyFileSync(template, path);
    return { path, ended: tracedEnd("edit-script.ts", path, { inject }, ["draft"]) };
  };
  const good = run();
  expect(good.ended.status).toBe(0);
  const states: Record<"old" | "new", State> = { old: stateOf(template), new: stateOf(good.path) };
  const count = (call: string): number =>
    good.ended.calls.filter((line) => new RegExp(`^${call} (?:temporary|directory)`).test(line)).length;
  const stateAfter = async (path: string): Promise<"old" | "new"> => {
    const which = (await formOf(path)) === "draft" ? "old" : "new";
    expect(stateOf(path)).toEqual(states[which]);
    if (which === "old") expect(readFileSync(path).equals(readFileSync(template))).toBe(true);
    expect(await findingsOf(path)).toEqual([]);
    await commit(path, markLast);
    return which;
  };
  return { run, count, stateAfter };
}

const CALLS = [
  ["ftruncate", "ftruncate"],
  ["pwrite64", "pwrite64"],
  ["fchmod", "fchmod"],
  ["fsync", "fsync"],
  ["rename", "?rename,?renameat,?renameat2"],
] as const;

test("killed at any call, which leaves the old file or the new one", async () => {
  const { run, count, stateAfter } = await draftCase();
  const seen = new Set<string>();
  for (const [name, calls] of CALLS) {
    for (let when = 1; when <= count(name); when++) {
      const { path, ended } = run(`${calls}:signal=KILL:when=${when}`);
      expect(ended).toMatchObject({ signal: "SIGKILL", stdout: "" });
      const left = readdirSync(join(path, "..")).filter((other) => other !== "draft.qdb");
      expect(left.length).toBeLessThanOrEqual(1);
      for (const other of left) expect(other).toMatch(/^\.qdb-[0-9a-f]{16}\.tmp$/);
      seen.add(await stateAfter(path));
    }
  }
  expect([...seen].sort()).toEqual(["new", "old"]);
});

test("failing at any call: the same, and the handle is of no use any more", async () => {
  const { run, count, stateAfter } = await draftCase();
  const seen = new Set<string>();
  for (const [name, calls] of CALLS) {
    for (let when = 1; when <= count(name); when++) {
      const { path, ended } = run(`${calls}:error=EIO:when=${when}`);
      const { code, message, again } = JSON.parse(ended.stdout);
      expect({ status: ended.status, code, again }).toEqual({ status: 1, code: "POISONED", again: "POISONED" });
      expect(message).toContain("EIO: i/o error");
      expect(readdirSync(join(path, ".."))).toEqual(["draft.qdb"]);
      const which = await stateAfter(path);
      if (which === "old") expect(message).toContain(`; "${path}" is as it was`);
      else expect(message).toContain(`whether "${path}" is the old file or the new one is unknown; both are whole`);
      seen.add(which);
    }
  }
  expect([...seen].sort()).toEqual(["new", "old"]);
});

test("owner and group are not touched where they are right already", async () => {
  const path = await draftFile();
  const { calls } = tracedEnd("edit-script.ts", path, {}, ["draft"]);
  expect(calls.filter((call) => call.startsWith("fchown"))).toEqual([]);
  const other = await draftFile();
  chownSync(other, 1234, 0);
  expect(tracedEnd("edit-script.ts", other, {}, ["draft"]).calls).toContain("fchown temporary");
});

test("refused to who may not give the new file its owner; the old one stays", async () => {
  const path = await draftFile();
  const before = readFileSync(path);
  chmodSync(path, 0o666);
  chmodSync(join(path, ".."), 0o777);
  const error = await asOrdinaryUser(() => errorOf(() => commit(path, SCENARIOS.draft.edit)));
  expect(error.message).toContain("EPERM");
  expect(error.message).toContain(`; "${path}" is as it was`);
  expect(readFileSync(path).equals(before)).toBe(true);
  expect(readdirSync(join(path, ".."))).toEqual(["draft.qdb"]);
});

test("not where that would leave old bitmaps under another name, or on a device", async () => {
  const path = await draftFile();
  const before = readFileSync(path);
  linkSync(path, `${path}2`);
  const linked = await errorOf(() => commit(path, SCENARIOS.draft.edit));
  expect({ code: linked.code, message: linked.message }).toEqual({
    code: "NOT_SUPPORTED",
    message: `"${path}" has 2 names (hard links), and under the others the old bitmaps would stay; remove those, or copy it into a new file`,
  });
  const disk = join(temporaryDirectory(), "disk");
  writeFileSync(disk, Buffer.concat([before, Buffer.alloc(2 ** 20)]));
  const device = loopDevice(disk);
  expect((await errorOf(() => commit(device, SCENARIOS.draft.edit))).code).toBe("NOT_SUPPORTED");
  expect(readFileSync(device).subarray(0, before.length).equals(before)).toBe(true);
  expect(readFileSync(path).equals(before)).toBe(true);
});

test("not when the path leads to another file by now", async () => {
  const path = await draftFile();
  const store = openFileStore(path);
  const other = await draftFile();
  writeFileSync(`${path}.new`, readFileSync(other));
  renameSync(`${path}.new`, path);
  expect((await errorOf(() => store.replaceSync(fullImage()))).code).toBe("SOURCE_CHANGED");
  store.close();
  expect(readFileSync(path).equals(readFileSync(other))).toBe(true);
});

test("not when that happens while the new file is written", async () => {
  const path = await draftFile();
  const store = openFileStore(path);
  const image: FileImage = {
    ...fullImage(),
    chunks() {
      writeFileSync(`${path}.new`, "another");
      renameSync(`${path}.new`, path);
      return fullImage().chunks();
    },
  };
  expect((await errorOf(() => store.replaceSync(image))).code).toBe("SOURCE_CHANGED");
  store.close();
  expect(readFileSync(path, "utf8")).toBe("another");
  expect(readdirSync(join(path, ".."))).toEqual(["draft.qdb"]);
});

test("the store goes on with the new file", async () => {
  const path = await draftFile();
  const store = openFileStore(path);
  store.replaceSync(fullImage());
  expect(store.size).toBe(fullImage().length);
  expect(Buffer.from(store.readSync(0, store.size)).equals(bytesOf(fullImage()))).toBe(true);
  store.writeSync(5, new Uint8Array([1, 2]));
  store.flushSync();
  store.close();
  const bytes = bytesOf(fullImage());
  bytes.set([1, 2], 5);
  expect(readFileSync(path).equals(bytes)).toBe(true);
});
