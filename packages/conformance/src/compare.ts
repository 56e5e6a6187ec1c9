import { isObject, type JsonObject } from "./answer.ts";
import type { Finding, Json } from "./manifest.ts";

/** Differences that a report lists; more tell nobody more. */
const MOST = 12;

/**
 * What differs between an expected value and one that came, a line each. Keys stand in any order; `message` is never
 * looked at; `"*"` stands for anything that is there.
 */
export function differences(expected: Json | undefined, came: Json | undefined): string[] {
  const found: string[] = [];
  compare("", expected, came, found);
  return found.length > MOST ? [...found.slice(0, MOST), `and ${found.length - MOST} more`] : found;
}

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

function own(object: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

function show(value: Json | undefined): string {
  if (value === undefined) return "nothing";
  const text = JSON.stringify(value);
  return text.length > 160 ? `${text.slice(0, 160)}…` : text;
}

/** Keys of the header that say where things stand and who wrote them, not what the file holds. */
export const HEADER_PLACES: readonly string[] = [
  "generation",
  "writer_id",
  "bitmaps_offset",
  "table_checksum",
  "header_checksum",
];
/** Such keys of a bitmap. */
export const BITMAP_PLACES: readonly string[] = ["l1_table_offset", "l1_checksum"];

/** A model without what two writers of the same contents may do differently. */
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

/** What differs between two multisets of findings, a line each. */
export function findingDifferences(expected: readonly Finding[], came: readonly Finding[]): string[] {
  const left = came.map(findingText);
  const found: string[] = [];
  for (const text of expected.map(findingText)) {
    const at = left.indexOf(text);
    if (at < 0) found.push(`the finding ${text} is missing`);
    else left.splice(at, 1);
  }
  return [...found, ...left.map((text) => `the finding ${text} is not expected`)].slice(0, MOST);
}

/** A finding in a line. */
export function findingText({ code, severity, repairable, bitmap }: Finding): string {
  const whose = bitmap === undefined ? "" : ` of ${JSON.stringify(bitmap)}`;
  return `${code} (${severity}, ${repairable ? "repairable" : "not repairable"})${whose}`;
}
