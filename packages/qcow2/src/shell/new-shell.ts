import type { FileImage } from "@qdb/format/container";
import { newImage } from "../create/new-image.ts";
import { shellSize } from "./collect.ts";
import { encodeSession, type ShellSession } from "./session-extension.ts";

/** Bytes per cluster of a shell: the largest that QEMU allows, so that the tables take few bytes. */
const CLUSTER_SIZE = 2 ** 21;

/** What a new shell is to be. */
export interface NewShell {
  /** Length of the disk in bytes. It is rounded up to a multiple of 512. */
  readonly size: bigint;
  /** Path of the raw disk. QEMU takes a relative one as relative to the directory of the shell. */
  readonly dataFile: string;
  readonly session: ShellSession;
}

/**
 * Returns a qcow2 image without bitmaps whose data is a raw disk: every cluster is mapped to the same place in the disk. The disk is not read.
 * @throws {QdbError} BAD_FIELD for a disk of 0 bytes; LIMIT for too large a disk, or a session of too many bitmaps for one cluster
 */
export function newShell({ size, dataFile, session }: NewShell): FileImage {
  const extensions = [encodeSession(session)];
  return newImage({ size: shellSize(size), clusterSize: CLUSTER_SIZE, dataFile, extensions });
}
