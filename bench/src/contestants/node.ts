import zlib from "node:zlib";
import { Bitmap } from "@qdb/format";
import type { Input } from "./input.ts";
import { type Operations, operation } from "./operation.ts";
import { saved } from "./qdb.ts";

/** What Node does in C: checksums and copies. They are the limit of storing and loading. */
export function nodeOperations(input: Input): Operations {
  /** The bytes of the QDB file of the first bitmap. */
  const stored = (): Uint8Array => {
    const size = BigInt(input.bitCount) * 65536n;
    return saved(Bitmap.fromBytes(input.bytes("a"), { size, granularity: 65536 }));
  };
  return {
    crc32() {
      const bytes = input.bytes("a");
      return operation(() => zlib.crc32(bytes));
    },
    "copy-crc32"() {
      const bytes = stored();
      const copy = new Uint8Array(bytes.length);
      return operation(
        () => {
          copy.set(bytes);
          return zlib.crc32(copy);
        },
        { answer: () => "-" },
      );
    },
    "copy-crc32-fresh"() {
      const bytes = stored();
      return operation(() => zlib.crc32(bytes.slice()), { answer: () => "-" });
    },
  };
}
