import { spawnSync } from "node:child_process";
import { QdbError, quote } from "@qdb/format";
import { errnoOf, fromNode } from "./errors.ts";

/** What util-linux's flock (and busybox's) exits with when another opening has the lock. */
const HELD = 1;

/**
 * Takes the exclusive flock(2) of an open file, not waited for. Node cannot ask for it; `flock`, started with our
 * descriptor as its own, can. The lock belongs to the open file, not to a process: it stays when `flock` ends, and
 * goes when our descriptor is closed, however this process ends.
 * @returns false when another opening of the file has it
 * @throws {QdbError} NOT_SUPPORTED without the command; IO when the file system has no locks and the like
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
  // Busybox's exits the same way for every reason, but is silent about this one.
  if (status === HELD && said === "") return false;
  const how = said === "" ? `flock ended with ${status ?? signal}` : quote(said);
  throw new QdbError("IO", `cannot lock ${quote(path)}: ${how}`);
}
