// Updates spec/requirements.json from spec/qdb.md: `node conformance/tools/requirements.ts`. Level, codes and hash are taken
// from the text; kind, testable and why_not are decided by hand and kept. `--check` writes nothing and prints the sentences
// that changed. `--reviewed ID...` records that the vectors of these rules were reviewed.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { REPOSITORY } from "./places.ts";
import { type Requirement, type Rule, type RuleKind, readRequirements, rulesOf, specText } from "./rules.ts";
import { loadSources, type Source } from "./sources.ts";

const REGISTRY = `${REPOSITORY}spec/requirements.json`;
const REVIEWED = `${REPOSITORY}conformance/reviewed.json`;

/** The hash of each rule's sentence when its vectors were last reviewed. */
export function readReviewed(): Record<string, string> {
  return existsSync(REVIEWED) ? JSON.parse(readFileSync(REVIEWED, "utf8")) : {};
}

/** Ids of the vectors that cite a rule. */
export function vectorsOf(id: string, sources: Iterable<Source>): string[] {
  const cites = ({ proves = [], breaks = [] }: Source): boolean => proves.includes(id) || breaks.includes(id);
  return [...sources].filter(cites).map((source) => source.id);
}

const TOOL = "node conformance/tools/requirements.ts";

/** Differences between the rules of the text and the registry, each with what to do; empty when there are none. */
export function ruleDifferences(
  rules: readonly Rule[],
  registry: readonly Requirement[],
  sources: readonly Source[] = [...loadSources().values()],
): string[] {
  const kept = new Map(registry.map((requirement) => [requirement.id, requirement]));
  const vectors = (id: string): string => vectorsOf(id, sources).join(", ") || "none yet";
  const found: string[] = [];
  for (const { id, hash, level, codes, sentence } of rules) {
    const was = kept.get(id);
    if (was === undefined) found.push(`${id} is new: "${sentence}" Run ${TOOL}, then set kind, testable and why_not`);
    else if (was.hash !== hash)
      found.push(
        `${id} changed, and is now: "${sentence}" Run ${TOOL}, see whether kind, testable and why_not still hold, and look at its vectors: ${vectors(id)}`,
      );
    else if (was.level !== level || was.codes.join() !== codes.join())
      found.push(`${id} has a level or codes that the sentence does not have; run ${TOOL}`);
    kept.delete(id);
  }
  for (const id of kept.keys())
    found.push(`${id} is gone from the text; run ${TOOL}, and withdraw the vectors that cite it: ${vectors(id)}`);
  const order = registry.map(({ id }) => id).join();
  if (found.length === 0 && order !== rules.map(({ id }) => id).join())
    found.push(`the rules stand in another order than in the text; run ${TOOL}`);
  return found;
}

/** The registry of these rules. Decisions of the older registry are kept; a new rule is testable until `why_not` is written. */
export function merged(rules: readonly Rule[], registry: readonly Requirement[]): Requirement[] {
  const kept = new Map(registry.map((requirement) => [requirement.id, requirement]));
  return rules.map(({ id, level, codes, hash }) => {
    const was = kept.get(id);
    const kind: RuleKind = was?.kind ?? "file";
    const decided = { kind, testable: was?.testable ?? true };
    return { id, level, ...decided, ...(was?.why_not === undefined ? {} : { why_not: was.why_not }), codes, hash };
  });
}

/** Writes the registry as the formatter of this repository does: one key a line, lists of codes on one line. */
function save(requirements: readonly Requirement[]): void {
  const objects = requirements.map((requirement) => {
    const lines = Object.entries(requirement).map(([key, value]) => {
      const text = Array.isArray(value)
        ? `[${value.map((code) => JSON.stringify(code)).join(", ")}]`
        : JSON.stringify(value);
      return `    ${JSON.stringify(key)}: ${text}`;
    });
    return `  {\n${lines.join(",\n")}\n  }`;
  });
  writeFileSync(REGISTRY, `[\n${objects.join(",\n")}\n]\n`);
}

function saveReviewed(reviewed: Readonly<Record<string, string>>): void {
  const lines = Object.keys(reviewed)
    .sort()
    .map((id) => `  ${JSON.stringify(id)}: ${JSON.stringify(reviewed[id])}`);
  writeFileSync(REVIEWED, `{\n${lines.join(",\n")}\n}\n`);
}

/** Records that the vectors of these rules were reviewed; `all` means every rule that a vector cites. */
function review(ids: readonly string[]): number {
  const hashes = new Map(readRequirements().map(({ id, hash }) => [id, hash]));
  const sources = [...loadSources().values()];
  const wanted = ids.includes("all") ? [...hashes.keys()].filter((id) => vectorsOf(id, sources).length > 0) : ids;
  const reviewed = readReviewed();
  for (const id of wanted) {
    const hash = hashes.get(id);
    if (hash === undefined) {
      process.stderr.write(`${id} is no rule of spec/requirements.json\n`);
      return 1;
    }
    reviewed[id] = hash;
  }
  saveReviewed(reviewed);
  return 0;
}

function main([option, ...ids]: readonly string[]): number {
  if (option === "--reviewed") return review(ids);
  const rules = rulesOf(specText());
  const registry = existsSync(REGISTRY) ? readRequirements() : [];
  const found = ruleDifferences(rules, registry);
  for (const line of found) process.stdout.write(`${line}\n`);
  if (option === "--check") return found.length > 0 ? 1 : 0;
  save(merged(rules, registry));
  for (const { id } of rules.filter(({ id, hash }) => (readReviewed()[id] ?? hash) !== hash))
    process.stdout.write(
      `${id}: look at ${vectorsOf(id, loadSources().values()).join(", ")}, then run ${TOOL} --reviewed ${id}\n`,
    );
  return 0;
}

if (process.argv[1]?.endsWith("requirements.ts")) process.exitCode = main(process.argv.slice(2));
