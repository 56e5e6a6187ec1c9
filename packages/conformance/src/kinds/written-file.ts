// What a vector requires of a file that the program has changed.
import { type Bench, type Judge, readIfShort, requireDone } from "../bench/bench.ts";
import { contentsOf, differences } from "../bench/differences.ts";
import { VectorFailure } from "../bench/vector-failure.ts";
import type { DoneOrRefused } from "../program/parse-answer.ts";
import { isObject, type JsonObject } from "../text/json.ts";

/**
 * Requires that a written file has the contents of one of the models, which are given by their paths. It is read by the program under test,
 * if that claims to read, and by every judge.
 * @throws {VectorFailure} for other contents, or if nobody can read the file
 */
export async function requireContents(bench: Bench, out: string, models: readonly string[]): Promise<void> {
  const request = ["read", out];
  let readers = 0;
  if (bench.profiles.includes("read")) {
    readers++;
    requireOneOf(bench, await bench.ask(request), models);
  }
  for (const { judge, answer } of await bench.askJudges(request)) {
    readers++;
    ofJudge(judge, () => requireOneOf(bench, answer, models));
  }
  if (readers === 0)
    throw new VectorFailure("fail", "nobody can read what was written: claim the profile read, or name a --judge");
}

function requireOneOf(bench: Bench, answer: DoneOrRefused, models: readonly string[]): void {
  const [model = ""] = models;
  const body = requireDone(answer, `the contents ${model}`);
  const found = models.map((name) => differences(contentsOf(bench.corpus.json(name)), contentsOf(body.model)));
  if (found.some((list) => list.length === 0)) return;
  throw new VectorFailure("fail", "what was written holds something else", {
    expected: models.join(" or "),
    differences: found[0] ?? [],
  });
}

/** Calls `require` on the answer of a judge. A failure that it throws is thrown with the name of the judge in its message. */
export function ofJudge({ name }: Judge, require: () => void): void {
  try {
    require();
  } catch (error) {
    if (!(error instanceof VectorFailure)) throw error;
    const { expected, came } = error;
    throw new VectorFailure(error.outcome, `the judge ${name}: ${error.message}`, {
      ...(expected === undefined ? {} : { expected }),
      ...(came === undefined ? {} : { came }),
      differences: error.differences,
    });
  }
}

/**
 * Requires that a changed file has the file_id of the input and a larger generation. Does not apply if the input is a draft, or if the file
 * is not changed. The program under test and every judge must agree.
 * @throws {VectorFailure}
 */
export async function requireLaterGeneration(bench: Bench, input: string, out: string): Promise<void> {
  if (isPrefix(out, input)) return;
  const pairs = await headerPairs(bench, ["read", input], ["read", out]);
  for (const pair of pairs) {
    if (pair.before?.form !== "full" || pair.after === undefined) continue;
    const { before, after } = pair;
    if (before.file_id !== after.file_id)
      throw new VectorFailure("fail", "file_id is another one, but a change leaves the file the same file", {
        expected: `${before.file_id}`,
        came: `${after.file_id}`,
      });
    if (BigInt(`${after.generation}`) <= BigInt(`${before.generation}`))
      throw new VectorFailure("fail", "the file changed, but its generation did not grow", {
        expected: `above ${before.generation}`,
        came: `${after.generation}`,
      });
  }
}

/** Whether `out` has the bytes of `input`, or the first of them. A writer needs no commit to cut unused bytes off the end. */
function isPrefix(out: string, input: string): boolean {
  const after = readIfShort(out);
  return after !== undefined && readIfShort(input)?.subarray(0, after.length).equals(after) === true;
}

/** Returns the headers of two files for each program that reads them. A header is undefined if the program cannot read the file. */
async function headerPairs(
  bench: Bench,
  before: readonly string[],
  after: readonly string[],
): Promise<{ readonly before: JsonObject | undefined; readonly after: JsonObject | undefined }[]> {
  const pairs = [];
  if (bench.profiles.includes("read"))
    pairs.push({ before: headerOf(await bench.ask(before)), after: headerOf(await bench.ask(after)) });
  const [first, second] = [await bench.askJudges(before), await bench.askJudges(after)];
  first.forEach(({ answer }, at) => {
    pairs.push({ before: headerOf(answer), after: headerOf(second[at]?.answer) });
  });
  return pairs;
}

/** Returns the header in the model of an answer. */
function headerOf(answer: DoneOrRefused | undefined): JsonObject | undefined {
  const model = answer?.kind === "ok" ? answer.body.model : undefined;
  return isObject(model) && isObject(model.header) ? model.header : undefined;
}
