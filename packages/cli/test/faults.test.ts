// Every command that changes a file or makes one, with a fault at each call of the system that it makes on its files: nobody is
// told anything but the truth, and the old state is there or the new one. `pnpm soak faults` tries every fault, `npm test` some;
// QDB_SHARE=N tries one of N.
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Ran, temporaryDirectory } from "./built.ts";
import { afterNextRun, bystanderOf, CASES, type Case, NEXT_RUN } from "./faults/cases.ts";
import { compileShim, type Ended, runWithFault } from "./faults/injector.ts";
import { judgeEnd, judgeFlushes, type Which } from "./faults/judge.ts";
import { type Injection, injectionsOf } from "./faults/plan.ts";
import { type FolderState, Reader } from "./faults/reader.ts";
import { requirePeers, seededRandom } from "./peers.ts";
import { findingsOf } from "./reading.ts";
import { runOf } from "./resident.ts";

const isSoak = process.env.QDB_SOAK === "1";
/** Of how many injections one is tried. */
const SHARE = Number(process.env.QDB_SHARE ?? (isSoak ? 1 : 90));
/** Runs side by side. */
const LANES = 2;

const directory = realpathSync(temporaryDirectory());
let shim = "";
let reader: Reader;
beforeAll(() => {
  requirePeers("gcc", "strace");
  shim = compileShim(directory);
  reader = new Reader();
});

const figures = new Map<string, number>();
const count = (what: string): void => void figures.set(what, (figures.get(what) ?? 0) + 1);
afterAll(() => {
  reader.end();
  if (isSoak) console.log(Object.fromEntries([...figures].sort()));
});

/** A folder with the files of a case. */
function folderOf({ files }: Case): string {
  const folder = mkdtempSync(join(directory, "run-"));
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(folder, name), bytes);
  return folder;
}

function run(each: Case, folder: string, fault?: string, under?: readonly string[]): Promise<Ended> {
  const at = (name: string): string => join(folder, name);
  return runWithFault(each.args(at), {
    shim,
    folder,
    stdout: each.stdout === undefined ? undefined : at(each.stdout),
    ...(fault === undefined ? {} : { fault }),
    ...(under === undefined ? {} : { under }),
  });
}

/** Codes of what a check finds in the files of a folder. */
async function findingsIn(folder: string): Promise<string[]> {
  const names = readdirSync(folder).filter((name) => name.endsWith(".qdb"));
  return (await Promise.all(names.map((name) => findingsOf(join(folder, name))))).flat().sort();
}

/** A case, what its files are before and after, and a run without faults. */
class Trial {
  readonly each: Case;
  readonly old: FolderState;
  readonly next: FolderState;
  readonly done: Ended;
  /** What a check finds in the files before and after. */
  readonly known: { readonly old: readonly string[]; readonly next: readonly string[] };

  private constructor(each: Case, old: FolderState, done: Ended, known: Trial["known"]) {
    this.each = each;
    this.old = old;
    this.next = { ...old, ...each.changes };
    this.done = done;
    this.known = known;
  }

  static async begin(each: Case): Promise<Trial> {
    const folder = folderOf(each);
    const old = await reader.look(folder);
    const found = await findingsIn(folder);
    const done = await run(each, folder);
    const trial = new Trial(each, old, done, { old: found, next: await findingsIn(folder) });
    expect(trial.done).toMatchObject({
      status: 0,
      signal: null,
      stderr: expect.stringMatching(/^(qdb: warning: .*\n)*$/),
    });
    expect(await reader.look(folder)).toEqual(trial.next);
    expect(judgeFlushes(trial.done.calls, trial.#stdout(folder))).toEqual([]);
    rmSync(folder, { recursive: true });
    return trial;
  }

  /** Runs the case with a fault and gives what is wrong then. */
  async inject(injection: Injection, at: number): Promise<string[]> {
    const folder = folderOf(this.each);
    const ended = await run(this.each, folder, injection.fault);
    const wrong: string[] = [];
    const left = this.#leftovers(folder);
    const which = await this.#which(folder);
    if (which === undefined) wrong.push(`the files are ${JSON.stringify(await reader.look(folder)).slice(0, 2000)}`);
    else {
      count(`${injection.expected}: ${which.isNew ? "new" : which.isOld ? "old" : "between"}`);
      const found = {
        done: this.done,
        which,
        made: Object.keys(this.each.changes),
        left,
        isPartial: this.each.partial !== undefined || this.each.stdout !== undefined,
        reports: this.each.reports === true,
        stdout: this.#stdout(folder),
      };
      wrong.push(...judgeEnd(injection, ended, found));
      wrong.push(...(await this.#judgeFindings(folder, ended.status === 0)));
      wrong.push(...(await this.#goOn(folder, which, at)));
    }
    rmSync(folder, { recursive: true });
    rmSync(`${folder}.log`);
    const told = ended.signal ?? `${ended.status}, ${ended.stderr.trimEnd()}`;
    return wrong.map((what) => `${this.each.name}; ${injection.title}: ${what} (${told})`.replaceAll(folder, ""));
  }

  #stdout(folder: string): string | undefined {
    return this.each.stdout === undefined ? undefined : join(folder, this.each.stdout);
  }

  #leftovers(folder: string): string[] {
    return readdirSync(folder).filter((name) => !(name in this.next));
  }

  async #which(folder: string): Promise<Which | undefined> {
    const found = await reader.look(folder);
    const known = Object.fromEntries(Object.entries(found).filter(([name]) => name in this.next));
    const { stdout, partial, between } = this.each;
    // Standard output is the user's own file: as long as the command has not ended with 0, anything may be in it.
    const same = (state: FolderState): boolean => isDeepStrictEqual(known, { ...state });
    const isNew = same(this.next);
    const isOld = same(stdout === undefined ? this.old : { ...this.old, [stdout]: known[stdout] ?? "" });
    if (isNew || isOld) return { isNew, isOld: isOld && !(isNew && stdout !== undefined) };
    if (partial === undefined || between?.(readFileSync(join(folder, partial))) !== undefined) return undefined;
    return same({ ...this.next, [partial]: known[partial] ?? "" }) ? { isNew, isOld } : undefined;
  }

  /** A file is no worse than before or after the work, but for space that is lost and a mirror to be written anew. */
  async #judgeFindings(folder: string, isDone: boolean): Promise<string[]> {
    const found = await findingsIn(folder);
    if (isDone && !isDeepStrictEqual(found, this.known.next))
      return [`it ends with 0, and a check finds ${found.join()}`];
    const allowed = [...this.known.old, ...this.known.next, "LEAK", "MIRROR"];
    const worse = found.filter((code) => !allowed.includes(code));
    return worse.length === 0 ? [] : [`a check finds ${worse.join()}`];
  }

  /** What comes next works: the same command where its work is not done, else another change. It also takes away what is left. */
  async #goOn(folder: string, which: Which, at: number): Promise<string[]> {
    const file = (name: string): string => join(folder, name);
    const clean = async (args: readonly string[]): Promise<string[]> => {
      const { status, stderr } = await inTurn(() => runOf(at)(args));
      return status === 0 ? [] : [`then qdb ${args.join(" ")} ends with ${status}: ${stderr.trimEnd()}`];
    };
    const wrong: string[] = [];
    let expected = this.next;
    const bystander = Object.entries(this.next).flatMap(([file, state]) => {
      const one = bystanderOf(state);
      return one === undefined ? [] : [{ file, bitmap: one.name, state: afterNextRun(state, one) }];
    })[0];
    if (!which.isNew || which.isOld) {
      if (this.each.stdout === undefined) wrong.push(...(await clean(this.each.args(file))));
      else expected = await reader.look(folder);
    } else if (bystander !== undefined) {
      wrong.push(...(await clean(["bitmap", ...NEXT_RUN, file(bystander.file), bystander.bitmap])));
      expected = { ...this.next, [bystander.file]: bystander.state };
    }
    if (this.#leftovers(folder).length > 0) {
      wrong.push(...(await clean(["create", file("another.qdb")])));
      rmSync(file("another.qdb"), { force: true });
    }
    const found = await reader.look(folder);
    if (!isDeepStrictEqual(found, { ...expected })) {
      const names = [...new Set([...Object.keys(found), ...Object.keys(expected)])];
      const other = names.filter((name) => !isDeepStrictEqual(found[name], expected[name]));
      wrong.push(`after the next run ${other.join()} is not what it must be`);
    }
    return wrong;
  }
}

let turn: Promise<unknown> = Promise.resolve();
/** The process that stays does one call at a time. */
function inTurn(work: () => Promise<Ran>): Promise<Ran> {
  const result = turn.then(work);
  turn = result.catch(() => undefined);
  return result;
}

/** What brought a mistake to light once is tried each time. */
const FOUND: readonly (readonly [name: string, what: string])[] = [
  // Read by Node's stream, which takes it for an error.
  ["import into a new file", "read error EINTR"],
  // What failed may be done all the same; "is as it was" was said of the new file.
  ["create", "link late EIO"],
  ["bitmap of a draft", "rename late EIO"],
  // The change was stored by then, and nobody said so.
  ["bitmap of a draft", "fstat error EIO"],
  ["bitmap --merge other", "close late EIO"],
  // A temporary file was left.
  ["load", "fstat error EACCES"],
  // A disk that cannot be read was taken for a second owner of a cluster.
  ["bitmap --remove, it shares a cluster", "pread error EIO of all"],
  // A second name of the new file was left, and kept it from being changed.
  ["load --draft", "unlink error EIO of all"],
];

/** A part of the injections, the same ones each time. */
function sample(name: string, all: readonly Injection[], seed: number): Injection[] {
  const random = seededRandom(seed);
  const isFound = ({ what }: Injection): boolean => FOUND.some((found) => found[0] === name && found[1] === what);
  return all.filter((injection) => random(SHARE) === 0 || isFound(injection));
}

describe.each(CASES.map((each, seed) => ({ each, seed, name: each.name })))("qdb $name", ({ each, seed }) => {
  test("with faults", { timeout: 0 }, async () => {
    const trial = await Trial.begin(each);
    const queue = sample(each.name, injectionsOf(trial.done.calls), seed).entries();
    const wrong: string[] = [];
    const lane = async (): Promise<void> => {
      for (const [at, injection] of queue) {
        count("injections");
        const found = await trial.inject(injection, at);
        wrong.push(...found);
        // A long run tells what it finds at once.
        if (isSoak) for (const line of found) console.error(line);
      }
    };
    await Promise.all(Array.from({ length: LANES }, lane));
    expect(wrong).toEqual([]);
  });
});

/** Names of strace for what the shim calls otherwise. */
const NAMES: Readonly<Record<string, string>> = { pread64: "pread", pwrite64: "pwrite", openat: "open", statx: "stat" };
/** What is no call on a file, or what the library makes of one: a listing of a folder, and a path without links. */
const PARTS: readonly string[] = [
  ...["execve", "dup2", "dup3", "fcntl"],
  ...["newfstatat", "getdents64", "readlink", "readlinkat"],
];

/** Calls on files of a folder, of a log of strace. */
function tracedCalls(log: string, folder: string): string[] {
  return readFileSync(log, "utf8")
    .split("\n")
    .filter((line) => line.replaceAll(`${folder}.`, "").includes(folder))
    .flatMap((line) => {
      const name = /^\d+ +(\w+)\(/.exec(line)?.[1];
      // The end of a call that another one came between.
      if (name === undefined) return [];
      if (line.includes("O_DIRECTORY")) return "opendir";
      return PARTS.includes(name) ? [] : (NAMES[name] ?? name);
    });
}

/** One of each kind. */
const TRACED: readonly string[] = [
  "bitmap --merge other",
  "bitmap of a draft",
  "import into a new file",
  "diff, one more bitmap",
  "copy",
  "check -r: a leak",
];

test("the calls that faults are tried at are all that the command makes on its files", async () => {
  const kinds = new Set<string>();
  // Node itself looks at standard output.
  for (const each of CASES.filter(({ name, stdout }) => (isSoak && stdout === undefined) || TRACED.includes(name))) {
    const folder = folderOf(each);
    const log = `${folder}.strace`;
    const { status, calls } = await run(each, folder, undefined, ["strace", "-f", "-y", "-qq", "-s0", "-o", log]);
    expect({ name: each.name, status }).toEqual({ name: each.name, status: 0 });
    const counted = calls
      .filter(({ name }) => name !== "realpath")
      .map(({ name }) => ({ fstat: "stat", create: "open" })[name] ?? name);
    expect(tracedCalls(log, folder)).toEqual(counted);
    for (const { name } of calls) kinds.add(name);
    rmSync(folder, { recursive: true });
  }
  const files = ["close", "create", "flock", "fstat", "fsync", "ftruncate", "open", "pread", "pwrite", "read"];
  const names = ["fchmod", "link", "opendir", "realpath", "rename", "stat", "unlink"];
  expect([...kinds]).toEqual(expect.arrayContaining([...files, ...names]));
});
