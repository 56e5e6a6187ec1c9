import { spawn } from "node:child_process";
import { linkSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { errorOf } from "../../format/test/contract/errors.ts";
import { openFileStore, openQdbEditor } from "../src/container.ts";
import { lockState, openFileSource, openQdb } from "../src/index.ts";
import { Child, runToEnd, scriptCommand } from "./support/child.ts";
import { headerArea } from "./support/images.ts";
import { makeFile } from "./support/qdb-files.ts";
import { loopDevice } from "./support/root.ts";
import { temporaryDirectory } from "./support/temp.ts";

function someFile(): string {
  const path = join(temporaryDirectory(), "file.qdb");
  writeFileSync(path, headerArea());
  return path;
}

describe("a second writer is refused at once", () => {
  test("and the first one named", async () => {
    const path = someFile();
    const first = new Child("hold-script.ts", path);
    await first.says("locked");
    const since = performance.now();
    const error = await errorOf(() => openFileStore(path));
    expect(performance.now() - since).toBeLessThan(5000);
    expect(error.code).toBe("LOCKED");
    expect(error.message).toBe(`"${path}" is locked by process ${first.pid} ("node"); try again when that is done`);
  });

  test("in the same process too", async () => {
    const path = someFile();
    const store = openFileStore(path);
    const error = await errorOf(() => openFileStore(path));
    expect(error.message).toBe(`"${path}" is locked by this process itself; try again when that is done`);
    store.close();
    openFileStore(path).close();
  });

  test.each(["symbolic link", "hard link"])("by a %s", async (kind) => {
    const path = someFile();
    if (kind === "hard link") linkSync(path, `${path}2`);
    else symlinkSync(path, `${path}2`);
    const store = openFileStore(path);
    expect((await errorOf(() => openFileStore(`${path}2`))).code).toBe("LOCKED");
    store.close();
  });

  test("on a device", async () => {
    const device = loopDevice(someFile());
    const first = new Child("hold-script.ts", device);
    await first.says("locked");
    const error = await errorOf(() => openFileStore(device));
    expect({ code: error.code, message: error.message }).toEqual({
      code: "LOCKED",
      message: expect.stringContaining(`by process ${first.pid} ("node")`),
    });
    expect(lockState(device)).toEqual({ held: true, holder: { pid: first.pid, command: "node" } });
    first.kill("SIGKILL");
    await first.ended();
    openFileStore(device).close();
  });

  test("however often two run against each other", async () => {
    const path = someFile();
    const racers = [1, 2, 3].map(() => new Child("race-script.ts", path, "40", `${path}.inside`));
    const ends = await Promise.all(racers.map((racer) => racer.ended()));
    expect(ends).toMatchObject(racers.map(() => ({ status: 0, stderr: "" })));
    const refused = ends.reduce((sum, { stdout }) => sum + Number(stdout), 0);
    expect(refused).toBeGreaterThan(10);
  });
});

describe("the lock ends", () => {
  test.each(["SIGKILL", "SIGTERM"] as const)("with its process, by %s", async (signal) => {
    const path = someFile();
    const first = new Child("hold-script.ts", path);
    await first.says("locked");
    expect(lockState(path)).toEqual({ held: true, holder: { pid: first.pid, command: "node" } });
    first.kill(signal);
    await first.ended();
    expect(lockState(path)).toEqual({ held: false });
    openFileStore(path).close();
  });

  test("although a program that it started still runs", async () => {
    const path = someFile();
    const first = new Child("hold-script.ts", path, "with-child");
    await first.says("locked");
    first.kill("SIGKILL");
    const { stdout } = await first.ended();
    const child = Number(/^child (\d+)$/m.exec(stdout)?.[1]);
    try {
      process.kill(child, 0);
      openFileStore(path).close();
    } finally {
      process.kill(child);
    }
  });

  test("when the file cannot be opened as QDB", async () => {
    const path = someFile();
    expect((await errorOf(() => openQdbEditor(path))).code).toBe("UNSUPPORTED_VERSION");
    openFileStore(path).close();
  });
});

test("readers need no lock, and keep no writer out", async () => {
  const path = join(temporaryDirectory(), "file.qdb");
  await makeFile(path);
  const early = await openQdb(path);
  const editor = await openQdbEditor(path);
  const late = await openQdb(path);
  expect(await late.bitmap("still").count()).toEqual(await early.bitmap("still").count());
  await editor.close();
  await early.close();
  await late.close();
});

describe("a file that is replaced between opening and lock", () => {
  /** A directory whose `flock` does something first, each time, and then what flock does. */
  const flockThat = (script: string): void => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, "flock"), `#!/bin/sh\n${script}\nexec /usr/bin/flock "$@"\n`, { mode: 0o755 });
    inPath(`${directory}:${process.env.PATH}`);
  };

  test("is left for the one that the path leads to now", () => {
    const path = someFile();
    const turns = `${path}.turns`;
    flockThat(`echo >>${turns}; [ $(wc -l <${turns}) -le 3 ] && cp ${path} ${path}.new && mv ${path}.new ${path}`);
    const store = openFileStore(path);
    expect(readFileSync(turns, "utf8")).toHaveLength(4);
    expect(lockState(path)).toEqual({ held: true, holder: { pid: process.pid, command: expect.any(String) } });
    store.close();
  });

  test("again and again: LOCKED", async () => {
    const path = someFile();
    flockThat(`cp ${path} ${path}.new; mv ${path}.new ${path}`);
    const error = await errorOf(() => openFileStore(path));
    expect({ code: error.code, message: error.message }).toEqual({
      code: "LOCKED",
      message: `"${path}" was replaced 8 times while it was opened; try again when that has ended`,
    });
  });

  test("or removed: NOT_FOUND", async () => {
    const path = someFile();
    flockThat(`rm ${path}`);
    expect((await errorOf(() => openFileStore(path))).code).toBe("NOT_FOUND");
  });

  test("without flock: NOT_SUPPORTED, and what to install; a flock that fails: IO, and what it said", async () => {
    const path = someFile();
    inPath(temporaryDirectory());
    const missing = await errorOf(() => openFileStore(path));
    expect(missing.code).toBe("NOT_SUPPORTED");
    expect(missing.message).toContain("install util-linux");
    for (const [script, said] of [
      ["echo flock: 3: No locks available >&2; exit 71", '"flock: 3: No locks available"'],
      ["echo flock: No locks available >&2; exit 1", '"flock: No locks available"'],
      ["exit 5", "flock ended with 5"],
      ["kill -9 $$", "flock ended with SIGKILL"],
    ] as const) {
      flockThat(script);
      const failed = await errorOf(() => openFileStore(path));
      expect({ code: failed.code, message: failed.message }).toEqual({
        code: "IO",
        message: `cannot lock "${path}": ${said}`,
      });
    }
  });
});

/** Changes where programs are looked for, for one test. */
function inPath(path: string): void {
  vi.stubEnv("PATH", path);
  onTestFinished(() => void vi.unstubAllEnvs());
}

describe("who looks whether a file is locked", () => {
  test("is told no for one that nobody has, or that is only read or locked for reading", async () => {
    const path = someFile();
    expect(lockState(path)).toEqual({ held: false });
    const source = openFileSource(path);
    const reader = spawn("flock", ["--shared", path, "sleep", "600"], { stdio: "ignore", detached: true });
    try {
      await expect.poll(() => readFileSync("/proc/locks", "utf8")).toContain(`:${statSync(path).ino} `);
      expect(lockState(path)).toEqual({ held: false });
      const error = await errorOf(() => openFileStore(path));
      expect({ code: error.code, message: error.message }).toEqual({
        code: "LOCKED",
        message: expect.stringMatching(/ is locked by process \d+ \("(?:flock|sleep)"\); /),
      });
    } finally {
      process.kill(-(reader.pid ?? 0));
      source.close();
    }
  });

  test("is told nothing in a container that sees no writer: one may be outside", () => {
    const path = someFile();
    const inside = ["unshare", "--pid", "--fork", "--mount-proc", ...scriptCommand("lock-script.ts", path)] as const;
    expect(runToEnd(inside)).toMatchObject({ status: 0, stdout: "", stderr: "" });
  });

  test("does not keep a writer out by looking", async () => {
    const path = someFile();
    const racer = new Child("race-script.ts", path, "60", `${path}.inside`);
    let [held, free] = [0, 0];
    let ended = false;
    const end = racer.ended().then((result) => {
      ended = true;
      return result;
    });
    while (!ended) {
      const state = lockState(path);
      if (state?.held === true) held++;
      else free++;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    expect(await end).toMatchObject({ status: 0, stdout: "0\n" });
    expect(held).toBeGreaterThan(0);
    expect(free).toBeGreaterThan(0);
  });

  test("is told that a file is missing", async () => {
    expect((await errorOf(() => lockState(join(temporaryDirectory(), "none")))).code).toBe("NOT_FOUND");
  });
});
