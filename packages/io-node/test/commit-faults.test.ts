// A commit that is killed or fails at any of its calls: the old state is there or the new one, and nobody is told otherwise.
import { copyFileSync, readFileSync, statSync, truncateSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isQdbError } from "@qdb/format";
import { describe, expect, test, vi } from "vitest";
import { runToEnd, scriptCommand } from "./support/child.ts";
import { bystandersOf, commit, findingsOf, markLast, SCENARIOS, type State, stateOf } from "./support/qdb-files.ts";
import { tinyFileSystem } from "./support/root.ts";
import { type TracedEnd, tracedEnd } from "./support/strace.ts";
import { temporaryDirectory } from "./support/temp.ts";

// Many runs of a program, on machines that do other things too.
vi.setConfig({ testTimeout: 300_000 });

type Name = keyof typeof SCENARIOS;
const NAMES = ["first", "cut", "packed"] as const satisfies readonly Name[];

/** A scenario's file before and after its edit. */
class Case {
  readonly name: Name;
  readonly directory: string = temporaryDirectory();
  readonly template: string = join(this.directory, "template.qdb");
  #old: State = {};
  #new: State = {};
  #bystanders: State = {};
  /** The calls of a run without faults. */
  calls: readonly string[] = [];

  private constructor(name: Name) {
    this.name = name;
  }

  static async make(name: Name): Promise<Case> {
    const made = new Case(name);
    await SCENARIOS[name].make(made.template);
    made.#old = stateOf(made.template);
    made.#bystanders = bystandersOf(made.template);
    const { path, ended } = made.run();
    expect(ended).toMatchObject({ status: 0, stderr: "" });
    made.#new = stateOf(path);
    made.calls = ended.calls;
    expect(made.#new).not.toEqual(made.#old);
    return made;
  }

  /** The number of calls of a kind. */
  count(call: string): number {
    return this.calls.filter((line) => line.startsWith(`${call} target`)).length;
  }

  /** Runs the edit on a fresh copy, with a fault. */
  run(...inject: readonly string[]): { readonly path: string; readonly ended: TracedEnd } {
    const path = join(this.directory, "file.qdb");
    copyFileSync(this.template, path);
    const ended = tracedEnd("edit-script.ts", path, { inject, onFileOnly: inject.length > 0 }, [this.name]);
    return { path, ended };
  }

  /** Which state a file is in: exactly one of the two, which check agrees to, and which can be committed to. */
  async stateAfter(path: string): Promise<"old" | "new"> {
    const state = stateOf(path);
    const which = JSON.stringify(state) === JSON.stringify(this.#old) ? "old" : "new";
    if (which === "new") expect(state).toEqual(this.#new);
    // Packing moves them.
    if (which === "old" || this.name !== "packed") expect(bystandersOf(path)).toEqual(this.#bystanders);
    for (const code of await findingsOf(path)) expect(["LEAK", "MIRROR"]).toContain(code);
    await commit(path, markLast);
    expect(await findingsOf(path)).toEqual([]);
    expect(stateOf(path)).toEqual({ ...state, still: expect.not.stringMatching(String(state.still)) });
    return which;
  }
}

const KINDS = ["pwrite64", "fsync", "ftruncate"] as const;
const ERRNOS = ["EIO", "ENOSPC", "EDQUOT"] as const;

describe.each(NAMES)("a commit (%s)", (name) => {
  test("killed at every write, flush and cut", async () => {
    const each = await Case.make(name);
    const seen = new Set<string>();
    for (const kind of KINDS) {
      for (let when = 1; when <= each.count(kind); when++) {
        const { path, ended } = each.run(`${kind}:signal=KILL:when=${when}`);
        expect(ended).toMatchObject({ signal: "SIGKILL", stdout: "" });
        seen.add(await each.stateAfter(path));
      }
    }
    expect([...seen].sort()).toEqual(["new", "old"]);
  });

  test("that fails at every write, flush and cut: with EIO, ENOSPC, EDQUOT in turn", async () => {
    const each = await Case.make(name);
    const seen = new Set<string>();
    for (const kind of KINDS) {
      for (let when = 1; when <= each.count(kind); when++) {
        const errno = ERRNOS[(when + NAMES.indexOf(name)) % ERRNOS.length] ?? "EIO";
        const { path, ended } = each.run(`${kind}:error=${errno}:when=${when}`);
        expect(ended.calls.filter((call) => call.endsWith(errno))).toHaveLength(1);
        const { message } = expectPoisoned(ended, errno);
        const which = await each.stateAfter(path);
        seen.add(which);
        if (/nothing was changed|is in its old state/.test(message)) expect(which).toBe("old");
        if (/is stored/.test(message)) expect(which).toBe("new");
      }
    }
    expect([...seen].sort()).toEqual(["new", "old"]);
  });
});

/** The handle is of no use any more, and nothing was written, flushed or cut after the failure. */
function expectPoisoned(ended: TracedEnd, errno: string): { readonly message: string } {
  expect(ended.calls.at(-1)).toBe("close target");
  expect(ended.calls.at(-2)).toContain(errno);
  const said = JSON.parse(ended.stdout);
  expect({ ...ended, said }).toMatchObject({
    status: 1,
    stderr: "",
    said: { code: "POISONED", message: expect.stringContaining(errno), again: "POISONED" },
  });
  return said;
}

test("a commit of which any read fails is refused, or what it could not read does not matter", async () => {
  const each = await Case.make("first");
  const ends = new Set<string>();
  for (let when = 1; when <= each.count("pread64"); when++) {
    const { path, ended } = each.run(`pread64:error=EIO:when=${when}`);
    const { code, message } = JSON.parse(ended.stdout);
    const which = await each.stateAfter(path);
    if (ended.status !== 0) expect(message).toContain("EIO");
    expect(which).toBe(ended.status === 0 ? "new" : "old");
    ends.add(code);
  }
  expect([...ends].sort()).toEqual(["IO", "POISONED", "committed"]);
});

test.each(["first", "cut", "packed"] as const)(
  "a commit (%s) of which any write is lost and nobody was told shows one state, or an error",
  async (name) => {
    const each = await Case.make(name);
    const seen = new Set<string>();
    for (let when = 1; when <= each.count("pwrite64"); when++) {
      const { path, ended } = each.run(`pwrite64:retval=4096:when=${when}`);
      if (ended.status !== 0) expect(JSON.parse(ended.stdout).code).toBe("POISONED");
      try {
        seen.add(await each.stateAfter(path));
      } catch (error) {
        if (!isQdbError(error)) throw error;
        seen.add("error");
        expect(["BAD_CHECKSUM", "OUT_OF_BOUNDS"]).toContain(error.code);
        expect(await findingsOf(path)).toContain(error.code);
      }
    }
    expect(seen).toContain("new");
    expect(seen).toContain("error");
  },
);

test("a commit to a full file system fails, and does not when there is room again", async () => {
  const directory = tinyFileSystem(2 ** 18);
  const [path, filler] = [join(directory, "file.qdb"), join(directory, "filler")];
  await SCENARIOS.first.make(path);
  writeFileSync(filler, "");
  const old = stateOf(path);
  // What a failed commit wrote stays behind the file's end: the next one needs so much less.
  for (const pages of [0, 1, 4]) {
    fill(filler, pages * 4096);
    await expect(commit(path, SCENARIOS.first.edit)).rejects.toMatchObject({
      code: "POISONED",
      message: expect.stringMatching(
        /ENOSPC: no space left on device; the file is in its old state; open the file anew/,
      ),
    });
    expect(stateOf(path)).toEqual(old);
  }
  unlinkSync(filler);
  await commit(path, SCENARIOS.first.edit);
  expect(await findingsOf(path)).toEqual([]);
  expect(stateOf(path)).not.toEqual(old);
});

/** Fills a file system up to so many bytes. */
function fill(filler: string, free: number): void {
  const block = new Uint8Array(4096);
  for (;;) {
    try {
      writeFileSync(filler, block, { flag: "a" });
    } catch {
      break;
    }
  }
  truncateSync(filler, statSync(filler).size - free);
}

test("a commit that goes past the process's limit of file lengths leaves the old state", async () => {
  const each = await Case.make("first");
  const path = join(each.directory, "limited.qdb");
  copyFileSync(each.template, path);
  const before = readFileSync(path);
  const limit = `--fsize=${before.length + 6000}`;
  const ended = runToEnd(["prlimit", limit, ...scriptCommand("edit-script.ts", path, "first")]);
  expect(ended.status).not.toBe(0);
  expect(readFileSync(path).length).toBe(before.length + 6000);
  expect(await each.stateAfter(path)).toBe("old");
});
