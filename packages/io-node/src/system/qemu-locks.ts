import type { OfdLocks } from "./ofd-locks.ts";

// QEMU numbers the permissions on an image: 0 reading, 1 writing, 3 changing the length. A shared lock of byte 100 + n says that a program
// has permission n, one of byte 200 + n that it lets no other one have it. A program takes its locks first and looks for those of others
// then, so that of two that start at once at least one gives way.

/** The bytes that a writer of an image locks: it reads, writes and changes the length, and shares only reading. */
const OWN = [100, 101, 103, 201, 203];

/** The bytes that no other program may have locked: what a writer does must be shared, and what it does not share not be done. */
const CONFLICTING = [200, 201, 203, 101, 103];

/**
 * Takes the locks that QEMU's writers have on an image. They are held until the file is closed. `path` is for messages.
 * @returns false if another program has the image open in a way that these exclude; some of the locks are held then: close the file
 * @throws {QdbError} IO if the system cannot lock
 */
export function takeQemuLocks(locks: OfdLocks, descriptor: number, path: string): boolean {
  return (
    OWN.every((byte) => locks.share(descriptor, byte, path)) &&
    !CONFLICTING.some((byte) => locks.isTaken(descriptor, byte, path))
  );
}

/**
 * Whether a line of /proc/locks, or of a file of /proc/PID/fdinfo, is about a lock that excludes a writer of an image. A QEMU that was built
 * without locks of open file descriptions takes those of processes (POSIX).
 */
export function excludesWriter(line: string): boolean {
  const [, first, last] = /\d+: (?:OFDLCK|POSIX) .* (\d+) (\d+|EOF)$/.exec(line) ?? [];
  if (first === undefined || last === undefined) return false;
  const end = last === "EOF" ? Infinity : Number(last);
  return CONFLICTING.some((byte) => byte >= Number(first) && byte <= end);
}
