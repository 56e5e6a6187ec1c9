// Which bits of a shell are those that a QDB file waits for.
import { isQdbError, QdbError, quote } from "@qdb/format";
import type { Qcow2Bitmap } from "../bitmaps/bitmap.ts";
import type { Qcow2Index } from "../bitmaps/qcow2-index.ts";
import { qcow2Extensions } from "../files/facts.ts";
import { extensionsEnd, extensionsIn } from "../image/extensions.ts";
import { decodeHeader } from "../image/header.ts";
import { decodeSession, SESSION_EXTENSION, type SessionBitmap, type ShellSession } from "./session-extension.ts";

/** Bytes of a sector: the length of the disk of an image is a multiple of it. */
const SECTOR = 512n;

/** A bitmap of the QDB file, as far as a session concerns it. */
export interface WaitingBitmap {
  readonly name: string;
  /** Id in its chain of backups, a UUID; undefined if it has none. */
  readonly id: string | undefined;
  /** Length of its disk in bytes. */
  readonly size: bigint;
  /** Whether the flag in_use is set. */
  readonly inUse: boolean;
  /** Its session: the UUID, and the inode of the shell; undefined if it has none. */
  readonly session: { readonly id: string; readonly file: bigint } | undefined;
}

/** The shell that is to be taken. */
export interface ShellFile {
  readonly index: Qcow2Index;
  readonly session: ShellSession;
  /** Inode of the file. */
  readonly inode: bigint;
}

/** A bitmap of the QDB file, and the bitmap of the shell that collected for it. */
export interface CollectedBitmap {
  readonly name: string;
  /** Length of its disk in bytes, according to the QDB file. */
  readonly size: bigint;
  readonly from: Qcow2Bitmap;
}

/** Returns the length of the disk of a shell for a disk of `size` bytes. */
export function shellSize(size: bigint): bigint {
  return ((size + SECTOR - 1n) / SECTOR) * SECTOR;
}

/** Returns the session for which an image collects; undefined if it is no shell. @throws {QdbError} BAD_FIELD if the extension is damaged; DUPLICATE_TYPE if there are two */
export function sessionOf(index: Qcow2Index): ShellSession | undefined {
  const [extension, second] = [...qcow2Extensions(index)].filter(({ type }) => type === SESSION_EXTENSION);
  if (extension === undefined) return undefined;
  if (second !== undefined) {
    const where = { structure: "session extension", offset: second.fileOffset };
    throw new QdbError("DUPLICATE_TYPE", "there are two session extensions; which one holds is not known", where);
  }
  return decodeSession(extension.data, extension.fileOffset);
}

/** Whether an image has a session extension, by its first bytes: then it is a shell. An image whose header is damaged has none. */
export function hasSession(head: Uint8Array): boolean {
  try {
    const header = decodeHeader(head);
    const end = Math.min(extensionsEnd(header), head.length);
    return [...extensionsIn(head, header.headerLength, end)].some(({ type }) => type === SESSION_EXTENSION);
  } catch (error) {
    if (isQdbError(error)) return false;
    throw error;
  }
}

/**
 * Returns the bitmaps of a QDB file for which a shell has collected, all of its session. A bitmap that was removed from the file since is left
 * out. One doubt about one of them refuses all.
 * @throws {QdbError} INCONSISTENT if the shell is of another file or session, or the bits of one of its bitmaps may miss writes; NOT_FOUND for
 * a bitmap that is not in the shell any more; SIZE_MISMATCH; the code of the first problem of a bitmap of the shell
 */
export function collectedBitmaps(
  shell: ShellFile,
  file: { readonly fileId: string; readonly bitmaps: readonly WaitingBitmap[] },
): readonly CollectedBitmap[] {
  const { session, inode } = shell;
  if (session.fileId !== file.fileId) throw refused("it was made for another QDB file");
  const waiting = file.bitmaps.filter((bitmap) => bitmap.session?.id === session.id);
  if (waiting.length === 0)
    throw refused("no bitmap of the QDB file is in its session: it was taken before, or given up");
  if (waiting.some((bitmap) => bitmap.session?.file !== inode))
    throw refused("it is a copy: the session is that of another file, with another inode");
  return waiting.map((bitmap) => ({ name: bitmap.name, size: bitmap.size, from: bitmapOf(shell, bitmap) }));
}

function bitmapOf({ index, session }: ShellFile, bitmap: WaitingBitmap): Qcow2Bitmap {
  const { name, size, inUse } = bitmap;
  if (!inUse) throw refused(`the bitmap ${quote(name)} is not in use any more`);
  const listed = session.bitmaps.find((other) => isSame(other, bitmap));
  if (listed === undefined) throw refused(`its session does not list the bitmap ${quote(name)}`);
  const from = index.bitmaps.find((other) => other.name === listed.name);
  if (from === undefined)
    throw new QdbError("NOT_FOUND", `the shell has no bitmap ${quote(listed.name)} any more`, { bitmap: listed.name });
  const { problem } = from;
  if (problem !== undefined) throw QdbError.from(problem);
  if (!from.enabled)
    throw refused(`the bitmap ${quote(listed.name)} of the shell is disabled: it misses what was written since`);
  if (from.shape.size === shellSize(size)) return from;
  const message = `the shell has a disk of ${from.shape.size} bytes, the bitmap ${quote(name)} is of one of ${size}`;
  throw new QdbError("SIZE_MISMATCH", message, { bitmap: name });
}

/** Whether a bitmap of the file is one of the session: a bitmap in a session keeps its name and its id. */
function isSame(listed: SessionBitmap, { id, name }: WaitingBitmap): boolean {
  return listed.name === name && listed.id === id;
}

function refused(why: string): QdbError {
  const message = `the shell cannot be taken: ${why}; the bitmaps stay in use, and qdb bitmap --mark-all makes them usable`;
  return new QdbError("INCONSISTENT", message);
}
