// Compares what the author of a vector expects with what a judge answers.
import { isDeepStrictEqual } from "node:util";
import {
  type Answer,
  findingDifferences,
  findingsOf,
  isObject,
  type Json,
  type JsonObject,
} from "@qdb/conformance/authoring";
import { type Bits, type Expectation, expectedFindings } from "./sources.ts";

/** A bitmap of a model. */
export interface ModelBitmap extends JsonObject {
  readonly dirty: [string, string][];
}

/** The JSON form of a file as a judge gives it. */
export interface Model {
  readonly header: JsonObject;
  readonly extensions: Json[];
  readonly bitmaps: readonly ModelBitmap[];
}

/** The model of an answer, without messages: each implementation has its own. Undefined when the answer has no model. */
export function modelOf(answer: Answer): Model | undefined {
  return answer.kind === "ok" && answer.body.model !== undefined
    ? (plain(answer.body.model) as unknown as Model)
    : undefined;
}

/** Removes every `message` from a JSON form. */
export function plain(form: Json): Json {
  return JSON.parse(JSON.stringify(form, (key, value) => (key === "message" ? undefined : value)));
}

/** The name of a bitmap in an expectation: its name, or `hex:` and its bytes when it is not UTF-8. */
export function labelOf({ name, name_hex }: ModelBitmap): string {
  return typeof name === "string" ? name : `hex:${name_hex}`;
}

/** The dirty extents that a judge gives for a bitmap, or the error code. */
function bitsOf({ error, dirty }: ModelBitmap): Bits {
  return isObject(error) ? String(error.code) : dirty;
}

function show(value: unknown): string {
  return JSON.stringify(value);
}

/** Differences between an expectation and a model, one a line; empty when there are none. */
export function modelDifferences(expect: Expectation, model: Model): string[] {
  const found: string[] = [];
  const differ = (what: string, expected: unknown, said: unknown): void => {
    if (!isDeepStrictEqual(expected, said)) found.push(`${what}: expected ${show(expected)}, said ${show(said)}`);
  };
  const said = new Map<string, Bits>();
  for (const bitmap of model.bitmaps) said.set(labelOf(bitmap), bitsOf(bitmap));
  if (expect.bitmaps !== undefined && !isDeepStrictEqual(new Map(Object.entries(expect.bitmaps)), said))
    found.push(`bitmaps: expected ${show(expect.bitmaps)}, said ${show([...said])}`);
  for (const [key, value] of Object.entries(expect.head ?? {}))
    differ(`header.${key}`, value, model.header[key] ?? null);
  if (expect.names !== undefined) differ("names", expect.names, model.bitmaps.map(labelOf));
  if (expect.extensions !== undefined) differ("extensions", expect.extensions, model.extensions);
  for (const bitmap of model.bitmaps) {
    const label = labelOf(bitmap);
    const digest = expect.bits_sha256?.[label];
    if (digest !== undefined) differ(`bits_sha256 of ${label}`, digest, bitmap.bits_sha256);
    const records = expect.records?.[label];
    if (records !== undefined) differ(`extra_data of ${label}`, records, wildRecords(records, bitmap.extra_data));
    for (const [key, value] of Object.entries(expect.bitmap_keys?.[label] ?? {}))
      differ(`${key} of ${label}`, value, bitmap[key] ?? null);
    const flags = expect.flags_of?.[label];
    if (flags !== undefined) differ(`flags of ${label}`, flags, bitmap.flags);
    const shape = expect.sizes?.[label];
    if (shape !== undefined) differ(`size and granularity of ${label}`, shape, [bitmap.size, `${bitmap.granularity}`]);
  }
  return found;
}

/** The records that a judge gives, with `*` for every value for which the author expects `*`. */
function wildRecords(expected: readonly unknown[], said: Json | undefined): unknown[] {
  return (Array.isArray(said) ? said : []).map((record, at) => {
    const wanted = expected[at] as Record<string, unknown> | undefined;
    const keys = Object.entries(isObject(record) ? record : {});
    return Object.fromEntries(keys.map(([key, value]) => [key, wanted?.[key] === "*" ? "*" : value]));
  });
}

/** Differences between the expected result of a check and the answer of a judge; the order of findings does not count. */
export function checkDifferences(expect: Expectation, body: JsonObject): string[] {
  const found = findingDifferences(expectedFindings(expect), findingsOf(body));
  if (expect.complete !== undefined && body.complete !== undefined && expect.complete !== body.complete)
    found.push(`complete: expected ${expect.complete}, said ${show(body.complete)}`);
  return found;
}

/** Differences in the verdict: accepted, or refused with which code. */
export function verdictDifferences(expect: Expectation, answer: Answer): string[] {
  if (answer.kind === "skip") return [];
  const expected = expect.error ?? "accepted";
  const said = answer.kind === "ok" ? "accepted" : answer.error;
  if (expected === said) return [];
  return [`expected ${expected}, said ${said} ${answer.body.requirement ?? ""}`.trimEnd()];
}
