import type { Output } from "./output.ts";
import type { ProgressReporter } from "./progress.ts";

/** An option of a command. Parsing, `--help`, man pages and completions all use this description. */
export interface OptionSpec {
  /** Name without the dashes. */
  readonly long: string;
  /** One letter. */
  readonly short?: string;
  /** Placeholder of its value, in capitals. An option without it takes no value. */
  readonly value?: string;
  /** The value is optional, and must be given as `--long=value`. */
  readonly optionalValue?: boolean;
  /** The option may be given several times. */
  readonly repeatable?: boolean;
  /** The only values allowed. */
  readonly choices?: readonly string[];
  readonly help: string;
}

/** A command. Everything except `run` is data for help, man pages and completions. */
export interface CommandSpec {
  readonly name: string;
  /** One line without a full stop, for `qdb --help`. */
  readonly summary: string;
  /** Arguments after `qdb NAME`, one line for each way to call the command. */
  readonly synopsis: readonly string[];
  /** Paragraphs. */
  readonly description: readonly string[];
  readonly operands: { readonly min: number; readonly max: number; readonly names: readonly string[] };
  readonly options: readonly OptionSpec[];
  readonly examples: readonly (readonly [command: string, what: string])[];
  /** Exit code of wrong usage, where it is not 2. `check` uses 1, like qemu-img check. */
  readonly usageExitCode?: number;
  /** Runs the command and returns its exit code. @throws {QdbError} printed as the error line; the exit code is 1, or 2 for USAGE */
  run(call: Call): Promise<number>;
}

/** An option as it was given on the command line. */
export interface GivenOption {
  readonly long: string;
  readonly value: string | undefined;
}

/** What a command runs with: its parsed arguments, its output, progress and signals. */
export interface Call {
  readonly operands: readonly string[];
  /** All options in the order given, for commands whose options are actions. */
  readonly given: readonly GivenOption[];
  /** Whether an option was given. */
  has(long: string): boolean;
  /** The value of an option, the last one when it was given several times. */
  value(long: string): string | undefined;
  /** All values of an option, in order. */
  values(long: string): readonly string[];
  /** Whether to print JSON (`--output=json`). */
  readonly json: boolean;
  readonly output: Output;
  /** Starts to show the progress of long work; `label` names the work. */
  progress(label: string): ProgressReporter;
  /** Aborted by SIGINT, SIGTERM and SIGHUP. */
  readonly signal: AbortSignal;
}

/** Option of every command that prints a result as text or JSON. */
export const OUTPUT: OptionSpec = {
  long: "output",
  value: "FORMAT",
  choices: ["human", "json"],
  help: "what to print: human (the default) or json",
};

/** Options of every command that can take long. */
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

/** Option of every command that uses the bits of a bitmap whose disk may have changed. */
export const DISK_CHANGE: OptionSpec = {
  long: "ignore-disk-change",
  help: "use the bitmap although its disk is another one, has changed since it was stored, or cannot be looked at",
};

/** Option of every command that relies on clean bits. */
export const HEADER_DAMAGE: OptionSpec = {
  long: "ignore-header-damage",
  help: "use the bitmap although the file's header is damaged and was read from its mirror",
};

/** Option of every command. */
export const HELP: OptionSpec = { long: "help", short: "h", help: "show this help" };
