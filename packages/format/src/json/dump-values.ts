// Converts values to the JSON form (spec §6), for a dump.

import { type Fields, type Struct, specName } from "../layout/struct.ts";
import { hex32, hex64, toHex, toUuid } from "../layout/text.ts";
import { quoteJson } from "../quote.ts";
import type { ExtensionName } from "../records/extensions.ts";
import type { FeatureName } from "../records/features.ts";

/** A value of the JSON form. A u64 is a string of decimal digits, a u32 a number. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** Maximum number of bytes of unstored clusters that one dump hashes, all bitmaps together, unless `allDigests` is set (spec §6). */
export const UNSTORED_BYTES = 16 * 1024 * 1024;

/**
 * Converts the value of a field: a u64 to a string of decimal digits, feature words and checksums to hex digits, 16 bytes to a UUID, other
 * bytes to hex digits, and a u32 to a number.
 */
function fieldJson(key: string, value: unknown): JsonValue {
  if (typeof value === "bigint") return key.endsWith("Features") ? hex64(value) : value.toString();
  if (value instanceof Uint8Array) return value.length === 16 ? toUuid(value) : toHex(value);
  if (typeof value === "number") return key.endsWith("Checksum") ? hex32(value) : value;
  throw new Error(`no JSON form for field ${key}`);
}

/** Converts the fields of a structure, in the order of its field table. The keys are the names of the spec. Fields in `omit` are left out. */
export function structJson<F extends Fields>(
  structure: Struct<F>,
  value: Readonly<Record<string, unknown>>,
  omit: readonly string[] = [],
): Record<string, JsonValue> {
  const result: Record<string, JsonValue> = {};
  for (const key of Object.keys(structure.fields)) {
    if (!omit.includes(key)) result[specName(key)] = fieldJson(key, value[key]);
  }
  return result;
}

/** Converts the type of a record or of an extension. */
export function typeJson(type: number): string {
  return `0x${hex32(type)}`;
}

/** Converts the entries of a feature name table. */
export function featureJson(names: readonly FeatureName[]): JsonValue {
  return names.map(({ kind, bit, name }) => ({ kind, bit, name }));
}

/** Converts the entries of an extension name table. */
export function extensionNameJson(names: readonly ExtensionName[]): JsonValue {
  return names.map(({ type, name }) => ({ type: typeJson(type), name }));
}

/** Encodes a value as JSON on one line. Characters that can act on a terminal are escaped in strings. */
export function text(value: JsonValue): string {
  if (typeof value === "string") return quoteJson(value);
  if (Array.isArray(value)) return `[${value.map((item: JsonValue) => text(item)).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const pairs = Object.entries(value).map(([key, item]) => `${quoteJson(key)}: ${text(item)}`);
  return `{ ${pairs.join(", ")} }`;
}

/** Joins the items of a list, each on a line of its own, for a list at the top level of the JSON form. */
export function lines(items: readonly string[]): string {
  return items.length === 0 ? "" : `\n    ${items.join(",\n    ")}\n  `;
}
