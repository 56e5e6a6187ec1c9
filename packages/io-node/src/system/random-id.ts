import { randomUUID } from "node:crypto";
import { fromUuid } from "@qdb/format/container";

/** Returns 16 random bytes. Node's cache of random bytes is not used, since two copies of a virtual machine would have the same cache. */
export function randomId(): Uint8Array {
  return fromUuid(randomUUID({ disableEntropyCache: true }));
}
