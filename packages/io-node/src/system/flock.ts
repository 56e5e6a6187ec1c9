import { spawnSync } from "node:child_process";
import { QdbError, quote } from "@qdb/format";
import { errnoOf, fromNode } from "./errors.ts";

/** Exit code of the flock command of util-linux and busybox when the file is locked through another open. */
const HELD = 1;

/**
 * Takes the exclusive flock(2) lock of an open file without waiting. Node has no call for it, so this runs the command `flock` with
 * our file descriptor. The lock belongs to the open file, not to a process: it is kept when `flock` ends, and released when our
 * descriptor is closed, however this process ends.
 * @returns false when the file is locked through another open
 * @throws {QdbError} NOT_SUPPORTED without the command; IO for any other failure, such as a file system without locks
 */
export function tryFlock(fd: number, path: string): boolean {
  const { error, status, signal, stderr } = spawnSync("flock", ["-x", "-n", "3"], {
    stdio: ["ignore", "ignore", "pipe", fd],
    encoding: "utf8",
  });
  if (error !== undefined) {
    if (errnoOf(error) !== "ENOENT") throw fromNode(error, "start flock to lock", path);
    throw new QdbError(
      "NOT_SUPPORTED",
      `cannot lock ${quote(path)}: the command flock is missing; install util-linux, which has it`,
      {},
      { cause: error },
    );
  }
  if (status === 0) return true;
  const said = stderr.trim();
  // Busybox exits with the same code for every reason, but prints nothing for this one.
  if (status === HELD && said === "") return false;
  const how = said === "" ? `flock ended with ${status ?? signal}` : quote(said);
  throw new QdbError("IO", `cannot lock ${quote(path)}: ${how}`);
}
