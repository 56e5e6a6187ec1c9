import { spawnSync } from "node:child_process";
import { QdbError, quote } from "@qdb/format";
import { errnoOf, fromNode } from "./errors.ts";

/** Exit code of the flock command of util-linux and busybox if the lock is held through another open file description. */
const HELD = 1;

/**
 * Takes the exclusive flock(2) lock of an open file, without waiting. Node has no function for it, so this runs the command `flock` and
 * passes our file descriptor to it. The lock belongs to the open file description and not to a process: it is kept when the command ends,
 * and released when our descriptor is closed, however this process ends.
 * @returns false if the lock is held through another open file description
 * @throws {QdbError} NOT_SUPPORTED if the command is missing; IO for any other failure, such as a file system without locks
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
  // Busybox exits with the same code for every failure, but prints nothing if the lock is held.
  if (status === HELD && said === "") return false;
  const how = said === "" ? `flock ended with ${status ?? signal}` : quote(said);
  throw new QdbError("IO", `cannot lock ${quote(path)}: ${how}`);
}
