// `qdb` without a command: help, and what is said of an unknown one.
import { QdbError, quote } from "@qdb/format";
import { COMMANDS } from "./commands/index.ts";
import { generalHelp } from "./general-help.ts";
import { commandHelp } from "./help.ts";
import { guarded } from "./run-command.ts";
import type { CommandSpec } from "./shell/command.ts";
import { complain, type Output } from "./shell/output.ts";
import { VERSION_LINE } from "./version.ts";

/** Runs `qdb` with arguments that do not begin with the name of a command. Returns the exit code, and never throws. */
export function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  return guarded(rest, 2, async (output) => {
    if (name === undefined) {
      complain(generalHelp(output.colors).trimEnd());
      return 2;
    }
    if (name === "--version" && rest.length === 0) output.text(VERSION_LINE);
    else if (name === "help" || name === "--help" || name === "-h") output.text(await help(name, rest, output));
    else await loadCommand(name);
    return 0;
  });
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
