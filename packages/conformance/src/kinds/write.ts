import { copyFileSync, statSync } from "node:fs";
import { isObject, type JsonObject } from "../answer.ts";
import { type Bench, bytesOf, type Said } from "../bench.ts";
import { contentsOf, differences } from "../compare.ts";
import { sha256 } from "../corpus.ts";
import type { ExpectCanon } from "../manifest.ts";
import { Wrong } from "../results.ts";
import { sameFindings } from "./read.ts";

/** `canon`: the canonical file, byte for byte. */
export async function tryCanon(bench: Bench): Promise<void> {
  const { expect } = bench.vector;
  const out = bench.path("output.qdb");
  const said = await bench.askToWrite(["canon", bench.input(), out], out);
  if ("error" in expect) {
    bench.refused(said, expect.error);
    return;
  }
  const canon = expect as ExpectCanon;
  bench.done(said, "the canonical file");
  const expected = expectedBytes(bench, canon);
  const { size } = statSync(out);
  if (size !== expected.length)
    throw new Wrong("fail", `the canonical file has ${expected.length} bytes, ${size} were written`);
  const came = bytesOf(out, Number.MAX_SAFE_INTEGER) ?? Buffer.alloc(0);
  if (sha256(came) === canon.sha256) return;
  const at = came.findIndex((byte, index) => byte !== expected[index]);
  const part = (bytes: Uint8Array): string => Buffer.from(bytes.subarray(at, at + 16)).toString("hex");
  throw new Wrong("fail", `the first byte that is not canonical is at offset ${at}`, {
    expected: `${part(expected)}… (SHA-256 ${canon.sha256})`,
    came: `${part(came)}… (SHA-256 ${sha256(came)})`,
  });
}

function expectedBytes({ corpus, vector }: Bench, canon: ExpectCanon): Uint8Array {
  if ("file" in canon) return corpus.bytes({ file: canon.file, length: 0, sha256: canon.sha256 }) as Uint8Array;
  const like = corpus.vector(canon.same_as);
  if (like === undefined) throw new Error(`${vector.id}: there is no vector ${canon.same_as}`);
  const bytes = corpus.bytes(like.input);
  return bytes instanceof Uint8Array ? bytes : bytes.bytes();
}

/** `apply`: what the file holds after all operations, or none of them. */
export async function tryOps(bench: Bench): Promise<void> {
  const { expect } = bench.vector;
  if (!("ops" in expect)) throw new Error(`${bench.vector.id}: operations need a script`);
  const script = bench.path("script.ops");
  copyFileSync(bench.corpus.path(expect.ops), script);
  const out = bench.path("output.qdb");
  const input = bench.input();
  const said = await bench.askToWrite(["apply", input, script, out], out);
  if ("error" in expect) {
    bench.refused(said, expect.error);
    return;
  }
  bench.done(said, `a file with the contents ${expect.model}`);
  await sameContents(bench, out, [expect.model, ...(expect.any_of ?? [])]);
  if (input !== "-") await sameHistory(bench, input, out);
}

/** `repair`: what is left, and what the file holds. */
export async function tryRepair(bench: Bench): Promise<void> {
  const { expect } = bench.vector;
  const out = bench.path("output.qdb");
  const input = bench.input();
  const said = await bench.askToWrite(["repair", input, out], out);
  if ("error" in expect) {
    bench.refused(said, expect.error);
    return;
  }
  if (!("findings" in expect && "model" in expect)) throw new Error(`${bench.vector.id}: a repair expects both`);
  sameFindings(bench, bench.done(said, "what is left"), expect.findings);
  await sameContents(bench, out, [expect.model]);
  const check = ["check", out];
  if (bench.profiles.includes("check"))
    sameFindings(bench, bench.done(await bench.ask(check), "findings"), expect.findings);
  for (const { judge, said } of await bench.askJudges(check))
    await judged(judge.name, async () => sameFindings(bench, bench.done(said, "findings"), expect.findings));
  await sameHistory(bench, input, out);
}

/** Reads what was written, by the program itself and by every judge. @throws {Wrong} for other contents */
async function sameContents(bench: Bench, out: string, models: readonly string[]): Promise<void> {
  const request = ["read", out];
  let readers = 0;
  if (bench.profiles.includes("read")) {
    readers++;
    holds(bench, await bench.ask(request), models);
  }
  for (const { judge, said } of await bench.askJudges(request)) {
    readers++;
    await judged(judge.name, async () => holds(bench, said, models));
  }
  if (readers === 0)
    throw new Wrong("fail", "nobody can read what was written: claim the profile read, or name a --judge");
}

function holds(bench: Bench, said: Said, models: readonly string[]): void {
  const [model = ""] = models;
  const body = bench.done(said, `the contents ${model}`);
  const found = models.map((name) => differences(contentsOf(bench.corpus.json(name)), contentsOf(body.model)));
  if (found.some((list) => list.length === 0)) return;
  throw new Wrong("fail", "what was written holds something else", {
    expected: models.join(" or "),
    differences: found[0] ?? [],
  });
}

async function judged(name: string, look: () => Promise<void>): Promise<void> {
  try {
    await look();
  } catch (error) {
    if (!(error instanceof Wrong)) throw error;
    const { expected, came } = error;
    throw new Wrong(error.outcome, `the judge ${name}: ${error.message}`, {
      ...(expected === undefined ? {} : { expected }),
      ...(came === undefined ? {} : { came }),
      differences: error.differences,
    });
  }
}

/** A full file that changed is a later generation of the same file, to whoever reads it. @throws {Wrong} when it is not */
async function sameHistory(bench: Bench, input: string, out: string): Promise<void> {
  if (isPrefix(out, input)) return;
  const pairs = await headPairs(bench, ["read", input], ["read", out]);
  for (const pair of pairs) {
    if (pair.before?.form !== "full" || pair.after === undefined) continue;
    const { before, after } = pair;
    if (before.file_id !== after.file_id)
      throw new Wrong("fail", "file_id is another one, but a change leaves the file the same file", {
        expected: `${before.file_id}`,
        came: `${after.file_id}`,
      });
    if (BigInt(`${after.generation}`) <= BigInt(`${before.generation}`))
      throw new Wrong("fail", "the file changed, but its generation did not grow", {
        expected: `above ${before.generation}`,
        came: `${after.generation}`,
      });
  }
}

/** Whether nothing was changed but, perhaps, the end cut off: no commit is needed for that. */
function isPrefix(out: string, input: string): boolean {
  const after = bytesOf(out);
  return after !== undefined && bytesOf(input)?.subarray(0, after.length).equals(after) === true;
}

/** The headers of both files, to each reader; undefined where one cannot be read. */
async function headPairs(
  bench: Bench,
  before: readonly string[],
  after: readonly string[],
): Promise<{ readonly before: JsonObject | undefined; readonly after: JsonObject | undefined }[]> {
  const pairs = [];
  if (bench.profiles.includes("read"))
    pairs.push({ before: headOf(await bench.ask(before)), after: headOf(await bench.ask(after)) });
  const [first, second] = [await bench.askJudges(before), await bench.askJudges(after)];
  first.forEach(({ said }, at) => {
    pairs.push({ before: headOf(said), after: headOf(second[at]?.said) });
  });
  return pairs;
}

function headOf(said: Said | undefined): JsonObject | undefined {
  const model = said?.kind === "ok" ? said.body.model : undefined;
  return isObject(model) && isObject(model.header) ? model.header : undefined;
}
