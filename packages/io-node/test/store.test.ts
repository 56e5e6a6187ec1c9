import {
  chmodSync,
  closeSync,
  copyFileSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { errorOf } from "../../format/test/contract/errors.ts";
import { openFileStore, openQdbEditor } from "../src/container.ts";
import { pattern } from "./support/images.ts";
import { commit, findingsOf, makeFile, markLast, SCENARIOS, sixBitmaps, stateOf } from "./support/qdb-files.ts";
import { asOrdinaryUser, loopDevice, pipe } from "./support/root.ts";
import { tracedEnd } from "./support/strace.ts";
import { openPaths, temporaryDirectory } from "./support/temp.ts";

function someFile(bytes: Uint8Array = pattern(10_000)): string {
  const path = join(temporaryDirectory(), "file");
  writeFileSync(path, bytes);
  return path;
}

describe("a store", () => {
  test("reads, writes, grows and is cut, and knows its length", () => {
    const path = someFile();
    const store = openFileStore(path);
    expect(Buffer.from(store.readSync(9_000, 1_000)).equals(pattern(10_000).subarray(9_000))).toBe(true);
    expect(() => store.readSync(9_001, 1_000)).toThrow(expect.objectContaining({ code: "SHORT_READ" }));
    store.writeSync(9_999, pattern(3, 5));
    expect(store.size).toBe(10_002);
    store.writeSync(20_000, pattern(1, 6));
    expect(store.size).toBe(20_001);
    expect(store.readSync(15_000, 2)).toEqual(Buffer.alloc(2));
    store.truncateSync(9_000);
    expect(store.size).toBe(9_000);
    store.flushSync();
    store.close();
    expect(readFileSync(path).equals(pattern(10_000).subarray(0, 9_000))).toBe(true);
  });

  test("sees what others made of the file's length when it is asked to", () => {
    const path = someFile();
    const store = openFileStore(path);
    truncateSync(path, 5_000);
    expect(store.size).toBe(10_000);
    expect(() => store.readSync(4_000, 2_000)).toThrow(expect.objectContaining({ code: "SHORT_READ" }));
    store.refresh();
    expect(store.size).toBe(5_000);
    store.close();
  });

  test("is of no use once closed", async () => {
    const store = openFileStore(someFile());
    store.close();
    store.close();
    for (const use of [
      () => store.readSync(0, 1),
      () => store.writeSync(0, new Uint8Array(1)),
      () => store.flushSync(),
      () => store.truncateSync(0),
      () => store.refresh(),
    ]) {
      expect((await errorOf(use)).code).toBe("USAGE");
    }
  });

  test("is refused where there is nothing to write to", async () => {
    const directory = temporaryDirectory();
    expect((await errorOf(() => openFileStore(join(directory, "none")))).code).toBe("NOT_FOUND");
    for (const path of [directory, pipe(), "/dev/null"]) {
      expect((await errorOf(() => openFileStore(path))).code).toBe("USAGE");
    }
    const path = someFile();
    chmodSync(path, 0o444);
    chmodSync(join(path, ".."), 0o755);
    const denied = await asOrdinaryUser(() => errorOf(() => openFileStore(path)));
    expect({ code: denied.code, message: denied.message }).toEqual({
      code: "IO",
      message: `cannot open "${path}": EACCES: permission denied`,
    });
    expect(openPaths()).not.toContain(path);
  });
});

describe("the calls of a commit", () => {
  /** What reaches the disk, and when: writes at places that are told apart, flushes, cuts. */
  const orderOf = (path: string, scenario: string, ...more: string[]): string[] => {
    const { status, calls } = tracedEnd("edit-script.ts", path, {}, [scenario, ...more]);
    expect(status).toBe(0);
    const order: string[] = [];
    for (const call of calls) {
      const [name = "", , range = ""] = call.split(" ");
      if (name === "pread64" && range === "4096@0") order.push("look");
      const place = range.endsWith("@0") ? "primary" : range === "4096@4096" ? "mirror" : "data";
      const step = name === "pwrite64" ? place : name === "fsync" || name === "ftruncate" ? name : undefined;
      if (step !== undefined && !(step === "data" && order.at(-1) === "data")) order.push(step);
    }
    return order;
  };
  const fence = ["look", "fsync", "primary", "fsync"];
  const steps = ["data", "mirror", "fsync", "look", "primary", "fsync"];
  const made = async (name: keyof typeof SCENARIOS): Promise<string> => {
    const path = join(temporaryDirectory(), "file.qdb");
    await SCENARIOS[name].make(path);
    return path;
  };

  test("are the fence, the two halves, and nothing else; the second time without the fence", async () => {
    expect(orderOf(await made("first"), "first")).toEqual([...fence, ...steps]);
    const twice = [...fence, ...steps, ...steps, "ftruncate", "fsync"];
    expect(orderOf(await made("first"), "first", "twice")).toEqual(twice);
  });

  test("are followed by those that give space back", async () => {
    expect(orderOf(await made("cut"), "cut")).toEqual([...fence, ...steps, "ftruncate", "fsync"]);
    expect(orderOf(await made("packed"), "packed")).toEqual([...fence, ...steps, ...steps, "ftruncate", "fsync"]);
  });

  test("leave the primary to the commit where the mirror is one that never happened", async () => {
    const path = await made("first");
    const stopped = `${path}.stopped`;
    copyFileSync(path, stopped);
    const { calls } = tracedEnd("edit-script.ts", path, {}, ["first"]);
    const writes = calls.filter((call) => call.startsWith("pwrite64")).length;
    // Killed at the last write, the commit's primary: the mirror is newer then.
    const killed = { inject: [`pwrite64:signal=KILL:when=${writes}`], onFileOnly: true };
    expect(tracedEnd("edit-script.ts", stopped, killed, ["first"]).signal).toBe("SIGKILL");
    expect(await findingsOf(stopped)).toEqual(["MIRROR", "LEAK"]);
    expect(orderOf(stopped, "first")).toEqual(["look", "fsync", ...steps]);
  });

  test("begin with the primary where that was damaged", async () => {
    const path = await made("first");
    const fd = openSync(path, "r+");
    writeSync(fd, pattern(100), 0, 100, 100);
    closeSync(fd);
    expect(orderOf(path, "first")).toEqual([...fence, ...steps]);
    expect(await findingsOf(path)).toEqual([]);
  });
});

test("a commit changes nothing of the file but its bytes", async () => {
  const path = join(temporaryDirectory(), "file.qdb");
  await makeFile(path);
  chmodSync(path, 0o604);
  const { ino } = statSync(path);
  await commit(path, SCENARIOS.first.edit);
  expect(statSync(path)).toMatchObject({ ino, mode: 0o100604 });
});

test("a handle makes its ids anew", async () => {
  const path = join(temporaryDirectory(), "file.qdb");
  await makeFile(path);
  const seen = new Set<string>();
  for (let turn = 0; turn < 4; turn++) {
    const editor = await openQdbEditor(path);
    editor.edits.setEnabled("still", turn % 2 !== 0);
    await editor.commit();
    seen.add(Buffer.from(editor.state.index.header.writerId).toString("hex"));
    expect(editor.state.index.header.fileId).toEqual(sixBitmaps().fileId);
    await editor.close();
  }
  expect(seen.size).toBe(4);
});

test("a file on a device is changed as any other; the device keeps its length", async () => {
  const disk = join(temporaryDirectory(), "disk");
  writeFileSync(disk, new Uint8Array(2 ** 20));
  const device = loopDevice(disk);
  await makeFile(device);
  const still = stateOf(device).still;
  for (const edit of [SCENARIOS.first.edit, markLast]) await commit(device, edit);
  expect(stateOf(device)).toMatchObject({ comes: expect.any(String), still: expect.not.stringMatching(String(still)) });
  expect(statSync(disk).size).toBe(2 ** 20);
});
