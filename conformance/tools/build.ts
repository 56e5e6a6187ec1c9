// Makes the corpus from its sources: `node conformance/tools/build.ts`. With `--try AREA-OR-ID-PREFIX...` it only says what is
// wrong with these vectors, with `--check` whether the corpus is what the sources make.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeReader } from "./c-reader.ts";
import { corpusFiles } from "./corpus-files.ts";
import { publishIds } from "./ids.ts";
import { refusals, type Trial, trial, Workbench } from "./judge-vector.ts";
import { JUDGES, Judge } from "./judges.ts";
import { loadSources, ROOT, type Source, without } from "./sources.ts";
import { differingFiles, writeCorpus } from "./write-corpus.ts";

/** The judges that can be started here; a judge that is not built is an error where all are needed. */
export function openJudges(names: readonly string[] = Object.keys(JUDGES)): Judge[] {
  return names.map((name) => new Judge(name, JUDGES[name] ?? []));
}

/** Tries vectors, and whether each part of a patch is needed. */
export async function tryAll(wanted: readonly Source[], judges: readonly Judge[]): Promise<Trial[]> {
  const sources = loadSources();
  const directory = mkdtempSync(join(tmpdir(), "qdb-corpus-"));
  const bench = new Workbench(directory);
  const trials: Trial[] = [];
  try {
    for (const source of wanted) {
      let result: Trial;
      try {
        const made = await trial(source, sources, judges, bench);
        result = { ...made, wrong: [...made.wrong, ...(await looseParts(source, sources, judges, bench))] };
      } catch (error) {
        const wrong = [error instanceof Error ? error.message : String(error)];
        result = { source, input: undefined, judges: [], wrong };
      }
      bench.clear();
      trials.push(result);
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return trials;
}

/** Rules that say which of several errors comes first. */
const ORDER = /^QDB-ERR-0(1[0-9]|20)$/;

/** A patch that breaks a rule is the smallest: none of its parts can be left out without another outcome. */
async function looseParts(
  source: Source,
  sources: ReadonlyMap<string, Source>,
  judges: readonly Judge[],
  bench: Workbench,
): Promise<string[]> {
  const { patch = [], kind, expect } = source;
  if (kind !== "read" || refusals(expect).length === 0) return [];
  const parent = source.parent === undefined ? undefined : sources.get(source.parent);
  const wrong: string[] = [];
  if (parent === undefined) wrong.push("what is refused is a patch of an accepted parent");
  else if (refusals(parent.expect).length > 0) wrong.push(`its parent ${parent.id} is refused itself`);
  // Of several defects on purpose, the order of section 7.2 is what is tested.
  if (patch.length < 2 || source.breaks?.some((rule) => ORDER.test(rule)) === true) return wrong;
  for (const part of patch) {
    const less = await trial(without(source, part), sources, judges.slice(0, 1), bench);
    if (less.wrong.length === 0) wrong.push(`the patch is not the smallest: ${JSON.stringify(part)} can be left out`);
  }
  return wrong;
}

async function main(args: readonly string[]): Promise<number> {
  const sources = loadSources();
  const trying = args[0] === "--try";
  const prefixes = trying ? args.slice(1) : [];
  const wanted = [...sources.values()].filter(({ id }) => !trying || prefixes.some((prefix) => id.startsWith(prefix)));
  // Not all judges are needed to try something, but to publish it they are.
  makeReader();
  const judges = openJudges(trying ? process.env.QDB_JUDGES?.split(",") : undefined);
  const trials = await tryAll(wanted, judges);
  for (const judge of judges) await judge.close();
  let bad = 0;
  for (const { source, wrong, judges: agree } of trials) {
    const all = wrong.length === 0 && agree.length < 2 ? ["fewer than two judges can say whether it is right"] : wrong;
    if (all.length === 0) continue;
    bad++;
    process.stdout.write(`${source.id}: ${source.title}\n${all.map((line) => `  ${line}\n`).join("")}`);
  }
  process.stdout.write(`${trials.length} vectors, ${bad} of them wrong\n`);
  if (bad > 0 || trying) return bad > 0 ? 1 : 0;
  const files = corpusFiles(trials, sources);
  if (args[0] === "--check") {
    const differing = differingFiles(ROOT, files);
    for (const path of differing) process.stdout.write(`conformance/${path} is not what its source makes\n`);
    if (differing.length > 0) process.stdout.write("If the sources are right: node conformance/tools/build.ts\n");
    return differing.length > 0 ? 1 : 0;
  }
  writeCorpus(ROOT, files);
  publishIds(sources.keys());
  return 0;
}

if (process.argv[1]?.endsWith("build.ts")) process.exitCode = await main(process.argv.slice(2));
