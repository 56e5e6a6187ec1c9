// Whether a run that met a fault told the truth, and what it left.
import { dirname } from "node:path";
import type { Ended, MadeCall } from "./injector.ts";
import type { Injection } from "./plan.ts";

/** What the files are after a run: as before it, or as they are to be; both where only a repair tells them apart; of a copy neither. */
export interface Which {
  readonly isOld: boolean;
  readonly isNew: boolean;
}

/** What a run left, and what it would have given without a fault. */
export interface Found {
  readonly done: Ended;
  readonly which: Which;
  /** Files that it makes or changes. */
  readonly made: readonly string[];
  /** Files that are neither there before it nor made by it. */
  readonly left: readonly string[];
  /** Whether the work may be done in part, and is to be repeated after any error: what is there need not be said. */
  readonly isPartial: boolean;
  /** Whether it prints findings, and ends with 2 where some are left. */
  readonly reports: boolean;
  /** The file of standard output. */
  readonly stdout: string | undefined;
}

/** Warnings may stand before it. */
const ERROR_LINE = /^(?:qdb: warning: [^\n]+\n)*(qdb: \[([A-Z_]+)\] [^\n]+\n)$/;
/** What messages say of the state of a file. */
const SAYS_OLD = /nothing was changed|in its old state|is as it was|nothing is stored/;
const SAYS_NEW = / is stored/;
const SAYS_UNKNOWN = /is unknown/;

/** What is wrong with how a run ended, in words; nothing where nothing is. `done` is what a run without a fault printed. */
export function judgeEnd(
  { expected, errno }: Injection,
  ended: Ended,
  { done, which: { isOld, isNew }, made, left, isPartial, reports, stdout: out }: Found,
): string[] {
  const { status, signal, stdout, stderr } = ended;
  if (expected === "killed") return signal === "SIGKILL" ? [] : [`it was not killed: ${status ?? signal}`];
  const wrong: string[] = [];
  if (signal !== null) wrong.push(`it died of ${signal}`);
  const isNamed = (name: string): boolean => stderr.includes(`"${name}" could not be removed`);
  const unnamed = left.filter((name) => !isNamed(name));
  if (unnamed.length > 0) wrong.push(`${unnamed.join()} is left`);
  if (status === 0) {
    if (expected === "fails") wrong.push("a call failed, and it ends with 0");
    if (!isNew) wrong.push("it ends with 0, and its work is not done");
    if (stdout !== done.stdout) wrong.push("it ends with 0, and printed something else");
    if (expected === "done" && stderr !== done.stderr) wrong.push("it complains, and nothing is wrong");
    return [...wrong, ...judgeFlushes(ended.calls, out)];
  }
  // A report of a check, which names clusters that cannot be read; without them it is one of the run without a fault.
  if (reports && status === 2 && errno !== undefined && stdout.includes("[IO]") && stdout.includes(errno)) return wrong;
  if (expected === "done") wrong.push("it fails, and nothing is wrong");
  if (status !== 1) wrong.push(`it ends with ${status}`);
  if (stdout !== "" && !done.stdout.startsWith(stdout)) wrong.push("it failed, and printed something else");
  const [, line = "", code] = ERROR_LINE.exec(stderr) ?? [];
  if (code === undefined) wrong.push("no error line");
  else if (errno !== undefined && !(["IO", "POISONED"].includes(code) && line.includes(errno))) {
    wrong.push(`the system said ${errno}`);
  }
  if (SAYS_OLD.test(line) && !isOld) wrong.push("it calls the state old");
  else if (SAYS_NEW.test(line) && !isNew) wrong.push("it calls the state new");
  else if (
    isNew &&
    !isOld &&
    !isPartial &&
    ![SAYS_NEW, SAYS_UNKNOWN].some((words) => words.test(line)) &&
    !made.some(isNamed)
  ) {
    wrong.push("its work is done, and it does not say so");
  }
  return wrong;
}

/**
 * What is not on the disk, by the calls of a run that ended with 0: every write and cut is behind by a flush of its file, a file
 * is flushed before it gets its name, and then its directory; and no call that the disk needs failed. `out` is the user's file.
 */
export function judgeFlushes(calls: readonly MadeCall[], out?: string): string[] {
  const wrong: string[] = [];
  const written = new Set<string>();
  const named = new Set<string>();
  for (const { class: kind, name, result, path, path2, errno } of calls) {
    const failed = result === undefined || result < 0;
    // A call that a signal interrupts is made again.
    if (failed && "wf".includes(kind) && errno !== 4) wrong.push(`${name} ${path} failed, and it ends with 0`);
    if (failed) continue;
    if (kind === "f") written.delete(path), named.delete(path);
    else if (["pwrite", "write", "ftruncate"].includes(name) && path !== out) written.add(path);
    else if (name === "link" || name === "rename") {
      if (written.has(path)) wrong.push(`${name} ${path}: it was not flushed before`);
      named.add(dirname(path2));
    } else if (name === "create") named.add(dirname(path));
    else if (name === "unlink" && written.delete(path)) named.delete(dirname(path));
  }
  return [...wrong, ...[...written, ...named].map((path) => `${path} is not flushed, and it ends with 0`)];
}
