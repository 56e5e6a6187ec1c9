import { quoteJson } from "@qdb/format";

/** A value that can be printed as JSON. Undefined properties are left out. 64-bit integers must be given as strings. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json | undefined };

/** JSON text, indented by two spaces, with everything escaped that could act on a terminal. */
export function jsonText(value: Json, indent = ""): string {
  if (typeof value === "string") return quoteJson(value);
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const deeper = `${indent}  `;
  const items = Array.isArray(value)
    ? value.map((item: Json) => jsonText(item, deeper))
    : Object.entries(value).flatMap(([key, item]) =>
        item === undefined ? [] : [`${quoteJson(key)}: ${jsonText(item, deeper)}`],
      );
  const [open, close] = Array.isArray(value) ? ["[", "]"] : ["{", "}"];
  return items.length === 0 ? `${open}${close}` : `${open}\n${deeper}${items.join(`,\n${deeper}`)}\n${indent}${close}`;
}

/**
 * The text of {@link jsonText} in pieces, for an object whose lists may be iterables. Their items are printed as they are produced,
 * so that a document with tens of thousands of items never has to fit into memory.
 */
export function* jsonPieces(value: {
  readonly [key: string]: Json | Iterable<Json> | undefined;
}): Generator<string, void> {
  let before = "{\n  ";
  for (const [key, item] of Object.entries(value)) {
    if (item === undefined) continue;
    yield `${before}${quoteJson(key)}: `;
    if (isMade(item)) yield* listPieces(item);
    else yield jsonText(item, "  ");
    before = ",\n  ";
  }
  yield before === "{\n  " ? "{}" : "\n}";
}

function isMade(item: Json | Iterable<Json>): item is Iterable<Json> {
  return typeof item === "object" && item !== null && !Array.isArray(item) && Symbol.iterator in item;
}

function* listPieces(items: Iterable<Json>): Generator<string, void> {
  let before = "[\n    ";
  for (const item of items) {
    yield `${before}${jsonText(item, "    ")}`;
    before = ",\n    ";
  }
  yield before === "[\n    " ? "[]" : "\n  ]";
}

/** JSON text on one line. */
export function jsonLine(value: Json): string {
  if (typeof value === "string") return quoteJson(value);
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((item: Json) => jsonLine(item)).join(",")}]`;
  const pairs = Object.entries(value).flatMap(([key, item]) =>
    item === undefined ? [] : [`${quoteJson(key)}:${jsonLine(item)}`],
  );
  return `{${pairs.join(",")}}`;
}
