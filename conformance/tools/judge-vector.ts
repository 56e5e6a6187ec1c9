// Makes the files of a vector, asks every judge about them, and compares the answers with what the author expects.
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import {
  type Answer,
  afterStep,
  BITMAP_PLACES,
  type CrashStep,
  changed,
  HEADER_PLACES,
  isObject,
  type Json,
  materialise,
  type SparseBytes,
  sha256,
} from "@qdb/conformance/authoring";
import { checkDifferences, labelOf, type Model, modelDifferences, modelOf, verdictDifferences } from "./differences.ts";
import type { VectorJudge } from "./judges.ts";
import { documentOf, type Expectation, inputOf, recipeOf, type Source } from "./sources.ts";

/** A vector with its files, and what the judges say about it. */
export interface JudgedVector {
  readonly source: Source;
  readonly input: SparseBytes | undefined;
  /** The expected JSON form of the input, or of the file that is written. */
  readonly model?: Model;
  /** `canon` only: the expected bytes of the written file. */
  readonly output?: Uint8Array;
  /** `crash` only: the model of each state. */
  readonly states?: Readonly<Record<string, Model>>;
  /** `crash` only: the steps with their bytes. */
  readonly steps?: readonly CrashStep[];
  /** The author (`hand`) and the judges that agree. */
  readonly judges: readonly string[];
  /** What is wrong, one a line; empty when the vector can be published. */
  readonly wrong: readonly string[];
}

/** Makes temporary files in a folder, and removes them when a vector is done. */
export class ScratchFiles {
  readonly #directory: string;
  #made: string[] = [];
  #count = 0;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** A path where no file is yet. */
  path(): string {
    const path = join(this.#directory, `${this.#count++}`);
    this.#made.push(path);
    return path;
  }

  /** Writes a file and gives its path. */
  file(content: SparseBytes | Uint8Array | string): string {
    const path = this.path();
    if (typeof content === "string" || content instanceof Uint8Array) writeFileSync(path, content);
    else content.save(path);
    return path;
  }

  /** Removes all files made so far. */
  clear(): void {
    for (const path of this.#made) rmSync(path, { force: true });
    this.#made = [];
  }
}

/** Judges a vector. @throws {Error} when its source is malformed or a judge gives no valid answer */
export async function judgeVector(
  source: Source,
  sources: ReadonlyMap<string, Source>,
  judges: readonly VectorJudge[],
  scratch: ScratchFiles,
): Promise<JudgedVector> {
  const input = inputOf(source, sources);
  const wrong: string[] = [];
  const agree: string[] = ["hand"];
  const base = { source, input };
  const hear = (judge: VectorJudge, differences: readonly string[]): void => {
    if (differences.length === 0) agree.push(judge.name);
    else wrong.push(...differences.map((difference) => `${judge.name}: ${difference}`));
  };
  const { expect } = source;
  if (source.kind === "crash")
    return { ...base, ...(await judgeCrash(source, sources, judges, scratch, hear)), judges: agree, wrong };

  const path =
    input === undefined ? (source.empty === true ? "-" : scratch.file(documentOf(source) ?? "")) : scratch.file(input);
  // An update of a draft writes a full file, which gets a new file_id.
  const isRewritten = source.kind === "ops" && input !== undefined && input.length >= 28 && input.read(27, 1)[0] === 28;
  let model: Model | undefined;
  let output: Uint8Array | undefined;
  for (const judge of judges) {
    const said = await asked(judge, source, path, scratch);
    const { answer } = said;
    if (answer.kind === "skip") continue;
    const differences = verdictDifferences(expect, answer);
    if (differences.length === 0 && answer.kind === "ok") {
      if (answer.body.findings !== undefined) differences.push(...checkDifferences(expect, answer.body));
      if (said.model !== undefined) {
        differences.push(...modelDifferences(expect, said.model));
        const form = withWild(said.model, source, isRewritten);
        model ??= form;
        if (source.kind !== "ops" && source.kind !== "repair" && !isDeepStrictEqual(model, form))
          differences.push(
            `another model than ${judges[0]?.name}: ${JSON.stringify(form)} in place of ${JSON.stringify(model)}`,
          );
      }
    }
    if (source.kind === "canon" && expect.error === undefined && said.out !== undefined) {
      output = canonOutput(source, sources);
      const bytes = readFileSync(said.out);
      if (!bytes.equals(output)) differences.push(firstDifference(output, bytes));
    }
    hear(judge, differences);
  }
  if (expect.sha256 !== undefined && input !== undefined) {
    const digest = sha256(input.bytes());
    if (digest !== expect.sha256) wrong.push(`SHA-256 of the file: expected ${expect.sha256}, is ${digest}`);
  }
  return {
    ...base,
    ...(model === undefined ? {} : { model }),
    ...(output === undefined ? {} : { output }),
    judges: agree,
    wrong,
  };
}

/** The answer of a judge to one vector. */
interface Reply {
  readonly answer: Answer;
  /** The model of the input, or of the written file. */
  readonly model?: Model | undefined;
  readonly out?: string;
}

async function asked(judge: VectorJudge, source: Source, path: string, scratch: ScratchFiles): Promise<Reply> {
  const { kind, expect } = source;
  if (kind === "check" || expect.verb === "check") return { answer: await judge.ask("check", path) };
  if (kind === "read" || kind === "limit" || kind === "io") {
    const answer = await judge.ask("read", path);
    const model = modelOf(answer);
    const [what, name] = expect.request ?? [];
    if (model === undefined || what !== "one") return { answer, model };
    return { answer, model: { ...model, bitmaps: model.bitmaps.filter((bitmap) => labelOf(bitmap) === name) } };
  }
  const out = scratch.path();
  const answer =
    kind === "ops"
      ? await judge.ask("apply", path, scratch.file(`${(source.ops ?? []).join("\n")}\n`), out)
      : await judge.ask(kind, path, out);
  if (answer.kind !== "ok") return { answer };
  const read = await judge.ask("read", out);
  if (read.kind !== "ok") throw new Error(`${judge.name} cannot read what it wrote: ${JSON.stringify(read)}`);
  return { answer, out, model: modelOf(read) };
}

/** The expected bytes of a canonical file, from the source of the vector. */
function canonOutput(source: Source, sources: ReadonlyMap<string, Source>): Uint8Array {
  const { expect } = source;
  if (expect.recipe !== undefined) return materialise(expect.recipe).bytes();
  const like = expect.self === true ? source : sources.get(expect.same_as ?? "");
  const pages = like === undefined ? undefined : inputOf(like, sources);
  if (pages === undefined) throw new Error(`${source.id}: no expected bytes: same_as, self or recipe is due`);
  return pages.bytes();
}

function firstDifference(expected: Uint8Array, said: Uint8Array): string {
  if (expected.length !== said.length) return `${expected.length} bytes expected, ${said.length} written`;
  const at = expected.findIndex((byte, index) => byte !== said[index]);
  return `byte ${at}: ${expected[at]?.toString(16)} expected, ${said[at]?.toString(16)} written`;
}

/** Paths in a model that differ from commit to commit. `bitmaps_size` is one: a writer may add records of its own. */
function ofCommits({ bitmaps }: Model): string[] {
  return [
    ...[...HEADER_PLACES, "bitmaps_size"].map((key) => `header.${key}`),
    ...bitmaps.flatMap((_, at) => BITMAP_PLACES.map((key) => `bitmaps.${at}.${key}`)),
  ];
}

/** Puts `*` for values that differ from run to run. */
function withWild(model: Model, source: Source, isDraft: boolean): Model {
  const places = [...(source.expect.wild ?? [])];
  if (source.empty === true || documentOf(source) !== undefined || isDraft) places.push("header.file_id");
  if (source.kind === "ops" || source.kind === "repair") places.push(...ofCommits(model));
  for (const place of places) {
    const keys = place.split(".");
    const last = keys.pop() ?? "";
    let at: Json | undefined = model as unknown as Json;
    for (const key of keys) at = Array.isArray(at) ? at[Number(key)] : isObject(at) ? at[key] : undefined;
    if (isObject(at) && at[last] !== undefined) at[last] = "*";
  }
  return model;
}

async function judgeCrash(
  source: Source,
  sources: ReadonlyMap<string, Source>,
  judges: readonly VectorJudge[],
  scratch: ScratchFiles,
  hear: (judge: VectorJudge, differences: readonly string[]) => void,
): Promise<Pick<JudgedVector, "states" | "steps">> {
  const before = inputOf(source, sources);
  if (before === undefined) throw new Error(`${source.id}: a crash begins with a file`);
  const after = materialise(changed(recipeOf(source, sources), source.after ?? {}));
  const steps = (source.steps ?? []).map(([what, at, data]): CrashStep => {
    if (what === "fsync") return [what];
    const offset = Number(at);
    if (what === "cut") return [what, offset];
    if (what !== "write") throw new Error(`${source.id}: there is no step ${what}`);
    if (typeof data === "string") return [what, offset, data];
    return [what, offset, Buffer.from(after.read(offset, Number(data))).toString("hex")];
  });
  const states: Record<string, Model> = {};
  for (const judge of judges) {
    const differences: string[] = [];
    let bytes: Uint8Array = before.bytes();
    for (const [at, allowed] of (source.expect.allowed ?? []).entries()) {
      const step = at === 0 ? undefined : steps[at - 1];
      if (step !== undefined) bytes = afterStep(bytes, step);
      const answer = await judge.ask("read", scratch.file(bytes));
      const model = modelOf(answer);
      const fits = allowed.filter((name) => {
        const bitmaps = source.expect.states?.[name];
        if (bitmaps === undefined) return answer.kind === "refused" && answer.error === name;
        return model !== undefined && modelDifferences({ bitmaps }, model).length === 0;
      });
      for (const name of fits) if (model !== undefined) states[name] ??= model;
      if (fits.length === 0)
        differences.push(
          `prefix ${at}: expected ${allowed.join(" or ")}, said ${JSON.stringify(model?.bitmaps ?? answer)}`,
        );
    }
    if (source.expect.allowed?.length !== steps.length + 1)
      differences.push(`${steps.length + 1} prefixes need an expectation each`);
    hear(judge, differences);
  }
  return { states, steps };
}

/** The error codes that are expected for the file and for its bitmaps. */
export function refusals(expect: Expectation): readonly string[] {
  const codes = Object.values(expect.bitmaps ?? {}).filter((bits): bits is string => typeof bits === "string");
  return expect.error === undefined ? codes : [expect.error, ...codes];
}
