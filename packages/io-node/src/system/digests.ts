import { createHash } from "node:crypto";
import zlib from "node:zlib";
import { type Digests, QdbError } from "@qdb/format";

/** The checksums of Node: CRC-32 of zlib, and SHA-256 of OpenSSL. `crc32` throws {QdbError} NOT_SUPPORTED on Node before 20.15. */
export const nodeDigests: Digests = {
  crc32(bytes, previous = 0) {
    if (typeof zlib.crc32 !== "function") {
      throw new QdbError(
        "NOT_SUPPORTED",
        `Node.js 20.15 or newer is needed for its zlib.crc32; this is ${process.version}`,
      );
    }
    return zlib.crc32(bytes, previous);
  },
  sha256() {
    const hash = createHash("sha256");
    return { update: (bytes) => void hash.update(bytes), hex: () => hash.digest("hex") };
  },
};
