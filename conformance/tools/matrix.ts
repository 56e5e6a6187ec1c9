// Makes conformance/src/generated/matrix.json: one vector for each number of a file at each border of its type and range.
import type { Part } from "@qdb/conformance/authoring";
import { type Field, field } from "./layout-json.ts";
import { BITMAP_FIELDS } from "./matrix-bitmap.ts";
import type { Case, MatrixField, Value } from "./matrix-case.ts";
import { DRAFT_FIELDS } from "./matrix-draft.ts";
import { EXTRA_VECTORS } from "./matrix-extra.ts";
import { HEADER_FIELDS } from "./matrix-header.ts";
import { ROW_FIELDS } from "./matrix-rows.ts";
import { ENTRY_FIELDS } from "./matrix-table.ts";
import type { Source } from "./sources.ts";

const WIDTHS: Readonly<Record<string, number>> = { u8: 1, u16: 2, u32: 4, u64: 8, i64: 8 };

/** The values at the borders of the type and the range of a field. A value may occur twice; its first name counts. */
export function borders({ size, min, max, values }: Field): Value[] {
  const bits = BigInt(8 * size);
  const beside = (name: string, text: string | undefined, ...steps: readonly bigint[]): Value[] => {
    const label = (step: bigint): string => (step === 0n ? name : `${name}-${step < 0n ? "less" : "more"}-1`);
    return text === undefined ? [] : steps.map((step) => [label(step), BigInt(text) + step]);
  };
  const ofRange = [
    ...beside("min", min, 0n, -1n),
    ...beside("max", max, 0n, 1n),
    ...beside("value", values?.length === 1 ? values[0] : undefined, -1n, 1n),
  ];
  const signs: Value[] = [
    [`2e${bits - 1n}`, 2n ** (bits - 1n)],
    ["all-ones", 2n ** bits - 1n],
  ];
  const long: Value[] = [
    ["2e31", 2n ** 31n],
    ["2e32-less-1", 2n ** 32n - 1n],
    ["2e32", 2n ** 32n],
    ["2e53-less-1", 2n ** 53n - 1n],
    ["2e53", 2n ** 53n],
    ["2e53-more-1", 2n ** 53n + 1n],
    ["2e63-less-1", 2n ** 63n - 1n],
  ];
  const all: Value[] = [...ofRange, ["zero", 0n], ...signs, ...(size === 8 ? long : [])];
  return all.filter(([, value]) => value >= 0n && value < 1n << bits);
}

function once(values: readonly Value[], current: bigint): Value[] {
  const seen = new Set([current]);
  return values.filter(([, value]) => !seen.has(value) && seen.add(value));
}

/** The vectors of one field. @throws {Error} when no case covers a value, or the field is not a number */
function vectorsOf(row: MatrixField): Source[] {
  const [structure = "", name = ""] = row.field.split(".");
  const place = field(structure, name);
  const width = WIDTHS[place.type];
  if (width === undefined) throw new Error(`${row.field} is no number`);
  const values = once([...(row.values ?? []), ...borders(place)], row.current);
  return values
    .filter(([label]) => row.skip?.includes(label) !== true)
    .map(([label, value]) => {
      const found = row.cases.find(({ when }) => when(value));
      if (found === undefined) throw new Error(`${row.field}: no case says what ${value} leads to`);
      const part: Part = [
        row.at + place.offset,
        `u${8 * width}`,
        value > 0xffff_ffffn ? `${value}` : Number(value),
        `# ${name}`,
      ];
      return vector(`matrix-${row.id}-${label}`, `${title(row, name)} is ${value}`, row, found, part, value);
    });
}

function title(row: MatrixField, name: string): string {
  const [structure = ""] = row.field.split(".");
  const what = row.id.startsWith("record-") ? "record" : structure;
  return row.id.startsWith("draft-") ? `In draft form ${name} of the ${what}` : `${name} of the ${what}`;
}

function vector(id: string, title: string, row: MatrixField, found: Case, part: Part, value: bigint): Source {
  const expect = found.expect(value);
  const isAccepted =
    expect.error === undefined && Object.values(expect.bitmaps ?? {}).every((bits) => typeof bits !== "string");
  const length = found.length ?? row.length;
  const seals = found.seals ?? row.seals;
  const unseal = found.unseal ?? row.unseal;
  return {
    id,
    title: title.charAt(0).toUpperCase() + title.slice(1),
    kind: "read",
    ...(isAccepted ? { proves: found.rules } : { breaks: found.rules }),
    why: `${found.why.charAt(0).toUpperCase()}${found.why.slice(1)}.`,
    ...(value > 2n ** 53n && isAccepted ? { flags: ["u64-as-double"] } : {}),
    parent: row.parent,
    patch: [part, ...(found.beside ?? row.beside ?? [])],
    ...(length === undefined ? {} : { length }),
    ...(seals === undefined ? {} : { seals }),
    ...(unseal === undefined ? {} : { unseal }),
    expect,
  };
}

/** Every numeric field of every structure. */
export const FIELDS: readonly MatrixField[] = [
  ...HEADER_FIELDS,
  ...DRAFT_FIELDS,
  ...ENTRY_FIELDS,
  ...BITMAP_FIELDS,
  ...ROW_FIELDS,
];

/** All vectors of the matrix. */
export function matrix(): Source[] {
  return [...EXTRA_VECTORS, ...FIELDS.flatMap(vectorsOf)];
}

/** The text of conformance/src/generated/matrix.json: one key a line. */
export function matrixText(): string {
  const vectors = matrix().map((source) => {
    const lines = Object.entries(source).map(
      ([key, value]) => `      ${JSON.stringify(key)}: ${JSON.stringify(value)}`,
    );
    return `    {\n${lines.join(",\n")}\n    }`;
  });
  return `{\n  "area": "matrix",\n  "vectors": [\n${vectors.join(",\n")}\n  ]\n}\n`;
}
