// Makes the corpus from its sources: `node conformance/tools/build.ts`. `--try ID-PREFIX...` only prints what is wrong with
// these vectors. `--check` writes nothing and prints the files of the corpus that differ.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeReader } from "./c-reader.ts";
import { corpusFiles } from "./corpus-files.ts";
import { publishIds } from "./ids.ts";
import { type JudgedVector, judgeVector, refusals, ScratchFiles } from "./judge-vector.ts";
import { openJudges, type VectorJudge } from "./judges.ts";
import { SUITE } from "./places.ts";
import { loadSources, type Source, withoutPart } from "./sources.ts";
import { differingFiles, writeCorpus } from "./write-corpus.ts";

/** Judges vectors, and tests whether each part of a patch is needed. */
export async function judgeAll(wanted: readonly Source[], judges: readonly VectorJudge[]): Promise<JudgedVector[]> {
  const sources = loadSources();
  const directory = mkdtempSync(join(tmpdir(), "qdb-corpus-"));
  const scratch = new ScratchFiles(directory);
  const judged: JudgedVector[] = [];
  try {
    for (const source of wanted) {
      let result: JudgedVector;
      try {
        const made = await judgeVector(source, sources, judges, scratch);
        result = { ...made, wrong: [...made.wrong, ...(await looseParts(source, sources, judges, scratch))] };
      } catch (error) {
        const wrong = [error instanceof Error ? error.message : String(error)];
        result = { source, input: undefined, judges: [], wrong };
      }
      scratch.clear();
      judged.push(result);
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return judged;
}

/** Rules about the order of errors: a vector that cites one has several defects on purpose. */
const ORDER = /^QDB-ERR-0(1[0-9]|20)$/;

/** What is wrong with the patch of a vector that is refused: its parent must be accepted, and no part of it may be left out without another outcome. */
async function looseParts(
  source: Source,
  sources: ReadonlyMap<string, Source>,
  judges: readonly VectorJudge[],
  scratch: ScratchFiles,
): Promise<string[]> {
  const { patch = [], kind, expect } = source;
  if (kind !== "read" || refusals(expect).length === 0) return [];
  const parent = source.parent === undefined ? undefined : sources.get(source.parent);
  const wrong: string[] = [];
  if (parent === undefined) wrong.push("what is refused is a patch of an accepted parent");
  else if (refusals(parent.expect).length > 0) wrong.push(`its parent ${parent.id} is refused itself`);
  if (patch.length < 2 || source.breaks?.some((rule) => ORDER.test(rule)) === true) return wrong;
  for (const part of patch) {
    const less = await judgeVector(withoutPart(source, part), sources, judges.slice(0, 1), scratch);
    if (less.wrong.length === 0) wrong.push(`the patch is not the smallest: ${JSON.stringify(part)} can be left out`);
  }
  return wrong;
}

async function main(args: readonly string[]): Promise<number> {
  const sources = loadSources();
  const trying = args[0] === "--try";
  const prefixes = trying ? args.slice(1) : [];
  const wanted = [...sources.values()].filter(({ id }) => !trying || prefixes.some((prefix) => id.startsWith(prefix)));
  // QDB_JUDGES can name fewer judges for --try only; the corpus needs all of them.
  makeReader();
  const judges = openJudges(trying ? process.env.QDB_JUDGES?.split(",") : undefined);
  const judged = await judgeAll(wanted, judges);
  for (const judge of judges) await judge.close();
  let bad = 0;
  for (const { source, wrong, judges: agree } of judged) {
    const all = wrong.length === 0 && agree.length < 2 ? ["fewer than two judges can say whether it is right"] : wrong;
    if (all.length === 0) continue;
    bad++;
    process.stdout.write(`${source.id}: ${source.title}\n${all.map((line) => `  ${line}\n`).join("")}`);
  }
  process.stdout.write(`${judged.length} vectors, ${bad} of them wrong\n`);
  if (bad > 0 || trying) return bad > 0 ? 1 : 0;
  const files = corpusFiles(judged, sources);
  if (args[0] === "--check") {
    const differing = differingFiles(SUITE, files);
    for (const path of differing) process.stdout.write(`conformance/${path} is not what its source makes\n`);
    if (differing.length > 0) process.stdout.write("If the sources are right: node conformance/tools/build.ts\n");
    return differing.length > 0 ? 1 : 0;
  }
  writeCorpus(SUITE, files);
  publishIds(sources.keys());
  return 0;
}

if (process.argv[1]?.endsWith("build.ts")) process.exitCode = await main(process.argv.slice(2));
