// A module of its own: a program that only asks what a file is does not carry the reader.
import { viewOf } from "@qdb/format/internal";

/** The characters `QFI` and the byte fb, with which an image of any version begins. */
export const QCOW2_MAGIC = 0x514649fb;
/** Number of bytes at the beginning of a file that {@link isQcow2} looks at. */
export const QCOW2_MAGIC_SIZE = 4;

/** Whether the first bytes of a file are those of a qcow2 image, of any version. */
export function isQcow2(bytes: Uint8Array): boolean {
  return bytes.length >= QCOW2_MAGIC_SIZE && viewOf(bytes).getUint32(0) === QCOW2_MAGIC;
}
