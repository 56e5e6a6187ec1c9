import { QdbError } from "@qdb/format";

/**
 * Refuses to write on platforms on which it is not proved that acknowledged writes survive a crash. No other code decides on which
 * platforms writing is possible.
 * @throws {QdbError} NOT_SUPPORTED on any platform but Linux
 */
export function requireWritableHost(platform: string = process.platform): void {
  if (platform === "linux") return;
  throw new QdbError(
    "NOT_SUPPORTED",
    `writing QDB files needs link(2), fsync of files and directories, and flock(2) as Linux has them; on ${platform} this is missing or not proved yet. Reading works here; write on Linux`,
  );
}
