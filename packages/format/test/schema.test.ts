import { isQdbError, QdbError } from "@qdb/format";
import { writeImage } from "@qdb/format/container";
import { describe, expect, test } from "vitest";
import { SCHEMAS, validator } from "../../conformance/test/support/schema.ts";
import { examples, load } from "./support/json.ts";

test("the schemas are the eleven of the specification", () => {
  expect(SCHEMAS).toEqual([
    "check",
    "error",
    "info-qcow2",
    "info",
    "manifest",
    "map",
    "qcow2",
    "qdb-load",
    "qdb",
    "report",
    "response",
  ]);
});

describe.each(SCHEMAS)("examples of %s", (schema) => {
  const documents = examples(schema);

  test("there are valid and invalid ones", () => {
    for (const kind of ["valid-", "invalid-"]) expect(documents.some(({ name }) => name.startsWith(kind))).toBe(true);
    for (const { name } of documents) expect(name).toMatch(/^(in)?valid-.*\.json$/);
  });

  test.each(documents)("$name is judged as it is named", ({ name, text }) => {
    const validate = validator(schema);
    const valid = validate(JSON.parse(text));
    expect(valid, JSON.stringify(validate.errors)).toBe(name.startsWith("valid-"));
  });
});

describe("load judges as the schema does", () => {
  test.each(examples("qdb-load").filter(({ name }) => name.startsWith("valid-")))("$name is taken", ({ text }) => {
    expect(writeImage(load(text)).length).toBeGreaterThan(0);
  });

  test.each(examples("qdb-load").filter(({ name }) => name.startsWith("invalid-")))("$name is refused", ({ text }) => {
    expect(() => load(text)).toThrowError(expect.toSatisfy((error: unknown) => isQdbError(error, "USAGE")));
  });

  test.each(examples("qdb"))(
    "$name of the dump's schema: what its own schema allows is taken, and nothing more",
    ({ text }) => {
      const allowed = validator("qdb-load")(JSON.parse(text)) === true;
      let taken = true;
      try {
        load(text);
      } catch (error) {
        if (!(error instanceof QdbError) || error.code !== "USAGE") throw error;
        taken = false;
      }
      expect(taken).toBe(allowed);
    },
  );
});
