// Whether there is a terminal, and its colours. What Node and libraries have for that is loaded for terminals only: it takes longer than a
// short call runs.
import { fstatSync, statSync } from "node:fs";

/** Functions that colour text for a terminal, or return it unchanged. */
export type Colors = Readonly<Record<"bold" | "dim" | "green" | "yellow" | "red", (text: string) => string>>;

const same = (text: string): string => text;
const NONE: Colors = { bold: same, dim: same, green: same, yellow: same, red: same };

/** Whether standard output (1) or standard error (2) is a terminal. */
export function isTerminal(fd: 1 | 2): boolean {
  try {
    const stat = fstatSync(fd);
    if (!stat.isCharacterDevice() || stat.rdev === statSync("/dev/null").rdev) return false;
  } catch {
    // It is closed, or there is no /dev/null: Node knows.
  }
  return (fd === 1 ? process.stdout : process.stderr).isTTY === true;
}

/** Returns the colours for standard output: none unless it is a terminal that supports them, and none if NO_COLOR is set. */
export async function colorsOf(isOnTerminal: boolean, env: NodeJS.ProcessEnv = process.env): Promise<Colors> {
  if (!isOnTerminal || (env.NO_COLOR ?? "") !== "" || env.TERM === "dumb") return NONE;
  return (await import("picocolors")).default.createColors(true);
}
