// What an author expects, held against what a judge says.
import { isDeepStrictEqual } from "node:util";
import type { Answer } from "./judge.ts";
import type { Bits, Expectation, SourceFinding } from "./sources.ts";

/** A model as it is kept and compared: without messages, which are each implementation's own. */
// biome-ignore lint/suspicious/noExplicitAny: a model is what another program says; it is compared, not used.
export function plain(model: any): any {
  return JSON.parse(JSON.stringify(model, (key, value) => (key === "message" ? undefined : value)));
}

/** A bitmap's name in an expectation: its name, or `hex:` and its bytes. */
export function labelOf(bitmap: { name?: string; name_hex?: string }): string {
  return bitmap.name ?? `hex:${bitmap.name_hex}`;
}

function show(value: unknown): string {
  return JSON.stringify(value);
}

/** Differences between an expectation and a model; empty when it is as expected. */
export function modelDifferences(expect: Expectation, model: Answer["model"]): string[] {
  const found: string[] = [];
  const differ = (what: string, expected: unknown, said: unknown): void => {
    if (!isDeepStrictEqual(expected, said)) found.push(`${what}: expected ${show(expected)}, said ${show(said)}`);
  };
  const said = new Map<string, Bits>();
  for (const bitmap of model.bitmaps) said.set(labelOf(bitmap), bitmap.error?.code ?? bitmap.dirty);
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
    if (records !== undefined) differ(`extra_data of ${label}`, records, wildRecords(records, bitmap.extra_data ?? []));
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
function wildRecords(expected: readonly unknown[], said: readonly Record<string, unknown>[]): unknown[] {
  return said.map((record, at) => {
    const wanted = expected[at] as Record<string, unknown> | undefined;
    return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, wanted?.[key] === "*" ? "*" : value]));
  });
}

/** Differences between expected findings and those that a judge gives, in any order. */
export function findingDifferences(expect: Expectation, answer: Answer): string[] {
  const said = (answer.findings ?? []).map(({ code, severity, repairable, where }): SourceFinding => {
    return where?.bitmap === undefined ? [code, severity, repairable] : [code, severity, repairable, where.bitmap];
  });
  const sorted = (findings: readonly SourceFinding[]): string[] => findings.map(show).sort();
  const found: string[] = [];
  if (!isDeepStrictEqual(sorted(expect.findings ?? []), sorted(said)))
    found.push(`findings: expected ${show(expect.findings)}, said ${show(said)}`);
  if (expect.complete !== undefined && answer.complete !== undefined && expect.complete !== answer.complete)
    found.push(`complete: expected ${expect.complete}, said ${answer.complete}`);
  return found;
}

/** Differences in whether something is refused, and with which code. */
export function verdictDifferences(expect: Expectation, answer: Answer): string[] {
  if (answer.skip !== undefined) return [];
  const expected = expect.error ?? "accepted";
  const said = answer.ok === true ? "accepted" : `${answer.error}`;
  return expected === said ? [] : [`expected ${expected}, said ${said} ${answer.requirement ?? ""}`];
}
