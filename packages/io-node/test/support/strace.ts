import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { temporaryDirectory } from "./temp.ts";

/** What a script printed, and the system calls on its file, its directory and what else it made there. */
export interface Traced {
  readonly code: string;
  readonly message: string;
  /** `fsync target`, `pwrite64 temporary 4096@0`, …; failed calls end with the errno. */
  readonly calls: readonly string[];
}

/** Faults, and whether they are for calls on the script's file alone. */
export interface Faults {
  readonly inject?: readonly string[];
  readonly onFileOnly?: boolean;
}

const CALLS = "?open,openat,pread64,pwrite64,fsync,ftruncate,?link,?linkat,?unlink,?unlinkat,close";

/**
 * Runs a script of this directory on a file under strace, with faults injected (strace's own syntax): into calls on
 * the file alone, which `-P` sees to, or into all of the process.
 */
export function traced(script: string, path: string, faults: Faults = {}): Traced {
  const log = join(temporaryDirectory(), "strace.log");
  const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
  const { inject = [], onFileOnly = false } = faults;
  const args = ["-f", "-qq", "-y", "-o", log, "-e", `trace=${CALLS}`, ...(onFileOnly ? ["-P", path] : [])];
  args.push(...inject.flatMap((fault) => ["-e", `inject=${fault}`]));
  const node = [process.execPath, "--import", import.meta.resolve("tsx"), here(script), path];
  const { NODE_OPTIONS: _, ...environment } = process.env;
  const env = {
    ...environment,
    TSX_TSCONFIG_PATH: here("../../../../tsconfig.test.json"),
    TSX_DISABLE_CACHE: "1",
    UV_USE_IO_URING: "0",
  };
  const result = spawnSync("strace", [...args, ...node], { encoding: "utf8", env });
  if (result.error) throw new Error("strace is missing: apt-get install strace", { cause: result.error });
  if (result.status !== 0) throw new Error(`the script failed: ${result.stderr}`);
  return { ...JSON.parse(result.stdout), calls: callsOn(path, readFileSync(log, "utf8")) };
}

function callsOn(path: string, log: string): string[] {
  const directory = dirname(path);
  return log.split("\n").flatMap((line) => {
    const call = /^\d+ +(\w+)\((.*)\) += (?:-1 (\w+)|\d+)/.exec(line);
    if (call === null) return [];
    const [, name = "", args = "", errno] = call;
    const names = [...args.matchAll(/[<"](\/[^>"]*)[>"]/g)].map(([, found = ""]) => nameOf(found, path, directory));
    const known = names.filter((found) => found !== undefined);
    if (known.length === 0) return [];
    const place = /, (\d+), (\d+)$/.exec(args);
    const range = /^p(?:read|write)64$/.test(name) && place !== null ? ` ${place[1]}@${place[2]}` : "";
    const flags = /O_\w+(?:\|O_\w+)*(?:, 0\d+)?/.exec(args)?.[0].replace("|O_CLOEXEC", "") ?? "";
    const text = [name.replace(/at$/, ""), ...known, flags].filter((part) => part !== "").join(" ");
    return [`${text}${range}${errno === undefined ? "" : ` ${errno}`}`];
  });
}

function nameOf(found: string, path: string, directory: string): string | undefined {
  if (found === path) return "target";
  if (found === directory) return "directory";
  return dirname(found) === directory && /^\.qdb-[0-9a-f]{16}\.tmp$/.test(basename(found)) ? "temporary" : undefined;
}
