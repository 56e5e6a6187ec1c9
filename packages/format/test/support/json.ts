import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import {
  bytesSource,
  type Digests,
  type DumpOptions,
  dumpPlan,
  type FileContents,
  JsonLoader,
  type LoadOptions,
  readIndex,
  runSync,
  streamSync,
} from "@qdb/format";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";

const schemas = new URL("../../../../spec/schema/", import.meta.url);

/** Node's SHA-256; CRC-32 stays the library's own. */
export const digests: Digests = {
  sha256: () => {
    const hash = createHash("sha256");
    return { update: (bytes) => void hash.update(bytes), hex: () => hash.digest("hex") };
  },
};

/** NameLookup of the schemas of the specification. */
export const SCHEMAS: readonly string[] = readdirSync(schemas)
  .filter((file) => file.endsWith(".schema.json"))
  .map((file) => file.replace(".schema.json", ""));

let ajv: Ajv2020 | undefined;

/** The validator of a schema; all of them are loaded, since they refer to each other. */
export function validator(name: string): ValidateFunction {
  if (ajv === undefined) {
    ajv = new Ajv2020({ strict: true, allErrors: true });
    for (const schema of SCHEMAS)
      ajv.addSchema(JSON.parse(readFileSync(new URL(`${schema}.schema.json`, schemas), "utf8")));
  }
  const validate = ajv.getSchema(`urn:qdb:schema:1:${name}`);
  if (validate === undefined) throw new Error(`no schema ${name}`);
  return validate;
}

/** The documents that stand beside a schema, each named valid-… or invalid-…. */
export function examples(schema: string): { readonly name: string; readonly text: string }[] {
  const folder = new URL(`examples/${schema}/`, schemas);
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
export function load(text: string, size = text.length, options: Partial<LoadOptions> = {}): FileContents {
  const loader = new JsonLoader({ ...IDS, digests, ...options });
  for (let at = 0; at < text.length; at += size) loader.push(text.slice(at, at + size));
  return loader.finish();
}
