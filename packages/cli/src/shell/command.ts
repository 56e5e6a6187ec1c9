import type { Output } from "./output.ts";
import type { ProgressReporter } from "./progress.ts";

/** An option of a command. Parsing, `--help`, man pages and completions are all made from this description. */
export interface OptionSpec {
  /** Name without the two dashes. */
  readonly long: string;
  /** The short name, one letter without the dash. */
  readonly short?: string;
  /** Placeholder for the value in help texts, in capitals. An option without a placeholder takes no value. */
  readonly value?: string;
  /** Whether the value may be left out. If it is given, it must be written as `--long=value`. */
  readonly optionalValue?: boolean;
  /** Whether the option may be given several times. */
  readonly repeatable?: boolean;
  /** The only values that are allowed. Any value is, if this is absent. */
  readonly choices?: readonly string[];
  readonly help: string;
}

/** A command. Help, man pages and completions are made from everything but `run`. */
export interface CommandSpec {
  readonly name: string;
  /** One line without a full stop for `qdb --help`. */
  readonly summary: string;
  /** The arguments after `qdb NAME`, one line for each way to call the command. */
  readonly synopsis: readonly string[];
  /** The paragraphs of the help text. */
  readonly description: readonly string[];
  readonly operands: { readonly min: number; readonly max: number; readonly names: readonly string[] };
  readonly options: readonly OptionSpec[];
  readonly examples: readonly (readonly [command: string, what: string])[];
  /** Exit code for wrong usage, if it is not 2. `check` uses 1, like qemu-img check. */
  readonly usageExitCode?: number;
  /** Runs the command and returns its exit code. @throws {QdbError} an error to print; the exit code is then 1, or 2 for USAGE */
  run(call: Call): Promise<number>;
}

/** An option as it was given on the command line. */
export interface GivenOption {
  readonly long: string;
  readonly value: string | undefined;
}

/** What a command runs with: its parsed arguments, output, progress and abort signal. */
export interface Call {
  readonly operands: readonly string[];
  /** All options in the order given, for commands whose options are actions. */
  readonly given: readonly GivenOption[];
  /** Whether an option was given. */
  has(long: string): boolean;
  /** Returns the value of an option; the last value if it was given several times, undefined if it was not given. */
  value(long: string): string | undefined;
  /** Returns all values of an option, in the order given. */
  values(long: string): readonly string[];
  /** Whether to print JSON (`--output=json`). */
  readonly json: boolean;
  readonly output: Output;
  /** Starts to show the progress of long work. `label` is the name of the work. */
  progress(label: string): ProgressReporter;
  /** Is aborted by SIGINT, SIGTERM or SIGHUP. */
  readonly signal: AbortSignal;
}

/** Option of every command that prints a result either as text or as JSON. */
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
    help: "show progress even if standard error is no terminal; json: one JSON object a line",
  },
  { long: "quiet", short: "q", help: "show no progress" },
];

/** Option of every command that uses a bitmap whose disk may have changed. */
export const DISK_CHANGE: OptionSpec = {
  long: "ignore-disk-change",
  help: "use the bitmap although its disk is another one, has changed since it was stored, or cannot be looked at",
};

/** Option of every command that treats clean bits as proof that nothing changed. */
export const HEADER_DAMAGE: OptionSpec = {
  long: "ignore-header-damage",
  help: "use the bitmap although the file's header is damaged and was read from its mirror",
};

/** What the help of every command that reads bitmaps says about images. */
export const IMAGES =
  "FILE can be a qcow2 image too: its first bytes tell. It is only read, and no lock is taken; if it keeps changing, the command ends with SOURCE_CHANGED. A bitmap is refused if it is in use, or if a cluster of it is damaged or belongs to something else too.";

/** What the help of commands with {@link DISK_CHANGE} says about images. */
export const NO_DISK =
  "A qcow2 image records no disk and has no second header, so that options about these have no effect on it.";

/** Option that every command has. */
export const HELP: OptionSpec = { long: "help", short: "h", help: "show this help" };
