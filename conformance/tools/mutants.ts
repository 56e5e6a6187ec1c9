// Puts bugs into the reference, one at a time, and tests whether the corpus notices them:
// `node conformance/tools/mutants.ts [AREA-OR-ID-PREFIX...]`. Exit codes: 0 all are noticed; 1 a bug survived, or no vector
// of its rule noticed it; 2 the mutants have problems; 3 a control survived, so the run proves nothing.
import { Corpus } from "@qdb/conformance/authoring";
import { GRADES } from "./mutant-grade.ts";
import { type Fate, Trials } from "./mutant-run.ts";
import { loadMutants, mutantProblems, type Seeded } from "./mutant-sources.ts";
import { REPOSITORY } from "./places.ts";
import { type Requirement, readRequirements } from "./rules.ts";

/** How many mutants are tried at the same time. */
const AT_ONCE = 2;

/** The result of a run. */
export interface Verdict {
  readonly fates: readonly Fate[];
  /** Controls that no vector noticed. If there is one, the run proves nothing. */
  readonly void: readonly Fate[];
  readonly survivors: readonly Fate[];
  /** Bugs that break a rule and were noticed, but by no vector that cites the rule. */
  readonly elsewhere: readonly Fate[];
  /** Mutants called equivalent that a vector noticed. */
  readonly notEquivalent: readonly Fate[];
}

/** Tries mutants with the corpus of this repository, or of another folder. Without `graded`, it stops at the first vector that notices. */
export async function tryMutants(
  mutants: readonly Seeded[],
  { folder = `${REPOSITORY}conformance`, graded = true }: { readonly folder?: string; readonly graded?: boolean } = {},
): Promise<Verdict> {
  const corpus = Corpus.open(folder);
  const fates = await new Trials(corpus, graded).all(mutants, AT_ONCE);
  const isControl = ({ mutant }: Fate): boolean => mutant.class === "control";
  const lives = ({ killed }: Fate): boolean => killed === undefined;
  const isEquivalent = ({ mutant }: Fate): boolean => mutant.equivalent !== undefined;
  return {
    fates,
    void: fates.filter((fate) => isControl(fate) && lives(fate)),
    survivors: fates.filter((fate) => !isControl(fate) && lives(fate) && !isEquivalent(fate)),
    elsewhere: fates.filter(
      (fate) => !lives(fate) && fate.mutant.requirement !== null && !fate.byItsRule && !isEquivalent(fate),
    ),
    notEquivalent: fates.filter((fate) => isEquivalent(fate) && !lives(fate)),
  };
}

/** Testable MUST rules that no mutant breaks. */
export function withoutMutant(requirements: readonly Requirement[], mutants: readonly Seeded[]): string[] {
  const broken = new Set(mutants.map(({ requirement }) => requirement));
  return requirements
    .filter(({ id, testable, level }) => testable && level.startsWith("MUST") && !broken.has(id))
    .map(({ id }) => id);
}

/** A table: bugs of each area, and how many are noticed at each grade. */
export function tableOf(fates: readonly Fate[]): string {
  const rows = new Map<string, Fate[]>();
  for (const fate of fates) rows.set(fate.mutant.area, [...(rows.get(fate.mutant.area) ?? []), fate]);
  const counted = fates.filter(({ mutant }) => mutant.equivalent === undefined);
  const line = (name: string, all: readonly Fate[]): string => {
    const real = all.filter(({ mutant }) => mutant.equivalent === undefined);
    const upTo = GRADES.map((_, at) => {
      const noticed = real.filter(({ killed }) => killed !== undefined && GRADES.indexOf(killed.grade) <= at).length;
      return real.length === 0 ? "-" : `${noticed} (${Math.floor((100 * noticed) / real.length)} %)`;
    });
    return [
      name.padEnd(14),
      `${real.length}`.padStart(5),
      ...upTo.map((cell) => cell.padStart(14)),
      `${all.length - real.length}`.padStart(11),
    ].join(" ");
  };
  const head = [
    "area".padEnd(14),
    "bugs".padStart(5),
    "by verdict".padStart(14),
    "with codes".padStart(14),
    "with models".padStart(14),
    "equivalent".padStart(11),
  ].join(" ");
  const tried = fates.length === 0 ? 0 : fates.reduce((sum, { vectors }) => sum + vectors, 0) / fates.length;
  return [
    head,
    ...[...rows].map(([name, all]) => line(name, all)),
    line("all", fates),
    `${counted.length} bugs; ${tried.toFixed(1)} vectors were tried for each`,
  ].join("\n");
}

/** What has to be mended, one a line. */
export function linesOf(verdict: Verdict): string[] {
  const name = ({ mutant }: Fate): string =>
    `${mutant.id} (${mutant.requirement ?? mutant.class}, qdb_ref/${mutant.file}: ${mutant.says})`;
  return [
    ...verdict.void.map((fate) => `void: the control ${name(fate)} survived: the run compares nothing`),
    ...verdict.survivors.map(
      (fate) =>
        `survived: ${name(fate)}; add a vector that tells it from the reference, or say under "equivalent" why none can`,
    ),
    ...verdict.elsewhere.map(
      (fate) =>
        `noticed by ${fate.killed?.vector} only: ${name(fate)}; no vector that cites ${fate.mutant.requirement} notices it: cite it there, or add one`,
    ),
    ...verdict.notEquivalent.map(
      (fate) =>
        `not equivalent: ${name(fate)}: ${fate.killed?.vector} notices it (${fate.killed?.reason}); take "equivalent" away`,
    ),
  ];
}

async function main(prefixes: readonly string[]): Promise<number> {
  const all = loadMutants();
  const wanted = (mutant: Seeded): boolean =>
    prefixes.some((prefix) => mutant.area === prefix || mutant.id.startsWith(prefix));
  const mutants = prefixes.length === 0 ? all : all.filter(wanted);
  const problems = mutantProblems(mutants);
  for (const problem of problems) process.stderr.write(`${problem}\n`);
  if (problems.length > 0) return 2;
  const verdict = await tryMutants(mutants);
  process.stdout.write(`${tableOf(verdict.fates)}\n`);
  for (const { mutant } of verdict.fates.filter(
    ({ mutant, killed }) => mutant.equivalent !== undefined && killed === undefined,
  ))
    process.stdout.write(`equivalent: ${mutant.id} (${mutant.says}): ${mutant.equivalent}\n`);
  for (const line of linesOf(verdict)) process.stdout.write(`${line}\n`);
  const missing = prefixes.length === 0 ? withoutMutant(readRequirements(), mutants) : [];
  if (missing.length > 0) process.stdout.write(`rules without a mutant: ${missing.join(", ")}\n`);
  if (verdict.void.length > 0) return 3;
  const bad = verdict.survivors.length + verdict.elsewhere.length + verdict.notEquivalent.length + missing.length;
  return bad > 0 ? 1 : 0;
}

if (process.argv[1]?.endsWith("mutants.ts")) process.exitCode = await main(process.argv.slice(2));
