// Compares answers with what a vector expects (conformance/IMPLEMENTERS.md, What is compared).
import type { Finding } from "../corpus/manifest.ts";
import { isObject, type Json, type JsonObject } from "../text/json.ts";

/** Maximum number of differences that are listed. */
const MAX_DIFFERENCES = 12;

/**
 * Returns the differences between an expected value and the one that came, a line each. The order of keys does not matter, and the key
 * `message` is not compared. An expected `"*"` matches any value, but not a missing one.
 */
export function differences(expected: Json | undefined, came: Json | undefined): string[] {
  const found: string[] = [];
  compare("", expected, came, found);
  if (found.length <= MAX_DIFFERENCES) return found;
  return [...found.slice(0, MAX_DIFFERENCES), `and ${found.length - MAX_DIFFERENCES} more`];
}

/** Compares two values and their parts. Adds differences to `found`. `path` is the place of the values for messages. */
function compare(path: string, expected: Json | undefined, came: Json | undefined, found: string[]): void {
  if (expected === "*" && came !== undefined) return;
  if (Array.isArray(expected) && Array.isArray(came)) {
    if (expected.length !== came.length)
      found.push(`${path || "the value"}: ${expected.length} items expected, ${came.length} came`);
    for (let at = 0; at < Math.min(expected.length, came.length); at++)
      compare(`${path}[${at}]`, expected[at], came[at], found);
  } else if (isObject(expected) && isObject(came)) {
    for (const key of new Set([...Object.keys(expected), ...Object.keys(came)]))
      if (key !== "message") compare(path === "" ? key : `${path}.${key}`, own(expected, key), own(came, key), found);
  } else if (expected !== came) {
    found.push(`${path || "the value"}: expected ${show(expected)}, came ${show(came)}`);
  }
}

/** Returns the value of a key, but not of one that every object inherits. */
function own(object: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/** Returns a value as a text for a message. */
function show(value: Json | undefined): string {
  if (value === undefined) return "nothing";
  const text = JSON.stringify(value);
  return text.length > 160 ? `${text.slice(0, 160)}…` : text;
}

/** Keys of the header that depend on the writer and on the places of structures, not on the contents of the file. */
export const HEADER_PLACES: readonly string[] = [
  "generation",
  "writer_id",
  "bitmaps_offset",
  "table_checksum",
  "header_checksum",
];
/** Keys of a bitmap that depend on the places of structures, not on the contents of the file. */
export const BITMAP_PLACES: readonly string[] = ["l1_table_offset", "l1_checksum"];

/** Returns a model without the keys whose values two writers of the same contents may choose differently. */
export function contentsOf(model: Json | undefined): Json | undefined {
  if (!isObject(model)) return model;
  const { header, bitmaps } = model;
  return {
    ...model,
    ...(isObject(header) ? { header: without(header, HEADER_PLACES) } : {}),
    ...(Array.isArray(bitmaps)
      ? { bitmaps: bitmaps.map((bitmap) => (isObject(bitmap) ? without(bitmap, BITMAP_PLACES) : bitmap)) }
      : {}),
  };
}

function without(object: JsonObject, keys: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([key]) => !keys.includes(key)));
}

/** Returns the differences between two multisets of findings, a line each. */
export function findingDifferences(expected: readonly Finding[], came: readonly Finding[]): string[] {
  const left = came.map(findingText);
  const found: string[] = [];
  for (const text of expected.map(findingText)) {
    const at = left.indexOf(text);
    if (at < 0) found.push(`the finding ${text} is missing`);
    else left.splice(at, 1);
  }
  return [...found, ...left.map((text) => `the finding ${text} is not expected`)].slice(0, MAX_DIFFERENCES);
}

/** Returns a finding as one line. */
export function findingText({ code, severity, repairable, bitmap }: Finding): string {
  const whose = bitmap === undefined ? "" : ` of ${JSON.stringify(bitmap)}`;
  return `${code} (${severity}, ${repairable ? "repairable" : "not repairable"})${whose}`;
}
