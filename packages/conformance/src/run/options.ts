import { existsSync, readFileSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { messageOf } from "../text/messages.ts";
import { shellWords } from "../text/shell-words.ts";

/** The profiles that a program can claim. */
export const PROFILES: readonly string[] = ["read", "check", "write", "update", "repair"];

/** The error of a wrong command line. */
export class UsageError extends Error {}

/** The options of the command line. help.ts describes them. */
export interface Options {
  /** The words of the command of the program under test. */
  readonly command: readonly string[];
  readonly once: boolean;
  /** Profiles whose vectors are tried. If it is empty, those that the program claims. */
  readonly profiles: readonly string[];
  /** Patterns of ids. If it is empty, all vectors are tried. */
  readonly filters: readonly string[];
  /** The known failures: for the id of a vector, the reason why it fails. */
  readonly known: ReadonlyMap<string, string>;
  /** The words of the command of each judge. */
  readonly judges: readonly (readonly string[])[];
  readonly reportJson: string | undefined;
  readonly reportJunit: string | undefined;
  /** The folder of the corpus. */
  readonly corpus: string;
  /** The folder for the files of failed vectors. */
  readonly keep: string | undefined;
  /** Time limit of a request in milliseconds. */
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

/** Parses the command line, and reads the file of known failures. @throws {UsageError} if the command line is wrong */
export function parseOptions(args: readonly string[]): Options {
  // Node replaces bytes of an argument that are not UTF-8 by U+FFFD, so that a path would name another file.
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

function number(text: string, option: string, min: number, max: number): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new UsageError(`${option} takes a number from ${min} to ${max}, not ${JSON.stringify(text)}`);
}

/**
 * Reads a file of known failures. Each line has the id of a vector and the reason why it fails; empty lines and lines that begin with `#` are
 * ignored.
 * @throws {UsageError} if the file cannot be read, if a line has no reason, or if an id is in it twice
 */
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
    if (reason === "") throw new UsageError(`${path}, line ${at + 1}: ${id} needs a reason after it`);
    if (known.has(id)) throw new UsageError(`${path}, line ${at + 1}: ${id} stands there twice`);
    known.set(id, reason);
  }
  return known;
}

/** Returns the folder of the corpus that belongs to the command: beside it in the published package, else that of the repository. */
function ownCorpus(): string {
  const folder = dirname(realpathSync(process.argv[1] ?? "."));
  const beside = join(folder, "corpus");
  return existsSync(beside) ? beside : join(folder, "..", "..", "..", "conformance");
}
