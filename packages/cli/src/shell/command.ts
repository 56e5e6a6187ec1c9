import type { Output } from "./output.ts";
import type { ProgressReporter } from "./progress.ts";

/** An option of a command. What stands here is all that parsing, `--help`, man pages and completions know of it. */
export interface OptionSpec {
  /** Name without the dashes. */
  readonly long: string;
  /** One letter. */
  readonly short?: string;
  /** Placeholder of its value, in capitals; without it the option takes none. */
  readonly value?: string;
  /** The value may be left out, and is given as `--long=value` only. */
  readonly optionalValue?: boolean;
  /** The option may be given several times. */
  readonly repeatable?: boolean;
  /** The only values allowed. */
  readonly choices?: readonly string[];
  readonly help: string;
}

/** A command. Everything but `run` is data, from which help, man pages and completions are made. */
export interface CommandSpec {
  readonly name: string;
  /** One line without a full stop, for `qdb --help`. */
  readonly summary: string;
  /** What follows `qdb NAME`, one line for each way to call it. */
  readonly synopsis: readonly string[];
  /** Paragraphs. */
  readonly description: readonly string[];
  readonly operands: { readonly min: number; readonly max: number; readonly names: readonly string[] };
  readonly options: readonly OptionSpec[];
  readonly examples: readonly (readonly [command: string, what: string])[];
  /** Exit code of wrong usage where it is not 2: `check` has 1, as its peer. */
  readonly usageExitCode?: number;
  /** Does the work and gives the exit code. @throws {QdbError} what becomes the error line; exit code 1, of USAGE 2 */
  run(call: Call): Promise<number>;
}

/** An option as it was given. */
export interface GivenOption {
  readonly long: string;
  readonly value: string | undefined;
}

/** What a command is called with: its parsed arguments and what it talks to. */
export interface Call {
  readonly operands: readonly string[];
  /** Every option in the order given, for commands whose options are actions. */
  readonly given: readonly GivenOption[];
  /** Whether an option was given. */
  has(long: string): boolean;
  /** The value of an option, the last one when it was given several times. */
  value(long: string): string | undefined;
  /** All values of an option, in order. */
  values(long: string): readonly string[];
  /** Whether the output is to be JSON (`--output=json`). */
  readonly json: boolean;
  readonly output: Output;
  /** Starts to show the progress of long work; `label` says what is done. */
  progress(label: string): ProgressReporter;
  /** Aborted by SIGINT, SIGTERM and SIGHUP. */
  readonly signal: AbortSignal;
}

/** Of every command that prints facts. */
export const OUTPUT: OptionSpec = {
  long: "output",
  value: "FORMAT",
  choices: ["human", "json"],
  help: "what to print: human (the default) or json",
};

/** Of every command that can take long. */
export const PROGRESS: readonly OptionSpec[] = [
  {
    long: "progress",
    short: "p",
    value: "FORMAT",
    optionalValue: true,
    choices: ["json"],
    help: "show progress even where standard error is no terminal; json: one JSON object a line",
  },
  { long: "quiet", short: "q", help: "show no progress" },
];

/** Of every command that uses the bits of a bitmap whose disk can have changed. */
export const DISK_CHANGE: OptionSpec = {
  long: "ignore-disk-change",
  help: "use the bitmap although its disk is another one, has changed since it was stored, or cannot be looked at",
};

/** Of every command that takes what a bitmap calls clean for unchanged. */
export const HEADER_DAMAGE: OptionSpec = {
  long: "ignore-header-damage",
  help: "use the bitmap although the file's header is damaged and was read from its mirror",
};

/** Of every command. */
export const HELP: OptionSpec = { long: "help", short: "h", help: "show this help" };
