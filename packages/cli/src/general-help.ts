import { COMMANDS } from "./commands/index.ts";
import type { Colors } from "./shell/terminal.ts";

/** Returns the help text of `qdb` itself. */
export function generalHelp(colors: Colors): string {
  const width = Math.max(...COMMANDS.map(({ name }) => name.length));
  const lines = [
    `${colors.bold("Usage:")} qdb COMMAND [OPTION…] [OPERAND…]`,
    "",
    "Dirty bitmaps of virtual disks in a file of their own: which ranges of a disk changed.",
    "",
    colors.bold("Commands:"),
    ...COMMANDS.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    "",
    "qdb COMMAND --help tells more about each, with examples; qdb --version gives the version.",
    "Operands that begin with a dash go after --: qdb map -- -odd-name.qdb daily.",
    "Sizes are bytes, or take k, M, G, T, P for powers of 1024: 64K.",
    "Paths and names are UTF-8; others are refused.",
    "Exit codes: 0 done or yes, 1 no or failed, 2 wrong usage; check has its own.",
  ];
  return `${lines.join("\n")}\n`;
}
