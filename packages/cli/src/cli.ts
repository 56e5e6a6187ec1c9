import { isQdbError, QdbError, quote } from "@qdb/format";
import manifest from "../package.json" with { type: "json" };
import { COMMANDS } from "./commands/index.ts";
import { commandHelp, generalHelp } from "./help.ts";
import { type ParsedArgs, parseCommandLine, usageError } from "./shell/args.ts";
import { type Call, type CommandSpec, PROGRESS } from "./shell/command.ts";
import { errorJson, errorLine, problemOf } from "./shell/errors.ts";
import { jsonText } from "./shell/json.ts";
import { BrokenPipe, complain, Output } from "./shell/output.ts";
import { type ProgressMode, progressStarter } from "./shell/progress.ts";
import { requireUtf8 } from "./shell/utf8-arguments.ts";

/** Exit codes for calls that a signal ends, as a shell reports them: 128 plus the number of the signal. */
const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGPIPE: 141, SIGTERM: 143 } as const;

/** Runs `qdb` with its arguments. Returns the exit code, and never throws. */
export async function main(args: readonly string[]): Promise<number> {
  const output = new Output();
  const [name, ...rest] = args;
  let usageExitCode = 2;
  try {
    let exitCode = 0;
    if (name === undefined) {
      complain(generalHelp(output.colors).trimEnd());
      exitCode = usageExitCode;
    } else if (name === "--version" && rest.length === 0) {
      output.line(`qdb ${manifest.version}`);
    } else if (name === "help" || name === "--help" || name === "-h") {
      output.text(await help(name, rest, output));
    } else {
      const command = await loadCommand(name);
      usageExitCode = command.usageExitCode ?? usageExitCode;
      exitCode = await runCommand(command, rest, output);
    }
    output.flush();
    return exitCode;
  } catch (error) {
    return report(error, output, usageExitCode, asksForJson(rest));
  }
}

async function loadCommand(name: string): Promise<CommandSpec> {
  const known = COMMANDS.find((command) => command.name === name);
  if (known !== undefined) return (await known.load()).command;
  const what = name.startsWith("-") ? "unknown option" : "unknown command";
  throw new QdbError("USAGE", `${what} ${quote(name)}; qdb --help lists the commands`);
}

async function help(name: string, rest: readonly string[], output: Output): Promise<string> {
  const [topic, extra] = rest;
  if (topic === undefined || topic === "--help" || topic === "-h") return generalHelp(output.colors);
  if (name === "help" && extra === undefined) return commandHelp(await loadCommand(topic), output.colors);
  throw new QdbError("USAGE", `${quote(extra ?? topic)} is one operand too many; try: qdb help COMMAND`);
}

async function runCommand(command: CommandSpec, args: readonly string[], output: Output): Promise<number> {
  requireUtf8(args);
  const parsed = parseCommandLine(command, args);
  if (parsed.help) {
    output.text(commandHelp(command, output.colors));
    return 0;
  }
  const abort = new AbortController();
  let exitCode: number | undefined;
  for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      // After the first signal the command can clean up. A second signal ends the process at once.
      if (exitCode !== undefined) process.exit(SIGNALS[signal]);
      exitCode = SIGNALS[signal];
      abort.abort(signal);
    });
  }
  try {
    return await command.run(await callOf(command, parsed, output, abort.signal));
  } catch (error) {
    if (exitCode === undefined || !isQdbError(error, "ABORTED")) throw error;
    output.discard();
    complain(`qdb: [ABORTED] interrupted by ${String(abort.signal.reason)}`);
    return exitCode;
  }
}

async function callOf(
  command: CommandSpec,
  { operands, given }: ParsedArgs,
  output: Output,
  signal: AbortSignal,
): Promise<Call> {
  const values = (long: string): readonly string[] =>
    given.flatMap((option) => (option.long === long && option.value !== undefined ? [option.value] : []));
  const has = (long: string): boolean => given.some((option) => option.long === long);
  const value = (long: string): string | undefined => values(long).at(-1);
  const progress = await progressStarter(progressMode(command, has, value));
  return { operands, given, has, value, values, json: value("output") === "json", output, progress, signal };
}

function progressMode(
  command: CommandSpec,
  has: (long: string) => boolean,
  value: (long: string) => string | undefined,
): ProgressMode {
  if (has("progress") && has("quiet")) {
    throw usageError(command.name, "--progress and --quiet exclude each other");
  }
  if (has("progress")) return value("progress") === "json" ? "json" : "forced";
  const canShow = PROGRESS.every((option) => command.options.includes(option));
  return canShow && !has("quiet") && process.stderr.isTTY === true ? "bar" : "none";
}

/** Whether errors are to be printed as JSON. This is not taken from the parsed arguments, because parsing may be what failed. */
function asksForJson(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  const options = end < 0 ? args : args.slice(0, end);
  return options.some((arg, at) => arg === "--output=json" || (arg === "--output" && options[at + 1] === "json"));
}

/** Prints an error, and returns the exit code. */
function report(error: unknown, output: Output, usageExitCode: number, json: boolean): number {
  if (error instanceof BrokenPipe) return SIGNALS.SIGPIPE;
  const problem = problemOf(error);
  try {
    if (json && !output.hasWritten) {
      output.discard();
      output.line(jsonText(errorJson(problem)));
    } else {
      complain(`qdb: ${errorLine(problem)}`);
    }
    output.flush();
  } catch (second) {
    if (second instanceof BrokenPipe) return SIGNALS.SIGPIPE;
    complain(`qdb: ${errorLine(problemOf(second))}`);
  }
  if (process.env.QDB_DEBUG === "1") complain(stackOf(error));
  return problem.code === "USAGE" ? usageExitCode : 1;
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? "" : `\ncaused by ${stackOf(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}
