import { closingSync } from "@qdb/format/internal";
import { Handle } from "../system/handle.ts";

interface Signature {
  readonly format: string;
  readonly offset: number;
  /** The magic number, each byte as a character of Latin-1. */
  readonly magic: string;
}

/** Magic numbers that QEMU's block drivers probe for. */
const SIGNATURES: readonly Signature[] = [
  { format: "qcow2", offset: 0, magic: "QFI\xfb" },
  { format: "QED", offset: 0, magic: "QED\0" },
  { format: "VMDK", offset: 0, magic: "KDMV" },
  { format: "VMDK", offset: 0, magic: "COWD" },
  { format: "VMDK", offset: 0, magic: "# Disk DescriptorFile" },
  { format: "VHDX", offset: 0, magic: "vhdxfile" },
  { format: "VHD", offset: 0, magic: "conectix" },
  { format: "VDI", offset: 64, magic: "\x7f\x10\xda\xbe" },
  { format: "parallels", offset: 0, magic: "WithoutFreeSpace" },
  { format: "parallels", offset: 0, magic: "WithouFreSpacExt" },
];

/** Lengths in bytes of the footer of a fixed-size VHD, which has no header at its beginning. Old tools write a footer of 511 bytes. */
const VHD_FOOTERS: readonly number[] = [512, 511];
const VHD_MAGIC = "conectix";

/**
 * Returns the name of the image format whose magic number a file has; undefined if it has none, as a raw image. A raw image can have such
 * bytes too, by chance or because the guest wrote them, so that a caller should let the user override the result.
 * @throws {QdbError} as the constructor of `FileSource`; IO if the file cannot be read; SHORT_READ if the file becomes shorter meanwhile
 */
export function detectForeignImage(path: string): string | undefined {
  const image = Handle.openForReading(path);
  return closingSync(image, () => {
    const size = Number(image.status().size);
    const has = (offset: number, magic: string): boolean => {
      if (offset < 0 || offset + magic.length > size) return false;
      const bytes = Buffer.alloc(magic.length);
      image.readInto(bytes, magic.length, offset);
      return bytes.toString("latin1") === magic;
    };
    const found = SIGNATURES.find(({ offset, magic }) => has(offset, magic));
    if (found !== undefined) return found.format;
    return VHD_FOOTERS.some((length) => has(size - length, VHD_MAGIC)) ? "VHD" : undefined;
  });
}
