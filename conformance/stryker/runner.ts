// SPDX-License-Identifier: CC0-1.0 OR MIT
// A test runner for Stryker: runs the vectors of the corpus in this process against the instrumented sources in the sandbox.
// A process or a test framework for each mutant would take hours.
import type { MutantCoverage } from "@stryker-mutator/api/core";
import { declareClassPlugin, PluginKind } from "@stryker-mutator/api/plugin";
import {
  type DryRunResult,
  DryRunStatus,
  determineHitLimitReached,
  type MutantRunOptions,
  type MutantRunResult,
  MutantRunStatus,
  type TestResult,
  type TestRunner,
  type TestRunnerCapabilities,
  TestStatus,
} from "@stryker-mutator/api/test-runner";
import { REPOSITORY, SUITE } from "../tools/places.ts";
import { type AdapterModule, type CorpusTest, CorpusTests } from "./corpus-tests.ts";
import { loadAdapter } from "./sandbox.ts";

/** The corpus, and its vectors that are tried. run.ts sets these variables for the processes that Stryker starts. */
const CORPUS = process.env.QDB_MUTATION_CORPUS ?? SUITE;
const PATTERNS = process.env.QDB_MUTATION_VECTORS?.split(",") ?? [];
const SLOW = process.env.QDB_MUTATION_SLOW?.split(",") ?? [];

/** The state that instrumented code reads and counts in. */
interface Context {
  activeMutant: string | undefined;
  currentTestId: string | undefined;
  mutantCoverage?: MutantCoverage;
  hitCount: number | undefined;
  hitLimit: number | undefined;
}

/** Global: every loaded copy of the sources uses it. */
const context: Context = {
  activeMutant: undefined,
  currentTestId: undefined,
  hitCount: undefined,
  hitLimit: undefined,
};
(globalThis as { __stryker__?: Context }).__stryker__ = context;

/** Runs the corpus against one mutant after the other. */
export class CorpusRunner implements TestRunner {
  readonly #corpus = new CorpusTests(CORPUS, PATTERNS, SLOW);
  /** How many mutants each vector has killed. Those that killed most are tried first. */
  readonly #kills = new Map<string, number>();
  #module: AdapterModule | undefined;
  /** The adapter over the unchanged sources. It reads what a mutant wrote, like a --judge of the conformance runner. */
  #judge: AdapterModule | undefined;

  capabilities(): TestRunnerCapabilities {
    return { reloadEnvironment: true };
  }

  async init(): Promise<void> {
    this.#judge = await loadAdapter(REPOSITORY);
  }

  async dryRun(): Promise<DryRunResult> {
    const module = await this.#load();
    const tests: TestResult[] = [];
    for (const test of this.#corpus.tests) {
      context.currentTestId = test.id;
      const started = performance.now();
      const failureMessage = await this.#corpus.failure(test, module, this.#judge);
      const base = { id: test.id, name: test.name, timeSpentMs: Math.ceil(performance.now() - started) };
      tests.push(
        failureMessage === undefined
          ? { ...base, status: TestStatus.Success }
          : { ...base, status: TestStatus.Failed, failureMessage },
      );
    }
    context.currentTestId = undefined;
    const { mutantCoverage } = context;
    return { status: DryRunStatus.Complete, tests, ...(mutantCoverage === undefined ? {} : { mutantCoverage }) };
  }

  async mutantRun(options: MutantRunOptions): Promise<MutantRunResult> {
    const { activeMutant, hitLimit, mutantActivation, reloadEnvironment, testFilter } = options;
    context.activeMutant = mutantActivation === "static" ? activeMutant.id : undefined;
    context.hitCount = hitLimit === undefined ? undefined : 0;
    context.hitLimit = hitLimit;
    let module: AdapterModule;
    try {
      module = reloadEnvironment ? await this.#load() : (this.#module ?? (await this.#load()));
    } catch (error) {
      const failureMessage = `the sources cannot be loaded: ${error}`;
      return { status: MutantRunStatus.Killed, killedBy: [], failureMessage, nrOfTests: 0 };
    }
    context.activeMutant = activeMutant.id;
    let nrOfTests = 0;
    for (const test of this.#ordered(testFilter)) {
      nrOfTests++;
      const failureMessage = await this.#corpus.failure(test, module, this.#judge);
      const reached = determineHitLimitReached(context.hitCount, context.hitLimit);
      if (reached !== undefined) return { status: MutantRunStatus.Timeout, reason: reached.reason ?? "" };
      if (failureMessage === undefined) continue;
      this.#kills.set(test.id, (this.#kills.get(test.id) ?? 0) + 1);
      return { status: MutantRunStatus.Killed, killedBy: [test.id], failureMessage, nrOfTests };
    }
    return { status: MutantRunStatus.Survived, nrOfTests };
  }

  async dispose(): Promise<void> {
    this.#corpus.close();
  }

  async #load(): Promise<AdapterModule> {
    context.currentTestId = undefined;
    this.#module = undefined;
    // Stryker starts its workers inside the sandbox.
    this.#module = await loadAdapter(process.cwd());
    return this.#module;
  }

  #ordered(filter: readonly string[] | undefined): CorpusTest[] {
    const wanted = filter === undefined ? undefined : new Set(filter);
    const kills = (test: CorpusTest): number => this.#kills.get(test.id) ?? 0;
    return this.#corpus.tests.filter(({ id }) => wanted?.has(id) ?? true).sort((a, b) => kills(b) - kills(a));
  }
}

/** The plugins that Stryker loads. */
export const strykerPlugins = [declareClassPlugin(PluginKind.TestRunner, "qdb-corpus", CorpusRunner)];
