// What an author expects, held against what a judge says.
import { isDeepStrictEqual } from "node:util";
import { type Answer, findingsOf, isObject, type JsonObject } from "../../packages/conformance/src/answer.ts";
import type { Json } from "../../packages/conformance/src/manifest.ts";
import type { Bits, Expectation, SourceFinding } from "./sources.ts";

/** A bitmap of a model, as far as it is looked into. */
export interface ModelBitmap extends JsonObject {
  readonly dirty: [string, string][];
}

/** The JSON form as a judge gives it: what is in it is compared, the rest is taken as it is. */
export interface Model {
  readonly header: JsonObject;
  readonly extensions: Json[];
  readonly bitmaps: readonly ModelBitmap[];
}

/** The model of an answer without messages, which are each implementation's own; undefined where it has none. */
export function modelOf(answer: Answer): Model | undefined {
  return answer.kind === "ok" && answer.body.model !== undefined
    ? (plain(answer.body.model) as unknown as Model)
    : undefined;
}

/** A JSON form without messages. */
export function plain(form: Json): Json {
  return JSON.parse(JSON.stringify(form, (key, value) => (key === "message" ? undefined : value)));
}

/** A bitmap's name in an expectation: its name, or `hex:` and its bytes. */
export function labelOf({ name, name_hex }: ModelBitmap): string {
  return typeof name === "string" ? name : `hex:${name_hex}`;
}

/** What a judge says of a bitmap's bits. */
function bitsOf({ error, dirty }: ModelBitmap): Bits {
  return isObject(error) ? String(error.code) : dirty;
}

function show(value: unknown): string {
  return JSON.stringify(value);
}

/** Differences between an expectation and a model; empty when it is as expected. */
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

/** The records that a judge gives, with `*` where the author has it. */
function wildRecords(expected: readonly unknown[], said: Json | undefined): unknown[] {
  return (Array.isArray(said) ? said : []).map((record, at) => {
    const wanted = expected[at] as Record<string, unknown> | undefined;
    const keys = Object.entries(isObject(record) ? record : {});
    return Object.fromEntries(keys.map(([key, value]) => [key, wanted?.[key] === "*" ? "*" : value]));
  });
}

/** Differences between expected findings and those that a judge gives, in any order. */
export function findingDifferences(expect: Expectation, body: JsonObject): string[] {
  const said = findingsOf(body).map(({ code, severity, repairable, bitmap }): SourceFinding => {
    return bitmap === undefined ? [code, severity, repairable] : [code, severity, repairable, bitmap];
  });
  const sorted = (findings: readonly SourceFinding[]): string[] => findings.map(show).sort();
  const found: string[] = [];
  if (!isDeepStrictEqual(sorted(expect.findings ?? []), sorted(said)))
    found.push(`findings: expected ${show(expect.findings)}, said ${show(said)}`);
  if (expect.complete !== undefined && body.complete !== undefined && expect.complete !== body.complete)
    found.push(`complete: expected ${expect.complete}, said ${show(body.complete)}`);
  return found;
}

/** Differences in whether something is refused, and with which code. */
export function verdictDifferences(expect: Expectation, answer: Answer): string[] {
  if (answer.kind === "skip") return [];
  const expected = expect.error ?? "accepted";
  const said = answer.kind === "ok" ? "accepted" : answer.error;
  if (expected === said) return [];
  return [`expected ${expected}, said ${said} ${answer.body.requirement ?? ""}`.trimEnd()];
}
