import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { Bitmap, bytesSource, type Digests } from "@qdb/format";
import {
  type DumpOptions,
  dumpPlan,
  type FileContents,
  JsonLoader,
  type LoadOptions,
  readIndex,
  runSync,
  streamSync,
} from "@qdb/format/container";
import { SCHEMA_FOLDER } from "../../../conformance/test/support/schema.ts";

/** Node's SHA-256; CRC-32 stays the library's own. */
export const digests: Digests = {
  sha256: () => {
    const hash = createHash("sha256");
    return { update: (bytes) => void hash.update(bytes), hex: () => hash.digest("hex") };
  },
};

/** The documents that stand beside a schema, each named valid-… or invalid-…. */
export function examples(schema: string): { readonly name: string; readonly text: string }[] {
  const folder = new URL(`examples/${schema}/`, SCHEMA_FOLDER);
  return readdirSync(folder).map((name) => ({ name, text: readFileSync(new URL(name, folder), "utf8") }));
}

/** The JSON form of a file. */
export function dump(
  bytes: Uint8Array,
  options: DumpOptions = {},
  given: Digests = digests,
): { text: string; errors: number } {
  const source = bytesSource(bytes);
  const index = runSync(readIndex(bytes.length, given), source);
  let text = "";
  const pieces = streamSync(dumpPlan(index, given, options), source);
  for (;;) {
    const step = pieces.next();
    if (step.done === true) return { text, errors: step.value.errors };
    text += step.value;
  }
}

export const IDS = { fileId: new Uint8Array(16).fill(0xf1), writerId: new Uint8Array(16).fill(0x31) };

/** Loads a JSON form that comes in pieces of so many characters. */
export function load(text: string, size = text.length, options: Partial<LoadOptions<Bitmap>> = {}): FileContents {
  const loader = new JsonLoader({ ...IDS, digests, newBits: Bitmap.clean, ...options });
  for (let at = 0; at < text.length; at += size) loader.push(text.slice(at, at + size));
  return loader.finish();
}
