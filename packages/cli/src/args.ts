import { parseArgs } from "node:util";
import { QdbError, quote } from "@qdb/format";
import { type CommandSpec, type GivenOption, HELP, type OptionSpec } from "./command.ts";

/** What was given to a command. */
export interface ParsedArgs {
  readonly operands: readonly string[];
  /** In the order given. */
  readonly given: readonly GivenOption[];
  /** Whether --help is among them: then nothing else was looked at. */
  readonly help: boolean;
}

/** The error of a wrong command line, with the way to the help. */
export function usageError(command: string, message: string): QdbError {
  return new QdbError("USAGE", `${message}; try: qdb ${command} --help`);
}

/** Reads a command line as the command declares it. @throws {QdbError} USAGE */
export function parseCommandLine(spec: CommandSpec, args: readonly string[]): ParsedArgs {
  const options = [...spec.options, HELP];
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(options.map((option) => [option.long, shapeOf(option)])),
    allowPositionals: true,
    // Our own words for what is wrong: strict mode throws at the first thing, without the way to the help.
    strict: false,
    tokens: true,
  });
  if (tokens.some((token) => token.kind === "option" && token.name === HELP.long)) {
    return { operands: [], given: [], help: true };
  }
  const operands: string[] = [];
  const given: GivenOption[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") operands.push(token.value);
    if (token.kind !== "option") continue;
    const option = options.find(({ long }) => long === token.name);
    if (option === undefined) throw usageError(spec.name, `unknown option ${quote(token.rawName)}`);
    const name = token.rawName;
    const isNext = token.value !== undefined && token.inlineValue === false;
    // Such a value is more often a forgotten one; who means it writes it behind =.
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

/** An optional value stands behind `=` only, so the parser must not take the next argument for it. */
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
