// Values of the JSON form (spec §6) as a dump writes them.

import { type Fields, type Struct, specName } from "../layout/struct.ts";
import { hex32, hex64, toHex, toUuid } from "../layout/text.ts";
import type { ExtensionName } from "../records/extensions.ts";
import type { FeatureName } from "../records/features.ts";

/** A value of the JSON form: u64 are strings, u32 numbers. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** Most bytes of unstored clusters that one dump hashes, unless all digests are asked for (spec §6). */
export const UNSTORED_BYTES = 16 * 1024 * 1024;

/** The value of a field as JSON: u64 as a decimal string, feature words and checksums as hex, 16 bytes as a UUID, others as numbers. */
function fieldJson(key: string, value: unknown): JsonValue {
  if (typeof value === "bigint") return key.endsWith("Features") ? hex64(value) : value.toString();
  if (value instanceof Uint8Array) return value.length === 16 ? toUuid(value) : toHex(value);
  if (typeof value === "number") return key.endsWith("Checksum") ? hex32(value) : value;
  throw new Error(`no JSON form for field ${key}`);
}

/** The fields of a structure as JSON, under their names in the spec, in the order of the field table. */
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

/** The type of a record or of an extension as JSON. */
export function typeJson(type: number): string {
  return `0x${hex32(type)}`;
}

/** Feature names as JSON. */
export function featureJson(names: readonly FeatureName[]): JsonValue {
  return names.map(({ kind, bit, name }) => ({ kind, bit, name }));
}

/** Extension names as JSON. */
export function extensionNameJson(names: readonly ExtensionName[]): JsonValue {
  return names.map(({ type, name }) => ({ type: typeJson(type), name }));
}
