// spec/layout.json: every field of every structure, from the field tables of the code.
import { readFileSync } from "node:fs";
import {
  BITMAP_ENTRY,
  CREATED,
  DESCRIPTOR_BITS,
  DISK_STAMP,
  type DocumentedField,
  type DocumentedStruct,
  DRAFT_HEADER,
  EXTENSION_NAME,
  FEATURE_NAME,
  HEADER,
  L1_CHECKSUM,
  L1_ENTRY,
  SESSION,
  TLV_HEAD,
} from "@qdb/format/field-tables";
import { EXTENSION_TYPES, RANGES, type Range, RECORD_TYPES } from "./layout-ranges.ts";
import { REPOSITORY } from "./places.ts";

/** A field; `offset` and `size` in bytes, or a range of bits in the descriptor. */
export type Field = DocumentedField & Range;

/** A range of bits of a descriptor. */
export interface DescriptorBits extends Range {
  readonly name: string;
  readonly first_bit: number;
  readonly last_bit: number;
  readonly meaning: string;
  readonly rule: string;
}

/** A structure. */
export interface Structure {
  readonly name: string;
  readonly size: number;
  /** Header only: its length in draft form. */
  readonly draft_size?: number;
  readonly fields: readonly Field[];
}

/** spec/layout.json. */
export interface Layout {
  readonly spec_version: 1;
  readonly byte_order: "big";
  readonly structures: readonly Structure[];
  readonly descriptor_bits: readonly DescriptorBits[];
  /** In hex, as the JSON form has them. */
  readonly extension_types: Readonly<Record<string, string>>;
  readonly record_types: Readonly<Record<string, string>>;
}

const STRUCTS: readonly DocumentedStruct[] = [
  HEADER,
  TLV_HEAD,
  FEATURE_NAME,
  EXTENSION_NAME,
  BITMAP_ENTRY,
  DISK_STAMP,
  CREATED,
  SESSION,
  L1_ENTRY,
  L1_CHECKSUM,
];

/** Makes the layout from field tables and ranges. */
export function layout(): Layout {
  return {
    spec_version: 1,
    byte_order: "big",
    structures: STRUCTS.map(({ name, size, fields }) => ({
      name,
      size,
      ...(name === HEADER.name ? { draft_size: DRAFT_HEADER.size } : {}),
      fields: fields.map((field) => ({ ...field, ...RANGES[field.rule] })),
    })),
    descriptor_bits: DESCRIPTOR_BITS.map(([first_bit, last_bit, name, meaning, rule]) => ({
      name,
      first_bit,
      last_bit,
      meaning,
      rule,
      ...RANGES[rule],
    })),
    extension_types: hexTypes(EXTENSION_TYPES),
    record_types: hexTypes(RECORD_TYPES),
  };
}

function hexTypes(types: Readonly<Record<string, number>>): Record<string, string> {
  const hex = (type: number): string => `0x${type.toString(16).padStart(8, "0")}`;
  return Object.fromEntries(Object.entries(types).map(([name, type]) => [name, hex(type)]));
}

/** Reads spec/layout.json. */
export function readLayout(): Layout {
  return JSON.parse(readFileSync(`${REPOSITORY}spec/layout.json`, "utf8")) as Layout;
}

/** Finds a structure by name. @throws {Error} when there is none */
export function structure(name: string, from: Layout = layout()): Structure {
  const found = from.structures.find((struct) => struct.name === name);
  if (found === undefined) throw new Error(`there is no structure ${name}`);
  return found;
}

/** Finds a field by the names of its structure and itself. @throws {Error} when there is none */
export function field(structName: string, name: string, from: Layout = layout()): Field {
  const found = structure(structName, from).fields.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`${structName} has no field ${name}`);
  return found;
}

/** The text of spec/layout.json, as the formatter of this repository writes it. */
export function layoutText(): string {
  return `${JSON.stringify(layout(), undefined, 2).replace(/\[\n\s+("[^"]*")\n\s+\]/g, "[$1]")}\n`;
}
