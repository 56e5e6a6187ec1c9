// Prints rules and codes without a vector: `node conformance/tools/coverage.ts [AREA...]`. An area is that of the rules, such
// as HDR.
import { existsSync, readFileSync } from "node:fs";
import { REPOSITORY } from "./places.ts";
import { readReviewed, vectorsOf } from "./requirements.ts";
import { codesOfSpec, type Requirement, readRequirements, specText } from "./rules.ts";
import { type Expectation, loadSources, type Source } from "./sources.ts";

const CONFORMANCE = `${REPOSITORY}conformance/`;

/** Why an id was withdrawn. */
export interface Withdrawal {
  readonly reason: string;
  readonly successor?: string;
}

/** A rule that lacks vectors. */
export interface Gap {
  readonly id: string;
  readonly missing: string;
}

/** Testable rules without enough vectors: a MUST needs one that proves it and one that breaks it, others need one. */
export function gaps(requirements: readonly Requirement[], sources: readonly Source[]): Gap[] {
  const found: Gap[] = [];
  for (const { id, level, testable } of requirements) {
    if (!testable) continue;
    const proves = sources.some((source) => source.proves?.includes(id) === true);
    const breaks = sources.some((source) => source.breaks?.includes(id) === true);
    if (level.startsWith("MUST")) {
      if (!proves) found.push({ id, missing: "no vector proves it" });
      if (!breaks) found.push({ id, missing: "no vector breaks it" });
    } else if (!proves && !breaks) found.push({ id, missing: "no vector" });
  }
  return found;
}

/** Vectors that cite no rule, an unknown rule, or a rule that is not testable. */
export function wrongCitations(requirements: readonly Requirement[], sources: readonly Source[]): string[] {
  const known = new Map(requirements.map((requirement) => [requirement.id, requirement]));
  const found: string[] = [];
  for (const { id, proves = [], breaks = [] } of sources) {
    for (const rule of new Set([...proves, ...breaks])) {
      const requirement = known.get(rule);
      if (requirement === undefined) found.push(`${id} cites ${rule}, which is no rule of spec/qdb.md`);
      else if (!requirement.testable)
        found.push(`${id} cites ${rule}, which spec/requirements.json calls not testable: one of the two is wrong`);
    }
    if (proves.length + breaks.length === 0) found.push(`${id} cites no rule`);
  }
  return found;
}

function codesExpected({ error, bitmaps, findings, allowed }: Expectation): string[] {
  const ofBitmaps = Object.values(bitmaps ?? {}).filter((bits): bits is string => typeof bits === "string");
  return [
    ...(error === undefined ? [] : [error]),
    ...ofBitmaps,
    ...(findings ?? []).map(([code]) => code),
    ...(allowed ?? []).flat(),
  ];
}

/** Codes that no vector expects, without those whose rules are all not testable. */
export function missingCodes(requirements: readonly Requirement[], sources: readonly Source[]): string[] {
  const { errors, findings } = codesOfSpec(specText());
  const registry = JSON.parse(readFileSync(`${REPOSITORY}spec/errors.json`, "utf8")) as Record<
    "codes" | "findings",
    { code: string; requirements: string[] }[]
  >;
  const testable = new Set(requirements.filter((requirement) => requirement.testable).map(({ id }) => id));
  const shown = new Set(sources.flatMap(({ expect }) => codesExpected(expect)));
  return [...errors, ...findings].filter((code) => {
    const rules = [...registry.codes, ...registry.findings].find((entry) => entry.code === code)?.requirements ?? [];
    const named = requirements.filter(({ codes }) => codes.includes(code)).map(({ id }) => id);
    const all = [...rules, ...named];
    return (all.length === 0 || all.some((id) => testable.has(id))) && !shown.has(code);
  });
}

/** Problems of conformance/ids.txt and conformance/withdrawn.json: a published id never changes its meaning. */
export function idProblems(
  sources: readonly Source[],
  lines: readonly string[] = readLines("ids.txt"),
  withdrawn: Readonly<Record<string, Withdrawal>> = readJson("withdrawn.json"),
): string[] {
  const ids = new Set(lines);
  const there = new Set(sources.map(({ id }) => id));
  const found: string[] = [];
  if (lines.join() !== [...ids].sort().join()) found.push("conformance/ids.txt is not sorted, or has an id twice");
  for (const id of there)
    if (!ids.has(id)) found.push(`${id} is not in conformance/ids.txt: add it (conformance/tools/build.ts does)`);
  for (const id of ids)
    if (!there.has(id) && withdrawn[id] === undefined)
      found.push(`${id} was published and is gone: bring it back, or say why in conformance/withdrawn.json`);
  for (const [id, { reason, successor }] of Object.entries(withdrawn)) {
    if (there.has(id)) found.push(`${id} was withdrawn, and its id must not come back: give the vector a new one`);
    if (!ids.has(id)) found.push(`${id} is in conformance/withdrawn.json, but not in conformance/ids.txt`);
    if (typeof reason !== "string" || reason === "") found.push(`${id} was withdrawn without a reason`);
    if (successor !== undefined && !there.has(successor)) found.push(`${successor}, successor of ${id}, is no vector`);
  }
  return found;
}

function readLines(name: string): string[] {
  const path = CONFORMANCE + name;
  return existsSync(path) ? readFileSync(path, "utf8").split("\n").filter(Boolean) : [];
}

function readJson(name: string): Record<string, Withdrawal> {
  const path = CONFORMANCE + name;
  return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : {};
}

/** Rules whose sentence changed since their vectors were reviewed. */
export function unreviewed(requirements: readonly Requirement[], sources: readonly Source[]): string[] {
  const reviewed = readReviewed();
  const found: string[] = [];
  for (const { id, hash } of requirements) {
    const vectors = vectorsOf(id, sources);
    if (vectors.length === 0 || reviewed[id] === hash) continue;
    const what =
      reviewed[id] === undefined
        ? "its vectors were never reviewed"
        : "its sentence changed since its vectors were reviewed";
    found.push(
      `${id}: ${what}. Look at ${vectors.join(", ")}, then run node conformance/tools/requirements.ts --reviewed ${id}`,
    );
  }
  return found;
}

function main(areas: readonly string[]): number {
  const requirements = readRequirements();
  const sources = [...loadSources().values()];
  const missing = gaps(requirements, sources);
  const areaOf = (id: string): string => id.slice(4, 7);
  const lines: string[] = [];
  for (const area of new Set(requirements.map(({ id }) => areaOf(id)))) {
    if (areas.length > 0 && !areas.includes(area)) continue;
    const rules = requirements.filter(({ id }) => areaOf(id) === area);
    const testable = rules.filter((rule) => rule.testable);
    const here = missing.filter(({ id }) => areaOf(id) === area);
    const covered = testable.filter(({ id }) => !here.some((gap) => gap.id === id));
    lines.push(`${area}: ${covered.length} of ${testable.length} testable rules, ${rules.length} in all`);
    for (const { id, missing: what } of here) lines.push(`  ${id} ${what}`);
  }
  const codes = missingCodes(requirements, sources);
  if (codes.length > 0) lines.push(`codes without a vector: ${codes.join(", ")}`);
  const wrong = wrongCitations(requirements, sources);
  process.stdout.write([...lines, ...wrong, ""].join("\n"));
  return missing.length + codes.length + wrong.length > 0 ? 1 : 0;
}

if (process.argv[1]?.endsWith("coverage.ts")) process.exitCode = main(process.argv.slice(2));
