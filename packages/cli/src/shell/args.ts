import { parseArgs } from "node:util";
import { QdbError, quote } from "@qdb/format";
import { type CommandSpec, type GivenOption, HELP, type OptionSpec } from "./command.ts";

/** The parsed arguments of a command. */
export interface ParsedArgs {
  readonly operands: readonly string[];
  /** The options in the order given. */
  readonly given: readonly GivenOption[];
  /** Whether --help was given. Then the other arguments are not parsed. */
  readonly help: boolean;
}

/** Returns the error for a wrong command line. The message refers to --help. */
export function usageError(command: string, message: string): QdbError {
  return new QdbError("USAGE", `${message}; try: qdb ${command} --help`);
}

/** Parses a command line as the command declares its options and operands. @throws {QdbError} USAGE */
export function parseCommandLine(spec: CommandSpec, args: readonly string[]): ParsedArgs {
  const options = [...spec.options, HELP];
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(options.map((option) => [option.long, shapeOf(option)])),
    allowPositionals: true,
    // In strict mode `parseArgs` would throw errors itself, whose messages do not refer to --help.
    strict: false,
    tokens: true,
  });
  const asked = tokens.some(({ kind, index }) => kind === "option" && isHelp(args[index]));
  if (asked) return { operands: [], given: [], help: true };
  const operands: string[] = [];
  const given: GivenOption[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") operands.push(token.value);
    if (token.kind !== "option") continue;
    const option = options.find(({ long }) => long === token.name);
    const name = token.rawName;
    if (option === undefined) throw unknownOption(spec.name, name, args[token.index]);
    if (option === HELP && !name.startsWith("--")) {
      // "-dash" is more likely the name of a file than four options of which one is -h.
      throw usageError(spec.name, `option -h stands alone, ${quote(args[token.index] ?? name)} is given; ${DASHED}`);
    }
    const isNext = token.value !== undefined && token.inlineValue === false;
    // The value of the option was probably forgotten. A value that begins with a dash can be given after "=".
    if (isNext && token.value.length > 1 && token.value.startsWith("-")) {
      throw usageError(
        spec.name,
        `option ${name} needs ${option.value ?? "a value"}, and ${quote(token.value)} looks like an option; write --${option.long}=${option.value ?? "VALUE"}`,
      );
    }
    checkValue(spec.name, name, option, token.value);
    if (option.repeatable !== true && given.some(({ long }) => long === option.long)) {
      throw usageError(spec.name, `option ${name} is given twice`);
    }
    given.push({ long: option.long, value: token.value });
  }
  checkOperands(spec, operands);
  return { operands, given, help: false };
}

const DASHED = "put names that begin with a dash after --";

/** Whether an argument is exactly --help or -h. Other spellings are refused: help exits with 0 without doing what the call asks for. */
function isHelp(argument: string | undefined): boolean {
  return argument === `--${HELP.long}` || argument === `-${HELP.short}`;
}

function unknownOption(command: string, name: string, argument: string | undefined): QdbError {
  if (name.startsWith("--")) return usageError(command, `unknown option ${quote(name)}`);
  const place = argument === undefined || argument === name ? "" : ` in ${quote(argument)}`;
  return usageError(command, `unknown option ${quote(name)}${place}; ${DASHED}`);
}

/**
 * Declares an option for `parseArgs`. An option with an optional value is declared as a boolean, so that the next argument is not taken for
 * its value.
 */
function shapeOf(option: OptionSpec): { type: "boolean" | "string"; short?: string } {
  const type = option.value === undefined || option.optionalValue === true ? "boolean" : "string";
  return option.short === undefined ? { type } : { type, short: option.short };
}

function checkValue(command: string, name: string, option: OptionSpec, value: string | undefined): void {
  if (value === undefined) {
    if (option.value === undefined || option.optionalValue === true) return;
    throw usageError(command, `option ${name} needs a value, ${option.choices?.join(" or ") ?? option.value}`);
  }
  if (option.value === undefined) throw usageError(command, `option ${name} takes no value, ${quote(value)} is given`);
  if (option.choices !== undefined && !option.choices.includes(value)) {
    throw usageError(command, `option ${name} takes ${option.choices.join(" or ")}, not ${quote(value)}`);
  }
}

function checkOperands({ name, operands: { min, max, names } }: CommandSpec, operands: readonly string[]): void {
  const missing = names[operands.length];
  if (operands.length < min) throw usageError(name, `${missing ?? "an operand"} is missing`);
  const extra = operands[max];
  if (extra !== undefined) throw usageError(name, `${quote(extra)} is one operand too many`);
}
