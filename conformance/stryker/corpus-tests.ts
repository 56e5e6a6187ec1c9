// SPDX-License-Identifier: CC0-1.0 OR MIT
// Runs the vectors of a corpus inside this process. The conformance runner's code tries and compares; no program is started.
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Adapter,
  type Asked,
  Bench,
  Corpus,
  type Input,
  type InputBytes,
  type Json,
  type Judge,
  KINDS,
  matches,
  parseAnswer,
  type Vector,
  VectorFailure,
} from "@qdb/conformance/authoring";

/** What an adapter exports: it takes the fields of a request and gives the object of the answer. */
export interface AdapterModule {
  readonly answer: (fields: readonly string[]) => object | Promise<object>;
}

/** A vector as a test. */
export interface CorpusTest {
  readonly id: string;
  /** The id and a digest of the whole vector: a changed vector is a new test. */
  readonly name: string;
  readonly vector: Vector;
}

const PROFILES = ["read", "check", "write", "update", "repair"];
/** After this time a request counts as unanswered. No request of the corpus takes a tenth of it. */
const MOST_MS = 5000;

/** Calls the functions of an adapter. Times are given as 0: they are not measured here. */
class InProcess implements Adapter {
  readonly #module: AdapterModule;

  constructor(module: AdapterModule) {
    this.#module = module;
  }

  async ask(fields: readonly string[]): Promise<Asked> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer in ${MOST_MS} ms`)), MOST_MS);
    });
    try {
      const answer = await Promise.race([this.#module.answer(fields), late]);
      return { answer: parseAnswer(JSON.stringify(answer), undefined), ms: 0 };
    } catch (error) {
      return { crash: error instanceof Error ? error.message : String(error), ms: 0 };
    } finally {
      clearTimeout(timer);
    }
  }

  async close(): Promise<undefined> {
    return undefined;
  }
}

/** A corpus whose vectors are tried in this process. Each file is read once. */
export class CorpusTests {
  readonly tests: readonly CorpusTest[];
  readonly #corpus: Corpus;
  readonly #folder: string = mkdtempSync(join(tmpdir(), "qdb-mutation-"));

  /** Takes the vectors whose ids match a pattern, or all, except those in `without`. @throws {Error} when the manifest cannot be read */
  constructor(folder: string, patterns: readonly string[] = [], without: readonly string[] = []) {
    this.#corpus = cached(Corpus.open(folder));
    const left = new Set(without);
    const vectors = this.#corpus.manifest.vectors.filter(({ id }) => matches(id, patterns) && !left.has(id));
    this.tests = vectors.map((vector) => {
      return { id: vector.id, name: `${vector.id} ${digestOf(this.#corpus, vector)}`, vector };
    });
  }

  /** Tries a vector; gives what is wrong, or undefined. @throws {Error} when the corpus is damaged */
  async failure({ vector }: CorpusTest, module: AdapterModule, judge?: AdapterModule): Promise<string | undefined> {
    const judges: Judge[] =
      judge === undefined ? [] : [{ name: "unchanged", adapter: new InProcess(judge), profiles: ["read", "check"] }];
    const bench = new Bench({
      vector,
      corpus: this.#corpus,
      adapter: new InProcess(module),
      judges,
      profiles: PROFILES,
      folder: join(this.#folder, vector.id),
      timeoutMs: MOST_MS,
    });
    mkdirSync(bench.folder, { recursive: true });
    try {
      await KINDS[vector.kind](bench);
      return undefined;
    } catch (error) {
      if (!(error instanceof VectorFailure)) throw error;
      return [error.message, error.expected, error.came, ...error.differences].filter((line) => line).join("\n");
    } finally {
      rmSync(bench.folder, { recursive: true, force: true });
    }
  }

  /** The vectors that take more than `most` milliseconds of processor time when they run the second time. */
  async slow(module: AdapterModule, most: number): Promise<CorpusTest[]> {
    const found: CorpusTest[] = [];
    for (const test of this.tests) {
      await this.failure(test, module);
      const before = process.cpuUsage();
      await this.failure(test, module);
      const { user, system } = process.cpuUsage(before);
      if ((user + system) / 1000 > most) found.push(test);
    }
    return found;
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Makes a corpus keep the files that it reads. Callers do not change them. */
function cached(corpus: Corpus): Corpus {
  const [json, bytes] = [corpus.json.bind(corpus), corpus.bytes.bind(corpus)];
  const models = new Map<string, Json>();
  const inputs = new Map<string, InputBytes>();
  corpus.json = (file: string) => once(models, file, () => json(file));
  corpus.bytes = (input: Input) => once(inputs, JSON.stringify(input), () => bytes(input));
  return corpus;
}

function once<T>(kept: Map<string, T>, key: string, make: () => T): T {
  let value = kept.get(key);
  if (value === undefined) {
    value = make();
    kept.set(key, value);
  }
  return value;
}

function digestOf(corpus: Corpus, vector: Vector): string {
  const hash = createHash("sha256").update(JSON.stringify([vector.input, vector.expect]));
  const { expect, input } = vector;
  for (const key of ["model", "log"] as const)
    if (key in expect)
      hash.update(JSON.stringify(corpus.json((expect as unknown as Record<string, string>)[key] ?? "")));
  if ("ops" in expect) hash.update(corpus.bytes({ document: expect.ops }) as Uint8Array);
  if (input !== null && "document" in input) hash.update(corpus.bytes(input) as Uint8Array);
  return hash.digest("hex").slice(0, 12);
}
