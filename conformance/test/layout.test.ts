// spec/layout.json and the files made from it agree with the text of the specification, which is written by hand.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { outdated } from "../tools/layout.ts";
import { field, readLayout } from "../tools/layout-json.ts";
import { borders, FIELDS, matrix } from "../tools/matrix.ts";
import { REPOSITORY } from "../tools/places.ts";
import { readRequirements, specText } from "../tools/rules.ts";

const spec = specText();
const layout = readLayout();

/** The cells of the table under a `Table: name` line, by row. */
function table(name: string): string[][] {
  const [, behind = ""] = spec.split(`\nTable: ${name}\n\n`);
  const rows = (behind.split("\n\n")[0] ?? "").split("\n").slice(2);
  return rows.map((row) =>
    row
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

/** A number of the text: `65535`, `2^31`, `2^63-1`. */
function numberIn(text: string): bigint {
  const [, base = "", exponent, less = "0"] = /^(\d+)(?:\^(\d+))?(?:-(\d+))?$/.exec(text) ?? [];
  return (exponent === undefined ? BigInt(base) : BigInt(base) ** BigInt(exponent)) - BigInt(less);
}

test("what follows from the field tables is written (node conformance/tools/layout.ts)", () => {
  expect(outdated()).toEqual([]);
});

describe("spec/layout.json has the byte tables of spec/qdb.md", () => {
  test.each(layout.structures.map((structure) => [structure.name, structure] as const))(
    "%s",
    (name, { size, fields }) => {
      const rows = fields.map(({ offset, size: bytes, type, name: field, meaning, rule }) => {
        return [bytes === 1 ? `${offset}` : `${offset}-${offset + bytes - 1}`, type, field, meaning, rule];
      });
      expect(rows).toEqual(table(name));
      expect(fields.reduce((sum, field) => sum + field.size, 0)).toBe(size);
    },
  );

  test("descriptor bits", () => {
    const rows = layout.descriptor_bits.map(({ first_bit, last_bit, name, meaning, rule }) => {
      return [first_bit === last_bit ? `${first_bit}` : `${first_bit}-${last_bit}`, name, meaning, rule];
    });
    expect(rows).toEqual(table("descriptor bits"));
  });

  test("no other table stands there", () => {
    expect(spec.match(/^Table: /gm)).toHaveLength(layout.structures.length + 1);
  });

  test("the types of extensions and records", () => {
    const extensions = [...spec.matchAll(/^#### .*, type (0x[0-9a-f]{8})$/gm)].map(([, type]) => type);
    expect(Object.values(layout.extension_types)).toEqual(extensions);
    const [, behind = ""] = spec.split("\n| type | name | data |\n|---|---|---|\n");
    const records = (behind.split("\n\n")[0] ?? "").split("\n").map((row) => row.split("|").map((cell) => cell.trim()));
    const types = Object.entries(layout.record_types).map(([name, type]) => [
      `${Number(type)}`,
      name.replace("_", " "),
    ]);
    expect(types).toEqual(records.map(([, type, name]) => [type, name]));
  });
});

describe("a range is that of the text", () => {
  const fields = [...layout.structures.flatMap((structure) => structure.fields), ...layout.descriptor_bits];
  const ids = new Set(readRequirements().map(({ id }) => id));

  test.each(fields.map((field) => [`${field.name}, ${field.rule}`, field] as const))("%s", (_, field) => {
    expect(ids.has(field.rule)).toBe(true);
    const [, from, to] = /(\S+)\.\.([\d^-]+)/.exec(field.meaning) ?? [];
    if (from !== undefined && to !== undefined)
      expect([field.min, field.max]).toEqual([`${numberIn(from)}`, `${numberIn(to)}`]);
    expect(field.align === "cluster").toBe(/\bcluster-aligned\b/.test(field.meaning));
    expect(field.power_of_two === true).toBe(/\ba power of two\b/.test(field.meaning));
    if (/^\d+$/.test(field.meaning)) expect(field.values).toEqual([field.meaning]);
  });
});

test("the dictionary is one of AFL", () => {
  const lines = readFileSync(`${REPOSITORY}conformance/fuzz/qdb.dict`, "utf8").trimEnd().split("\n");
  const words = lines.filter((line) => !line.startsWith("#"));
  const matched = words.map((line) => /^(\w+)="((?:\\x[0-9a-f]{2}){1,8})"$/.exec(line));
  expect(matched).not.toContain(null);
  expect(new Set(matched.map((match) => match?.[1])).size).toBe(words.length);
  expect(new Set(matched.map((match) => match?.[2])).size).toBe(words.length);
  expect(words.length).toBeGreaterThan(50);
});

describe("the boundary matrix", () => {
  const vectors = matrix();

  test("has every number of a file, but for one that may have any value and stands in a list of such", () => {
    const numbers = layout.structures.flatMap(({ name, fields }) =>
      fields.filter(({ type }) => !type.startsWith("bytes")).map((field) => `${name}.${field.name}`),
    );
    const missing = numbers.filter((name) => !FIELDS.some(({ field }) => field === name));
    expect(missing).toEqual(["extension name.type"]);
  });

  test("goes to the borders of the type and of the range", () => {
    const names = borders(field("header", "cluster_bits")).map(([name, value]) => `${name} ${value}`);
    expect(names).toEqual([
      "min 9",
      "min-less-1 8",
      "max 21",
      "max-more-1 22",
      "zero 0",
      "2e31 2147483648",
      "all-ones 4294967295",
    ]);
    const values = borders(field("header", "generation")).map(([, value]) => value);
    for (const value of [0n, 1n, 2n ** 31n, 2n ** 32n, 2n ** 53n + 1n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n])
      expect(values).toContain(value);
  });

  test("gives each vector an id of its own, a reason and a rule", () => {
    expect(new Set(vectors.map(({ id }) => id)).size).toBe(vectors.length);
    for (const { id, why, proves = [], breaks = [] } of vectors) {
      expect(id).toMatch(/^matrix(-[a-z0-9]+)+$/);
      expect(why, id).toMatch(/^[A-Z0-9].*\.$/);
      expect([...proves, ...breaks], id).not.toHaveLength(0);
    }
  });

  test("says twice nothing of one file", () => {
    const files = vectors
      .filter(({ parent }) => parent !== undefined)
      .map((vector) => JSON.stringify([vector.parent, vector.patch?.map((part) => part.slice(0, 3))]));
    expect(new Set(files).size).toBe(files.length);
  });
});
