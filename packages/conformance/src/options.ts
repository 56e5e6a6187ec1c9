import { existsSync, readFileSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { messageOf } from "./adapter.ts";
import { shellWords } from "./words.ts";

/** Profiles that can be claimed. */
export const PROFILES: readonly string[] = ["read", "check", "write", "update", "repair"];

/** A wrong command line. */
export class UsageError extends Error {}

/** What a run is told. */
export interface Options {
  readonly command: readonly string[];
  readonly once: boolean;
  /** Empty: those that the program claims. */
  readonly profiles: readonly string[];
  readonly filters: readonly string[];
  readonly known: ReadonlyMap<string, string>;
  readonly judges: readonly (readonly string[])[];
  readonly reportJson: string | undefined;
  readonly reportJunit: string | undefined;
  readonly corpus: string;
  readonly keep: string | undefined;
  readonly timeoutMs: number;
  readonly jobs: number;
  readonly list: boolean;
  readonly verbose: boolean;
  readonly help: boolean;
  readonly version: boolean;
}

const SHAPE = {
  exec: { type: "string" },
  once: { type: "boolean" },
  profile: { type: "string", multiple: true },
  filter: { type: "string", multiple: true },
  list: { type: "boolean" },
  "known-failures": { type: "string" },
  judge: { type: "string", multiple: true },
  "report-json": { type: "string" },
  "report-junit": { type: "string" },
  corpus: { type: "string" },
  keep: { type: "string" },
  timeout: { type: "string" },
  jobs: { type: "string" },
  verbose: { type: "boolean", short: "v" },
  help: { type: "boolean", short: "h" },
  version: { type: "boolean" },
} as const;

/** Reads the command line. @throws {UsageError} what is wrong with it */
export function parseOptions(args: readonly string[]): Options {
  // Node puts it for bytes that are not UTF-8: a path would be another one.
  if (args.some((argument) => argument.includes("\ufffd")))
    throw new UsageError("an argument is not UTF-8, or holds U+FFFD; use other paths");
  const values = parsed(args);
  const { help = false, version = false, list = false, exec } = values;
  if (help && !args.some((argument) => argument === "--help" || argument === "-h"))
    throw new UsageError("-h stands alone");
  if (version && (list || exec !== undefined)) throw new UsageError("--version stands alone");
  if (exec === undefined && !help && !version && !list)
    throw new UsageError("--exec 'COMMAND ARGS' is missing: the program to test");
  const profiles = values.profile ?? [];
  const unknown = profiles.find((profile) => !PROFILES.includes(profile));
  if (unknown !== undefined)
    throw new UsageError(`there is no profile ${JSON.stringify(unknown)}; the profiles are ${PROFILES.join(", ")}`);
  const known = values["known-failures"];
  return {
    command: exec === undefined ? [] : words(exec, "--exec"),
    once: values.once ?? false,
    profiles,
    filters: values.filter ?? [],
    known: known === undefined ? new Map() : knownFailures(known),
    judges: (values.judge ?? []).map((judge) => words(judge, "--judge")),
    reportJson: values["report-json"],
    reportJunit: values["report-junit"],
    corpus: values.corpus ?? ownCorpus(),
    keep: values.keep,
    timeoutMs: Math.ceil(1000 * number(values.timeout ?? "10", "--timeout", 0.001, 86_400)),
    jobs: Math.floor(number(values.jobs ?? "1", "--jobs", 1, 256)),
    list,
    verbose: values.verbose ?? false,
    help,
    version,
  };
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: SHAPE, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw new UsageError(messageOf(error));
  }
}

function words(text: string, option: string): string[] {
  try {
    return shellWords(text);
  } catch (error) {
    throw new UsageError(`${option}: ${messageOf(error)}`);
  }
}

function number(text: string, option: string, least: number, most: number): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new UsageError(`${option} takes a number from ${least} to ${most}, not ${JSON.stringify(text)}`);
}

/** A line for each vector: its id and why it is expected to fail. @throws {UsageError} for a line without a reason */
function knownFailures(path: string): Map<string, string> {
  const known = new Map<string, string>();
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new UsageError(`--known-failures: ${messageOf(error)}`);
  }
  for (const [at, line] of text.split(/\r?\n/).entries()) {
    const entry = line.trim();
    if (entry === "" || entry.startsWith("#")) continue;
    const [, id = "", reason = ""] = /^(\S+)\s*(.*)$/.exec(entry) ?? [];
    if (reason === "") throw new UsageError(`${path}, line ${at + 1}: ${id} needs a reason behind it`);
    if (known.has(id)) throw new UsageError(`${path}, line ${at + 1}: ${id} stands there twice`);
    known.set(id, reason);
  }
  return known;
}

/** The corpus that came with the command. */
function ownCorpus(): string {
  const folder = dirname(realpathSync(process.argv[1] ?? "."));
  const beside = join(folder, "corpus");
  return existsSync(beside) ? beside : join(folder, "..", "..", "..", "conformance");
}

/** Whether an id is one of those that a pattern names: `*` is any text, `?` any sign. */
export function matches(id: string, patterns: readonly string[]): boolean {
  const expression = (pattern: string): RegExp =>
    new RegExp(
      `^${pattern
        .replace(/[.+^${}()|[\]\\]/g, "\\$&")
        .replaceAll("*", ".*")
        .replaceAll("?", ".")}$`,
    );
  return patterns.length === 0 || patterns.some((pattern) => expression(pattern).test(id));
}
