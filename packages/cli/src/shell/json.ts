import { quoteJson } from "@qdb/format/container";

/** A value that can be printed as JSON. Properties that are undefined are left out. A 64-bit integer must be given as a string. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json | undefined };

/** Returns a value as JSON, indented by two spaces. Characters that could act on a terminal are escaped. */
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
 * Yields the text of {@link jsonText} in pieces, for an object whose lists may be iterables. Items are printed as they are made, so that a
 * document with tens of thousands of items need not fit into memory.
 */
export function* jsonPieces(value: {
  readonly [key: string]: Json | Iterable<Json> | undefined;
}): Generator<string, void> {
  let before = "{\n  ";
  for (const [key, item] of Object.entries(value)) {
    if (item === undefined) continue;
    yield `${before}${quoteJson(key)}: `;
    if (isIterable(item)) yield* listPieces(item);
    else yield jsonText(item, "  ");
    before = ",\n  ";
  }
  yield before === "{\n  " ? "{}" : "\n}";
}

function isIterable(item: Json | Iterable<Json>): item is Iterable<Json> {
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

/** Returns a value as JSON on one line. */
export function jsonLine(value: Json): string {
  if (typeof value === "string") return quoteJson(value);
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((item: Json) => jsonLine(item)).join(",")}]`;
  const pairs = Object.entries(value).flatMap(([key, item]) =>
    item === undefined ? [] : [`${quoteJson(key)}:${jsonLine(item)}`],
  );
  return `{${pairs.join(",")}}`;
}
