// What a killed process leaves beside a file goes with the next creation there; what is in use, or another program's, stays.
import { execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { errorOf } from "../../format/test/contract/errors.ts";
import { createFile, openFileStore } from "../src/container.ts";
import { Child } from "./support/child.ts";
import { bytesOf, fullImage } from "./support/images.ts";
import { commit, makeFile, SCENARIOS, stateOf } from "./support/qdb-files.ts";
import { asOrdinaryUser } from "./support/root.ts";
import { tracedEnd } from "./support/strace.ts";
import { temporaryDirectory } from "./support/temp.ts";

vi.setConfig({ testTimeout: 120_000 });

const LEFT = ".qdb-0123456789abcdef.tmp";
const isTemporary = (name: string): boolean => /^\.qdb-[0-9a-f]{16}\.tmp$/.test(name);
const temporaryIn = (directory: string): string[] => readdirSync(directory).filter(isTemporary);

/** The ways in which a temporary file comes beside another file. */
const MAKERS: Readonly<Record<string, (directory: string) => Promise<void>>> = {
  creation: (directory) => createFile(join(directory, "next.qdb"), fullImage()),
  async rewrite(directory) {
    const path = join(directory, "draft.qdb");
    await makeFile(path, "draft");
    // Making it has cleared up already.
    writeFileSync(join(directory, LEFT), "left behind");
    await commit(path, SCENARIOS.draft.edit);
  },
};

describe("what is left behind goes", () => {
  test("wherever a creation was killed", async () => {
    const calls = ["ftruncate", "pwrite64", "fsync", "?link,?linkat", "?unlink,?unlinkat"];
    const left: number[] = [];
    for (const call of calls) {
      for (let when = 1; ; when++) {
        const directory = temporaryDirectory();
        const path = join(directory, "new.qdb");
        const ended = tracedEnd("create-script.ts", path, { inject: [`${call}:signal=KILL:when=${when}`] });
        if (ended.signal !== "SIGKILL") break;
        left.push(temporaryIn(directory).length);
        const there = readdirSync(directory).filter((name) => !isTemporary(name));
        await createFile(join(directory, "next.qdb"), fullImage());
        expect(readdirSync(directory).sort()).toEqual(["next.qdb", ...there].sort());
        if (there.length > 0) expect(readFileSync(path).equals(bytesOf(fullImage()))).toBe(true);
      }
    }
    expect(left.filter((count) => count === 1).length).toBeGreaterThan(7);
  });

  test("wherever a rewrite was killed", async () => {
    const template = join(temporaryDirectory(), "draft.qdb");
    await makeFile(template, "draft");
    const left: number[] = [];
    for (const call of ["ftruncate", "pwrite64", "fchmod", "fsync", "?rename,?renameat,?renameat2"]) {
      const directory = temporaryDirectory();
      const path = join(directory, "draft.qdb");
      copyFileSync(template, path);
      const inject = [`${call}:signal=KILL:when=1`];
      expect(tracedEnd("edit-script.ts", path, { inject }, ["draft"]).signal).toBe("SIGKILL");
      left.push(temporaryIn(directory).length);
      expect(stateOf(path)).toEqual(stateOf(template));
      await commit(path, SCENARIOS.draft.edit);
      expect(readdirSync(directory)).toEqual(["draft.qdb"]);
    }
    expect(left).toEqual([1, 1, 1, 1, 1]);
  });

  test.each(Object.keys(MAKERS))("with any number of them, by a %s", async (name) => {
    const directory = temporaryDirectory();
    for (let number = 10; number < 30; number++)
      writeFileSync(join(directory, `.qdb-00000000000000${number}.tmp`), "x");
    await MAKERS[name]?.(directory);
    expect(temporaryIn(directory)).toEqual([]);
  });

  test("by its name alone where it is another name of a file that was made", async () => {
    const directory = temporaryDirectory();
    const path = join(directory, "made.qdb");
    await createFile(path, fullImage());
    linkSync(path, join(directory, LEFT));
    await createFile(join(directory, "next.qdb"), fullImage());
    expect(readdirSync(directory)).toEqual(["made.qdb", "next.qdb"]);
    expect(readFileSync(path).equals(bytesOf(fullImage()))).toBe(true);
  });
});

describe("what is in use stays", () => {
  test.each(Object.keys(MAKERS))(
    "a file that another process makes, which then gets its name; by a %s",
    async (name) => {
      const directory = temporaryDirectory();
      const [path, go] = [join(directory, "slow.qdb"), join(temporaryDirectory(), "go")];
      const maker = new Child("slow-create-script.ts", path, go);
      await maker.says("half");
      const [temporary, ...more] = temporaryIn(directory);
      expect(more).toEqual([]);
      await MAKERS[name]?.(directory);
      expect(temporaryIn(directory)).toEqual([temporary]);
      writeFileSync(go, "");
      expect(await maker.ended()).toMatchObject({ status: 0, stdout: "half\nmade\n", stderr: "" });
      expect(readFileSync(path).equals(bytesOf(fullImage()))).toBe(true);
      expect(temporaryIn(directory)).toEqual([]);
    },
  );

  test("until its maker is killed", async () => {
    const directory = temporaryDirectory();
    const maker = new Child("slow-create-script.ts", join(directory, "slow.qdb"), join(directory, "never"));
    await maker.says("half");
    maker.kill("SIGKILL");
    await maker.ended();
    expect(temporaryIn(directory)).toHaveLength(1);
    await createFile(join(directory, "next.qdb"), fullImage());
    expect(readdirSync(directory)).toEqual(["next.qdb"]);
  });

  test("a file that another program has locked, if only for reading", async () => {
    const directory = temporaryDirectory();
    const left = join(directory, LEFT);
    writeFileSync(left, "");
    const reader = spawn("flock", ["--shared", left, "sleep", "600"], { stdio: "ignore", detached: true });
    onTestFinished(() => void process.kill(-(reader.pid ?? 0)));
    await expect.poll(() => readFileSync("/proc/locks", "utf8")).toContain(`:${lstatSync(left).ino} `);
    await createFile(join(directory, "next.qdb"), fullImage());
    expect(temporaryIn(directory)).toEqual([LEFT]);
  });

  test("a file whose finished twin has a writer", async () => {
    const directory = temporaryDirectory();
    const path = join(directory, "made.qdb");
    await createFile(path, fullImage());
    linkSync(path, join(directory, LEFT));
    const store = openFileStore(path);
    await createFile(join(directory, "next.qdb"), fullImage());
    expect(temporaryIn(directory)).toEqual([LEFT]);
    store.close();
    await createFile(join(directory, "last.qdb"), fullImage());
    expect(temporaryIn(directory)).toEqual([]);
  });
});

describe("what is no temporary file of ours stays", () => {
  test("by its name", async () => {
    const directory = temporaryDirectory();
    const others = [
      ".qdb-0123456789abcde.tmp",
      ".qdb-0123456789ABCDEF.tmp",
      `${LEFT}.bak`,
      `x${LEFT}`,
      ".qdb-.tmp",
      "a.tmp",
    ];
    for (const name of others) writeFileSync(join(directory, name), "precious");
    await createFile(join(directory, "next.qdb"), fullImage());
    expect(readdirSync(directory).sort()).toEqual([...others, "next.qdb"].sort());
  });

  test("by its kind: a link, a directory, a pipe", async () => {
    const directory = temporaryDirectory();
    const other = join(temporaryDirectory(), "other");
    writeFileSync(other, "precious");
    const [link, folder, pipe] = [1, 2, 3].map((n) => `.qdb-000000000000000${n}.tmp`) as [string, string, string];
    symlinkSync(other, join(directory, link));
    mkdirSync(join(directory, folder));
    execFileSync("mkfifo", [join(directory, pipe)]);
    await createFile(join(directory, "next.qdb"), fullImage());
    expect(temporaryIn(directory)).toEqual([link, folder, pipe]);
    expect(readFileSync(other, "utf8")).toBe("precious");
  });

  test("nor is anything removed, or a creation refused, where this user may not", async () => {
    const directory = temporaryDirectory();
    const left = join(directory, LEFT);
    writeFileSync(left, "");
    chmodSync(left, 0o600);
    chmodSync(directory, 0o1777);
    await asOrdinaryUser(() => createFile(join(directory, "next.qdb"), fullImage()));
    expect(readdirSync(directory).sort()).toEqual([LEFT, "next.qdb"]);
  });
});

describe("the name is looked at again under the lock", () => {
  /** A `flock` that runs a script before the n-th lock, and takes it then. */
  const beforeLock = (n: number, script: string): void => {
    const directory = temporaryDirectory();
    const turns = join(directory, "turns");
    const lines = ["#!/bin/sh", `echo >>${turns}`, `[ $(wc -l <${turns}) -eq ${n} ] && { ${script}; }`];
    writeFileSync(join(directory, "flock"), `${[...lines, 'exec /usr/bin/flock "$@"'].join("\n")}\n`, { mode: 0o755 });
    vi.stubEnv("PATH", `${directory}:${process.env.PATH}`);
    onTestFinished(() => void vi.unstubAllEnvs());
  };

  test("by who clears up: a file that has got the name meanwhile stays", async () => {
    const directory = temporaryDirectory();
    const left = join(directory, LEFT);
    writeFileSync(left, "left behind");
    beforeLock(1, `mv ${left} ${left}.old; echo -n precious >${left}`);
    await createFile(join(directory, "next.qdb"), fullImage());
    expect(readFileSync(left, "utf8")).toBe("precious");
    expect(readFileSync(`${left}.old`, "utf8")).toBe("left behind");
  });

  test.each(Object.keys(MAKERS))(
    "by who makes a file, whose own was taken away before the lock: a %s",
    async (name) => {
      const directory = temporaryDirectory();
      // The rewrite makes a draft first, and takes its lock.
      const n = name === "creation" ? 1 : 4;
      beforeLock(n, `rm ${directory}/.qdb-*.tmp`);
      await MAKERS[name]?.(directory);
      expect(temporaryIn(directory)).toEqual([]);
      const path = join(directory, name === "creation" ? "next.qdb" : "draft.qdb");
      expect(readFileSync(path).subarray(0, 3).toString("latin1")).toBe("QDB");
    },
  );

  test("and each time again: LOCKED, and nothing is made", async () => {
    const directory = temporaryDirectory();
    const folder = temporaryDirectory();
    const script = `#!/bin/sh\nrm ${directory}/.qdb-*.tmp\nexec /usr/bin/flock "$@"\n`;
    writeFileSync(join(folder, "flock"), script, { mode: 0o755 });
    vi.stubEnv("PATH", `${folder}:${process.env.PATH}`);
    onTestFinished(() => void vi.unstubAllEnvs());
    const error = await errorOf(() => createFile(join(directory, "new.qdb"), fullImage()));
    expect(error.code).toBe("LOCKED");
    expect(error.message).toContain("8 times");
    expect(readdirSync(directory)).toEqual([]);
  });
});

test("without locks nothing is made, and nothing is left", async () => {
  const directory = temporaryDirectory();
  vi.stubEnv("PATH", temporaryDirectory());
  onTestFinished(() => void vi.unstubAllEnvs());
  const error = await errorOf(() => createFile(join(directory, "new.qdb"), fullImage()));
  expect(error.code).toBe("NOT_SUPPORTED");
  expect(error.message).toContain("install util-linux");
  expect(readdirSync(directory)).toEqual([]);
});

test("many at once in one directory, and some of them killed: all others make their files, and nothing is left", async () => {
  const directory = temporaryDirectory();
  const makers = [1, 2].map(() => new Child("create-loop-script.ts", directory, "60"));
  let isDone = false;
  const ends = Promise.all(makers.map((maker) => maker.ended())).finally(() => {
    isDone = true;
  });
  let killed = 0;
  while (!isDone) {
    const victim = new Child("create-loop-script.ts", directory);
    await victim.says("first");
    await sleep(5 * (killed % 10));
    victim.kill("SIGKILL");
    await victim.ended();
    killed++;
  }
  expect(await ends).toMatchObject(makers.map(() => ({ status: 0, stdout: "first\nall\n", stderr: "" })));
  expect(killed).toBeGreaterThan(3);
  await createFile(join(directory, "next.qdb"), fullImage());
  expect(temporaryIn(directory)).toEqual([]);
});
