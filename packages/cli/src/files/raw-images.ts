import { QdbError, quote } from "@qdb/format";
import { detectForeignImage } from "@qdb/io-node";
import type { Call, OptionSpec } from "../shell/command.ts";

/** Option of every command that reads or writes the content of disk images. */
export const IMAGE_FORMAT: OptionSpec = {
  long: "format",
  short: "f",
  value: "FORMAT",
  choices: ["raw"],
  help: "raw: take the images as raw ones, although one begins like a qcow2, VMDK, VHDX or VDI file",
};

/**
 * Refuses an image that is not raw.
 * @throws {QdbError} NOT_SUPPORTED, and what opening and reading the image throw
 */
export function requireRaw(path: string, advice: string): void {
  const format = detectForeignImage(path);
  if (format === undefined) return;
  throw new QdbError(
    "NOT_SUPPORTED",
    `${quote(path)} is a ${format} image: its bytes are not those of the disk; ${advice}`,
  );
}

/** Refuses images that are not raw, unless --format=raw is given. @throws {QdbError} NOT_SUPPORTED, and what opening and reading them throw */
export function requireRawImages(paths: readonly string[], call: Pick<Call, "value">): void {
  if (call.value(IMAGE_FORMAT.long) === "raw") return;
  for (const path of paths)
    requireRaw(path, "convert it with qemu-img convert -O raw, or say -f raw if it is a raw image after all");
}
