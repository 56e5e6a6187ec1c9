// Validators of the schemas of the specification.
import { readdirSync, readFileSync } from "node:fs";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";

const folder = new URL("../../../../spec/schema/", import.meta.url);
const ajv = new Ajv2020({ strict: true, allErrors: true });
for (const name of readdirSync(folder))
  if (name.endsWith(".schema.json")) ajv.addSchema(JSON.parse(readFileSync(new URL(name, folder), "utf8")));

/** The validator of a schema. @throws {Error} when there is none */
export function validator(name: string): ValidateFunction {
  const validate = ajv.getSchema(`urn:qdb:schema:1:${name}`);
  if (validate === undefined) throw new Error(`no schema ${name}`);
  return validate;
}
