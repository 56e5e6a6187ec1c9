import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ERROR_CODES } from "@qdb/format/container";
import { describe, expect, test } from "vitest";
import {
  BITMAP_ENTRY,
  CREATED,
  DESCRIPTOR_BITS,
  DISK_STAMP,
  type DocumentedStruct,
  DRAFT_HEADER,
  EXTENSION_NAME,
  FEATURE_NAME,
  HEADER,
  L1_CHECKSUM,
  L1_ENTRY,
  SESSION,
  TLV_HEAD,
} from "../src/records/field-tables.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const spec = readFileSync(`${root}spec/qdb.md`, "utf8");
const rules = [...spec.matchAll(/^\*\*(QDB-[A-Z]{3}-\d{3})\*\* (.*)$/gm)].map((match) => ({
  id: match[1] ?? "",
  text: match[2] ?? "",
}));
const ids = new Set(rules.map(({ id }) => id));

/** The rows of the table under a `Table: name` line, as cells. */
function table(name: string): string[][] {
  const lines = spec.split("\n");
  const at = lines.indexOf(`Table: ${name}`);
  expect(at, `spec/qdb.md has a table of ${name}`).toBeGreaterThan(0);
  const rows: string[][] = [];
  for (const line of lines.slice(at + 4)) {
    if (!line.startsWith("|")) break;
    rows.push(
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  }
  return rows;
}

function rowsOf({ fields }: DocumentedStruct): string[][] {
  return fields.map(({ name, offset, size, type, meaning, rule }) => {
    const last = offset + size - 1;
    return [last === offset ? `${offset}` : `${offset}-${last}`, type, name, meaning, rule];
  });
}

describe("the spec's byte tables are the code's field tables", () => {
  const structs: readonly DocumentedStruct[] = [
    HEADER,
    BITMAP_ENTRY,
    TLV_HEAD,
    FEATURE_NAME,
    EXTENSION_NAME,
    DISK_STAMP,
    CREATED,
    SESSION,
    L1_ENTRY,
    L1_CHECKSUM,
  ];
  test.each(structs.map((struct) => [struct.name, struct] as const))("%s", (name, struct) => {
    expect(table(name)).toEqual(rowsOf(struct));
  });

  test("descriptor bits", () => {
    const rows = DESCRIPTOR_BITS.map(([first, last, field, meaning, rule]) => [
      first === last ? `${first}` : `${first}-${last}`,
      field,
      meaning,
      rule,
    ]);
    expect(table("descriptor bits")).toEqual(rows);
  });

  test("the draft header is the beginning of the full one", () => {
    expect(rowsOf(HEADER).slice(0, 6)).toEqual(rowsOf(DRAFT_HEADER));
  });

  test("no other table stands there", () => {
    expect(spec.match(/^Table: /gm)).toHaveLength(structs.length + 1);
  });
});

describe("rules", () => {
  test("each id once, one sentence, one key word", () => {
    expect(ids.size).toBe(rules.length);
    expect(rules.length).toBeGreaterThan(300);
    for (const { id, text } of rules) {
      expect(text.match(/\b(MUST NOT|MUST|SHOULD NOT|SHOULD|MAY)\b/g), id).toHaveLength(1);
      expect(text, id).toMatch(/\.$/);
    }
  });

  test("key words stand in rules only", () => {
    const prose = spec.replace(/^(\*\*QDB-|> ).*$/gm, "").replace(/^The key words .*$/m, "");
    expect(prose.match(/\b(MUST|SHOULD|MAY|SHALL|REQUIRED)\b/g)).toBeNull();
  });

  test("every id that the code or errors.json names is a rule", () => {
    const named = new Set<string>();
    for (const name of ["format", "io-node", "qcow2", "cli"]) {
      const src = `${root}packages/${name}/src`;
      for (const file of readdirSync(src, { recursive: true, encoding: "utf8" })) {
        if (!file.endsWith(".ts")) continue;
        for (const [id] of readFileSync(`${src}/${file}`, "utf8").matchAll(/QDB-[A-Z]{3}-\d{3}/g)) named.add(id);
      }
    }
    for (const [id] of readFileSync(`${root}spec/errors.json`, "utf8").matchAll(/QDB-[A-Z]{3}-\d{3}/g)) named.add(id);
    expect([...named].filter((id) => !ids.has(id))).toEqual([]);
    expect(named.size).toBeGreaterThan(50);
  });
});

describe("errors.json", () => {
  const errors: { codes: { code: string; meaning: string; requirements: string[] }[]; findings: { code: string }[] } =
    JSON.parse(readFileSync(`${root}spec/errors.json`, "utf8"));

  test("has the library's codes, in the spec's order, each tied to a rule", () => {
    expect(errors.codes.map(({ code }) => code)).toEqual([...ERROR_CODES]);
    for (const { code, meaning, requirements } of errors.codes) {
      expect(requirements.length, code).toBeGreaterThan(0);
      expect(meaning.length, code).toBeGreaterThan(10);
    }
  });

  test("has the findings that are no errors", () => {
    expect(errors.findings.map(({ code }) => code).sort()).toEqual([
      "BAD_RECORD",
      "LEAK",
      "MIRROR",
      "NAME_TWINS",
      "PADDING",
      "TAIL",
      "UNPROTECTED",
    ]);
  });
});

describe("the JSON form's types", () => {
  type Schema = {
    properties?: Record<string, unknown>;
    required?: string[];
    oneOf?: Schema[];
    $defs?: Record<string, Schema>;
  };
  const schema: Schema = JSON.parse(readFileSync(`${root}spec/schema/qdb.schema.json`, "utf8"));
  const source = readFileSync(`${root}packages/format/src/json/qdb-json.ts`, "utf8");

  function typeKeys(name: string): Record<string, boolean> {
    const body = new RegExp(`export interface ${name} \\{([^}]*)\\}`).exec(source)?.[1] ?? "";
    return Object.fromEntries(
      [...body.matchAll(/^ {2}readonly (\w+)(\??):/gm)].map((match) => [match[1] ?? "", match[2] === ""]),
    );
  }

  /** Keys of a definition, and whether each is there in every one of its forms. */
  function schemaKeys(definition: Schema | undefined): Record<string, boolean> {
    const forms = definition?.oneOf ?? [definition ?? {}];
    const keys = new Set(forms.flatMap((form) => Object.keys(form.properties ?? {})));
    return Object.fromEntries(
      [...keys].map((key) => [key, forms.every((form) => form.required?.includes(key) === true)]),
    );
  }

  test.each([
    ["QdbJson", undefined],
    ["QdbJsonFullHeader", "fullHeader"],
    ["QdbJsonDraftHeader", "draftHeader"],
    ["QdbJsonExtension", "extension"],
    ["QdbJsonExtensionName", "extensionName"],
    ["QdbJsonBitmap", "bitmap"],
    ["QdbJsonError", "error"],
    ["QdbJsonRecord", "record"],
  ])("%s has the keys that the schema has", (name, definition) => {
    const expected = schemaKeys(definition === undefined ? schema : schema.$defs?.[definition]);
    expect(Object.keys(expected).length).toBeGreaterThan(0);
    expect(typeKeys(name)).toEqual(expected);
  });
});
