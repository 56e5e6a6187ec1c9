import { readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { type Ended, runToEnd, scriptCommand } from "./child.ts";
import { temporaryDirectory } from "./temp.ts";

/** System calls on a script's file, its directory and what else it made there: `fsync target`, `pwrite64 temporary 4096@0`, …; failed ones end with the errno. */
type Calls = readonly string[];

/** How a script ended, and what it called. */
export interface TracedEnd extends Ended {
  readonly calls: Calls;
}

/** What a script printed, and what it called. */
export interface Traced {
  readonly code: string;
  readonly message: string;
  readonly calls: Calls;
}

/** Faults (strace's own syntax), and whether they are for calls on the script's file alone. */
export interface Faults {
  readonly inject?: readonly string[];
  readonly onFileOnly?: boolean;
}

const CALLS =
  "?open,openat,pread64,pwrite64,fsync,ftruncate,?link,?linkat,?unlink,?unlinkat,close,flock,?rename,?renameat,?renameat2,?fchown,?fchmod";

/**
 * Runs a script of this directory on a file under strace, with faults injected: into calls on the file alone, which `-P`
 * sees to, or into all of the process.
 */
export function tracedEnd(script: string, path: string, faults: Faults = {}, args: readonly string[] = []): TracedEnd {
  const log = join(temporaryDirectory(), "strace.log");
  const { inject = [], onFileOnly = false } = faults;
  const options = ["-f", "-qq", "-y", "-o", log, "-e", `trace=${CALLS}`, ...(onFileOnly ? ["-P", path] : [])];
  options.push(...inject.flatMap((fault) => ["-e", `inject=${fault}`]));
  const ended = runToEnd(["strace", ...options, ...scriptCommand(script, path, ...args)]);
  return { ...ended, calls: callsOn(path, readFileSync(log, "utf8")) };
}

/** The same for a script that must end well. */
export function traced(script: string, path: string, faults: Faults = {}): Traced {
  const { status, stdout, stderr, calls } = tracedEnd(script, path, faults);
  if (status !== 0) throw new Error(`the script failed: ${stderr}`);
  return { ...JSON.parse(stdout), calls };
}

function callsOn(path: string, log: string): string[] {
  const directory = dirname(path);
  return wholeLines(log).flatMap((line) => {
    const call = /^\d+ +(\w+)\((.*)\) += (?:-1 (\w+)|\d+)/.exec(line);
    if (call === null) return [];
    const [, name = "", args = "", errno] = call;
    const names = [...args.matchAll(/[<"](\/[^>"]*)[>"]/g)].map(([, found = ""]) => nameOf(found, path, directory));
    const known = names.filter((found) => found !== undefined);
    if (known.length === 0) return [];
    const place = /, (\d+), (\d+)$/.exec(args);
    const range = /^p(?:read|write)64$/.test(name) && place !== null ? ` ${place[1]}@${place[2]}` : "";
    const flags = /(?:O|LOCK)_\w+(?:\|\w+)*(?:, 0\d+)?/.exec(args)?.[0].replace("|O_CLOEXEC", "") ?? "";
    const text = [name.replace(/at2?$/, ""), ...known, flags].filter((part) => part !== "").join(" ");
    return [`${text}${range}${errno === undefined ? "" : ` ${errno}`}`];
  });
}

/** The lines of a log, each call on one: strace cuts a call in two where another thread made one meanwhile. */
function wholeLines(log: string): string[] {
  const begun = new Map<string, string>();
  return log.split("\n").flatMap((line) => {
    const [, caller = "", start] = /^(\d+) +(.*?) ?<unfinished \.\.\.>$/.exec(line) ?? [];
    if (start !== undefined) {
      begun.set(caller, start);
      return [];
    }
    const [, thread = "", rest] = /^(\d+) +<\.\.\. \w+ resumed>(.*)$/.exec(line) ?? [];
    return [rest === undefined ? line : `${thread} ${begun.get(thread) ?? ""}${rest}`];
  });
}

function nameOf(found: string, path: string, directory: string): string | undefined {
  if (found === path) return "target";
  if (found === directory) return "directory";
  return dirname(found) === directory && /^\.qdb-[0-9a-f]{16}\.tmp$/.test(basename(found)) ? "temporary" : undefined;
}
