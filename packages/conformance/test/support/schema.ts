// Validators of the schemas of the specification.
import { readdirSync, readFileSync } from "node:fs";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";

/** The folder of the schemas. */
export const SCHEMA_FOLDER: URL = new URL("../../../../spec/schema/", import.meta.url);

/** Names of the schemas of the specification. */
export const SCHEMAS: readonly string[] = readdirSync(SCHEMA_FOLDER)
  .filter((file) => file.endsWith(".schema.json"))
  .map((file) => file.replace(".schema.json", ""));

let ajv: Ajv2020 | undefined;

/** The validator of a schema; all of them are loaded, since they refer to each other. @throws {Error} when there is none */
export function validator(name: string): ValidateFunction {
  if (ajv === undefined) {
    ajv = new Ajv2020({ strict: true, allErrors: true });
    for (const schema of SCHEMAS)
      ajv.addSchema(JSON.parse(readFileSync(new URL(`${schema}.schema.json`, SCHEMA_FOLDER), "utf8")));
  }
  const validate = ajv.getSchema(`urn:qdb:schema:1:${name}`);
  if (validate === undefined) throw new Error(`no schema ${name}`);
  return validate;
}
