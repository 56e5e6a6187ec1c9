import { createHash } from "node:crypto";
import zlib from "node:zlib";
import { type Digests, QdbError } from "@qdb/format";
import { crc32 as ownCrc32 } from "@qdb/format/container";

/**
 * Number of bytes whose CRC-32 a process computes without zlib. The command loads modules when it needs them first, and reads a file without
 * bits in less time than zlib takes to load.
 */
const WITHOUT_ZLIB = 8 * 1024;
/** Length in bytes of the parts of these bytes: for longer ones the library would load its own kernels. */
const PART = 512;

let left = WITHOUT_ZLIB;
let fastCrc32: typeof zlib.crc32 | undefined;

function fewBytesCrc32(bytes: Uint8Array, previous: number): number {
  let crc = previous;
  for (let at = 0; at < bytes.length; at += PART) crc = ownCrc32(bytes.subarray(at, at + PART), crc);
  return crc;
}

/** Returns the function of zlib. @throws {QdbError} NOT_SUPPORTED */
function zlibCrc32(): typeof zlib.crc32 {
  if (typeof zlib.crc32 === "function") return zlib.crc32;
  const message = `Node.js 20.15 or newer is needed for its zlib.crc32; this is ${process.version}`;
  throw new QdbError("NOT_SUPPORTED", message);
}

/**
 * The checksums of Node: CRC-32 of zlib, and SHA-256 of OpenSSL. `crc32` throws {QdbError} NOT_SUPPORTED on Node before 20.15, unless it is
 * called for a few kilobytes only.
 */
export const nodeDigests: Digests = {
  crc32(bytes, previous = 0) {
    if (fastCrc32 === undefined) {
      left -= bytes.length;
      if (left >= 0) return fewBytesCrc32(bytes, previous);
      fastCrc32 = zlibCrc32();
    }
    return fastCrc32(bytes, previous);
  },
  sha256() {
    const hash = createHash("sha256");
    return { update: (bytes) => void hash.update(bytes), hex: () => hash.digest("hex") };
  },
};
