import { openFileSource } from "../files/file-source.ts";

interface Signature {
  readonly format: string;
  readonly offset: number;
  /** Latin-1. */
  readonly magic: string;
}

/** Magics as QEMU's block drivers probe them. */
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

/** A VHD of fixed size begins with the disk and ends with its only header, of 512 bytes or, by old tools, 511. */
const VHD_FOOTERS: readonly number[] = [512, 511];
const VHD_MAGIC = "conectix";

/**
 * The format of an image whose bytes are not the disk's: the name of the one whose magic the file has, undefined for
 * what can be a raw image. A raw disk can hold such bytes by chance or by a guest's will, so the caller can insist.
 * @throws {QdbError} as opening and reading a file source
 */
export function detectForeignImage(path: string): string | undefined {
  const source = openFileSource(path);
  try {
    const has = (offset: number, magic: string): boolean =>
      offset >= 0 &&
      offset + magic.length <= source.size &&
      Buffer.from(source.readSync(offset, magic.length)).toString("latin1") === magic;
    const found = SIGNATURES.find(({ offset, magic }) => has(offset, magic));
    if (found !== undefined) return found.format;
    return VHD_FOOTERS.some((length) => has(source.size - length, VHD_MAGIC)) ? "VHD" : undefined;
  } finally {
    source.close();
  }
}
