// One vector, tried with the judges: its files are made, every judge is asked, and what it says is held against the author's word.
import { createHash } from "node:crypto";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { Pages } from "../../packages/conformance/src/pages.ts";
import { changed, materialise } from "../../packages/conformance/src/recipe.ts";
import { findingDifferences, modelDifferences, plain, verdictDifferences } from "./compare.ts";
import type { Answer, Judge } from "./judge.ts";
import { documentOf, type Expectation, inputOf, recipeOf, type Source } from "./sources.ts";

/** What came of a vector. */
export interface Trial {
  readonly source: Source;
  readonly input: Pages | undefined;
  /** The JSON form that is expected: of the input, or of what was written. */
  readonly model?: unknown;
  /** Bytes that are expected of a writer. */
  readonly output?: Uint8Array;
  /** Crash: the model of each state. */
  readonly states?: Readonly<Record<string, unknown>>;
  /** Crash: steps with their bytes. */
  readonly steps?: readonly (readonly (string | number)[])[];
  /** Who agrees with the author. */
  readonly judges: readonly string[];
  /** What is wrong; empty for a vector that can be published. */
  readonly wrong: readonly string[];
}

/** Files of a trial; made anew for each. */
export class Workbench {
  readonly #directory: string;
  #made: string[] = [];
  #count = 0;

  constructor(directory: string) {
    this.#directory = directory;
  }

  path(): string {
    const path = join(this.#directory, `${this.#count++}`);
    this.#made.push(path);
    return path;
  }

  file(content: Pages | Uint8Array | string): string {
    const path = this.path();
    if (typeof content === "string" || content instanceof Uint8Array) writeFileSync(path, content);
    else content.save(path);
    return path;
  }

  clear(): void {
    for (const path of this.#made) rmSync(path, { force: true });
    this.#made = [];
  }
}

/** Tries a vector. */
export async function trial(
  source: Source,
  sources: ReadonlyMap<string, Source>,
  judges: readonly Judge[],
  bench: Workbench,
): Promise<Trial> {
  const input = inputOf(source, sources);
  const wrong: string[] = [];
  const agree: string[] = ["hand"];
  const base = { source, input };
  const hear = (judge: Judge, differences: readonly string[]): void => {
    if (differences.length === 0) agree.push(judge.name);
    else wrong.push(...differences.map((difference) => `${judge.name}: ${difference}`));
  };
  const { expect } = source;
  if (source.kind === "crash")
    return { ...base, ...(await crashTrial(source, sources, judges, bench, hear)), judges: agree, wrong };

  const path =
    input === undefined ? (source.empty === true ? "-" : bench.file(documentOf(source) ?? "")) : bench.file(input);
  // An update of a draft makes a file in full form, which gets an id.
  const isRewritten = source.kind === "ops" && input !== undefined && input.length >= 28 && input.read(27, 1)[0] === 28;
  let model: unknown;
  let output: Uint8Array | undefined;
  for (const judge of judges) {
    const said = await asked(judge, source, path, bench);
    if (said.answer.skip !== undefined) continue;
    const differences = verdictDifferences(expect, said.answer);
    const shown = said.read?.model ?? said.answer.model;
    if (differences.length === 0 && expect.error === undefined) {
      if (said.answer.findings !== undefined) differences.push(...findingDifferences(expect, said.answer));
      if (shown !== undefined) {
        differences.push(...modelDifferences(expect, shown));
        const form = withWild(plain(shown), source, isRewritten);
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
    const digest = createHash("sha256").update(input.bytes()).digest("hex");
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

interface Said {
  readonly answer: Answer;
  /** What was read of the file that was written. */
  readonly read?: Answer;
  readonly out?: string;
}

async function asked(judge: Judge, source: Source, path: string, bench: Workbench): Promise<Said> {
  const { kind, expect } = source;
  if (kind === "check" || expect.verb === "check") return { answer: await judge.ask("check", path) };
  if (kind === "read" || kind === "limit" || kind === "io") {
    const answer = await judge.ask("read", path);
    if (kind !== "io" || answer.model === undefined) return { answer };
    const [what, name] = expect.request ?? [];
    if (what === "one")
      answer.model.bitmaps = answer.model.bitmaps.filter((bitmap: { name?: string }) => bitmap.name === name);
    return { answer };
  }
  const out = bench.path();
  const answer =
    kind === "ops"
      ? await judge.ask("apply", path, bench.file(`${(source.ops ?? []).join("\n")}\n`), out)
      : await judge.ask(kind, path, out);
  if (answer.ok !== true) return { answer };
  const read = await judge.ask("read", out);
  if (read.ok !== true) return { answer: { ok: false, error: `${read.error} of what it wrote` } };
  return { answer, out, read };
}

/** The bytes that a canonical writer is to give, by hand. */
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

/** What differs from commit to commit: nothing fixes where a commit puts things, and it has an id of its own. */
const OF_COMMITS = ["generation", "writer_id", "bitmaps_offset", "bitmaps_size", "table_checksum", "header_checksum"];

function ofCommits(model: Record<string, unknown>): string[] {
  const bitmaps = Array.isArray(model.bitmaps) ? [...model.bitmaps.keys()] : [];
  return [
    ...OF_COMMITS.map((key) => `header.${key}`),
    ...bitmaps.flatMap((at) => [`bitmaps.${at}.l1_table_offset`, `bitmaps.${at}.l1_checksum`]),
  ];
}

/** Puts `*` where values differ from run to run. */
function withWild(model: Record<string, unknown>, source: Source, isDraft: boolean): unknown {
  const places = [...(source.expect.wild ?? [])];
  if (source.empty === true || documentOf(source) !== undefined || isDraft) places.push("header.file_id");
  if (source.kind === "ops" || source.kind === "repair") places.push(...ofCommits(model));
  for (const place of places) {
    const keys = place.split(".");
    const last = keys.pop() ?? "";
    // biome-ignore lint/suspicious/noExplicitAny: the way goes through any JSON.
    let at: any = model;
    for (const key of keys) at = at?.[key];
    if (at?.[last] !== undefined) at[last] = "*";
  }
  return model;
}

async function crashTrial(
  source: Source,
  sources: ReadonlyMap<string, Source>,
  judges: readonly Judge[],
  bench: Workbench,
  hear: (judge: Judge, differences: readonly string[]) => void,
): Promise<Pick<Trial, "states" | "steps">> {
  const before = inputOf(source, sources);
  if (before === undefined) throw new Error(`${source.id}: a crash begins with a file`);
  const after = materialise(changed(recipeOf(source, sources), source.after ?? {}));
  const steps = (source.steps ?? []).map((step): readonly (string | number)[] => {
    const [what, offset, length] = step;
    if (what !== "write" || typeof length === "string") return step;
    return [what, offset ?? 0, Buffer.from(after.read(Number(offset), Number(length))).toString("hex")];
  });
  const states: Record<string, unknown> = {};
  for (const judge of judges) {
    const differences: string[] = [];
    for (const [at, allowed] of (source.expect.allowed ?? []).entries()) {
      const answer = await judge.ask("read", bench.file(prefix(before.bytes(), steps.slice(0, at))));
      const fits = allowed.filter((name) => {
        const bitmaps = source.expect.states?.[name];
        if (bitmaps === undefined) return answer.error === name;
        return answer.model !== undefined && modelDifferences({ bitmaps }, answer.model).length === 0;
      });
      for (const name of fits) if (answer.model !== undefined) states[name] ??= plain(answer.model);
      if (fits.length === 0)
        differences.push(
          `prefix ${at}: expected ${allowed.join(" or ")}, said ${answer.error ?? JSON.stringify(answer.model?.bitmaps)}`,
        );
    }
    if (source.expect.allowed?.length !== steps.length + 1)
      differences.push(`${steps.length + 1} prefixes need an expectation each`);
    hear(judge, differences);
  }
  return { states, steps };
}

/** The file after the first steps of a log. */
function prefix(before: Uint8Array, steps: readonly (readonly (string | number)[])[]): Uint8Array {
  let bytes: Uint8Array = before.slice();
  for (const [what, offset, data] of steps) {
    if (what === "cut") bytes = bytes.slice(0, Number(offset));
    if (what !== "write") continue;
    const written = Buffer.from(String(data), "hex");
    const longer = new Uint8Array(Math.max(bytes.length, Number(offset) + written.length));
    longer.set(bytes);
    longer.set(written, Number(offset));
    bytes = longer;
  }
  return bytes;
}

/** Codes for which an expectation refuses a file or a bitmap. */
export function refusals(expect: Expectation): readonly string[] {
  const codes = Object.values(expect.bitmaps ?? {}).filter((bits): bits is string => typeof bits === "string");
  return expect.error === undefined ? codes : [expect.error, ...codes];
}
