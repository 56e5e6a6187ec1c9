import { type CommandSpec, HELP, type OptionSpec } from "./shell/command.ts";
import type { Colors } from "./shell/terminal.ts";

const WIDTH = 80;

/** Wraps a text into lines of at most 80 columns, indentation included. */
function wrapped(text: string, indent: string): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && indent.length + line.length + 1 + word.length > WIDTH) {
      lines.push(indent + line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, indent + line];
}

/** Returns how an option is written: `-g, --granularity=SIZE`. */
function optionUsage({ long, short, value, optionalValue, choices }: OptionSpec): string {
  const shown = choices?.join("|") ?? value;
  const tail = shown === undefined ? "" : optionalValue === true ? `[=${shown}]` : `=${shown}`;
  return `${short === undefined ? "    " : `-${short}, `}--${long}${tail}`;
}

function optionLines(option: OptionSpec): string[] {
  const usage = `  ${optionUsage(option)}`;
  const column = " ".repeat(30);
  const help = wrapped(option.help, column);
  if (usage.length + 2 > column.length) return [usage, ...help];
  return [usage.padEnd(column.length) + (help[0] ?? "").trimStart(), ...help.slice(1)];
}

/** Returns the help text of one command. */
export function commandHelp(spec: CommandSpec, colors: Colors): string {
  const heading = (text: string): string => colors.bold(text);
  const lines = [
    ...spec.synopsis.map((line, index) => `${index === 0 ? heading("Usage:") : "   or:"} qdb ${spec.name} ${line}`),
    ...spec.description.flatMap((paragraph) => ["", ...wrapped(paragraph, "")]),
    "",
    heading("Options:"),
    ...[...spec.options, HELP].flatMap(optionLines),
    "",
    heading(spec.examples.length === 1 ? "Example:" : "Examples:"),
    ...spec.examples.flatMap(([command, what]) => [`  ${command}`, ...wrapped(what, "      ")]),
  ];
  return `${lines.join("\n")}\n`;
}
