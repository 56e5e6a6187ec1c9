// Runs one command, whose code is loaded. Each command is built into a file of its own from this and its own code.
import { isQdbError } from "@qdb/format";
import { commandHelp } from "./help.ts";
import { type ParsedArgs, parseCommandLine, usageError } from "./shell/args.ts";
import { type Call, type CommandSpec, PROGRESS } from "./shell/command.ts";
import { errorJson, errorLine, problemOf } from "./shell/errors.ts";
import { jsonText } from "./shell/json.ts";
import { BrokenPipe, complain, Output } from "./shell/output.ts";
import { type ProgressMode, progressStarter } from "./shell/progress.ts";
import { colorsOf, isTerminal } from "./shell/terminal.ts";
import { requireUtf8 } from "./shell/utf8-arguments.ts";

/** Exit codes for calls that a signal ends, as a shell reports them: 128 plus the number of the signal. */
const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGPIPE: 141, SIGTERM: 143 } as const;

/** Runs a command with the arguments that follow its name. Returns the exit code, and never throws. */
export function run(command: CommandSpec, args: readonly string[]): Promise<number> {
  return guarded(args, command.usageExitCode ?? 2, (output) => runCommand(command, args, output));
}

/** Does the work of a call, prints its error if it has one, and returns the exit code. Never throws. */
export async function guarded(
  args: readonly string[],
  usageExitCode: number,
  work: (output: Output) => Promise<number>,
): Promise<number> {
  const isOnTerminal = isTerminal(1);
  const output = new Output(isOnTerminal, await colorsOf(isOnTerminal));
  try {
    const exitCode = await work(output);
    output.flush();
    return exitCode;
  } catch (error) {
    return report(error, output, usageExitCode, asksForJson(args));
  }
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
  return canShow && !has("quiet") && isTerminal(2) ? "bar" : "none";
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
