// Runs vectors against each seeded bug until one of them notices it.
import { join } from "node:path";
import {
  type Corpus,
  type Kind,
  type Options,
  PROFILES,
  ServeAdapter,
  tryVector,
  type Vector,
  Workspace,
} from "@qdb/conformance/authoring";
import { GRADES, type Grade, gradeOf, Listening } from "./mutant-grade.ts";
import { plant, prepare, type Seeded } from "./mutant-sources.ts";
import { REPOSITORY } from "./places.ts";

const ADAPTER = `${REPOSITORY}conformance/adapters/python/qdb_adapter.py`;
/** A request that takes longer counts as a hang: the bug is noticed. */
const TIMEOUT_MS = 10_000;
/** Vectors tried after the first that noticed a bug, to find one that notices it by the verdict alone. */
const MORE = 12;

/** The result of a mutant. */
export interface Fate {
  readonly mutant: Seeded;
  /** The vector that noticed it, and the grade; undefined for a survivor. */
  readonly killed?: { readonly vector: string; readonly grade: Grade; readonly reason: string };
  /** Whether that vector cites the mutant's rule. */
  readonly byItsRule: boolean;
  readonly vectors: number;
}

/** The kinds of vectors that use a file of the reference most. For files not listed here it is `read`. */
const KINDS_OF: Readonly<Record<string, readonly Kind[]>> = {
  "bits.py": ["ops", "read"],
  "canonical.py": ["canon", "ops"],
  "check.py": ["check", "repair"],
  "cli.py": ["canon", "ops"],
  "commit.py": ["ops", "repair"],
  "contents.py": ["canon"],
  "jsontext.py": ["canon"],
  "load.py": ["canon"],
  "operations.py": ["ops"],
  "repair.py": ["repair"],
  "rules.py": ["canon"],
  "state.py": ["ops"],
};

/**
 * The order in which vectors are tried: those that cite the mutant's rule, those that noticed an earlier mutant of the
 * file, those of the file's kinds, all others; slow ones last. Limit vectors are tried for the mutants of their rules only:
 * on a busy machine they fail for other reasons.
 */
export function ordered(vectors: readonly Vector[], { requirement, file }: Seeded, known: readonly string[]): Vector[] {
  const kinds = KINDS_OF[file] ?? ["read"];
  const rank = ({ id, kind, requirements, input }: Vector): number => {
    const isLong = input !== null && "recipe" in input && Number(input.length) > 2 ** 20;
    const slow = kind === "limit" ? 0.5 : isLong ? 0.4 : 0;
    if (requirements.some((link) => link.id === requirement)) return slow;
    const at = known.indexOf(id);
    if (at >= 0) return 2 - 1 / (at + 2);
    return (kinds.includes(kind) ? 3 + kinds.indexOf(kind) : 6) + slow;
  };
  return vectors
    .filter(({ kind, requirements }) => {
      if (kind === "limit") return requirements.some(({ id }) => id === requirement);
      return kind !== "io";
    })
    .map((vector) => [rank(vector), vector] as const)
    .sort(([a], [b]) => a - b)
    .map(([, vector]) => vector);
}

/** Tries mutants, several at the same time. */
export class Trials {
  readonly #corpus: Corpus;
  readonly #graded: boolean;
  /** Vectors that noticed a mutant, by the file of the mutant. They are likely to notice others in that file. */
  readonly #known = new Map<string, string[]>();

  /** `graded`: goes on after the first vector that notices a bug, to find the best grade. */
  constructor(corpus: Corpus, graded: boolean) {
    this.#corpus = corpus;
    this.#graded = graded;
  }

  /** Tries all mutants; the results are in the same order. */
  async all(mutants: readonly Seeded[], atOnce: number): Promise<Fate[]> {
    const fates: Fate[] = [];
    const queue = [...mutants.entries()];
    const prepared = new Workspace(undefined);
    prepare(join(prepared.folder, "reference"));
    const work = async (): Promise<void> => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const [at, mutant] = next;
        fates[at] = await this.#one(mutant, join(prepared.folder, "reference"));
      }
    };
    try {
      await Promise.all(Array.from({ length: atOnce }, work));
    } finally {
      prepared.remove();
    }
    return fates;
  }

  async #one(mutant: Seeded, prepared: string): Promise<Fate> {
    const workspace = new Workspace(undefined);
    const folder = join(workspace.folder, "reference");
    plant(mutant, prepared, folder);
    // -S: importing the site packages takes as long as starting the adapter.
    const command = ["python3", "-S", ADAPTER, "--reference", folder];
    const adapter = new ServeAdapter(command, TIMEOUT_MS, () => undefined);
    const known = this.#known.get(mutant.file) ?? [];
    const vectors = ordered(this.#corpus.manifest.vectors, mutant, known);
    let killed: Fate["killed"];
    let count = 0;
    let more = Number.POSITIVE_INFINITY;
    try {
      for (const vector of vectors) {
        // After the first vector that noticed it, only vectors that cite its rule are tried.
        const goesOn = more-- > 0 && (mutant.requirement === null || this.#cites(vector, mutant));
        if (killed !== undefined && (!this.#graded || !goesOn || killed.grade === "verdict")) break;
        count++;
        const noticed = await this.#try(vector, workspace, command, adapter);
        if (noticed === undefined) continue;
        more = Math.min(more, MORE);
        if (killed === undefined || GRADES.indexOf(noticed.grade) < GRADES.indexOf(killed.grade)) killed = noticed;
      }
    } finally {
      await adapter.close();
      workspace.remove();
    }
    if (killed === undefined) return { mutant, byItsRule: false, vectors: count };
    const { vector } = killed;
    this.#known.set(mutant.file, [vector, ...known.filter((id) => id !== vector)].slice(0, 20));
    const found = this.#corpus.vector(vector);
    return { mutant, killed, byItsRule: found !== undefined && this.#cites(found, mutant), vectors: count };
  }

  #cites({ requirements }: Vector, { requirement }: Seeded): boolean {
    return requirements.some(({ id }) => id === requirement);
  }

  async #try(
    vector: Vector,
    workspace: Workspace,
    command: readonly string[],
    adapter: ServeAdapter,
  ): Promise<Fate["killed"]> {
    const listening = new Listening(adapter);
    const result = await tryVector(vector, {
      corpus: this.#corpus,
      options: optionsOf(command),
      workspace,
      adapter: listening,
      judges: [],
      profiles: PROFILES,
      noMemory: () => undefined,
    });
    if (result.outcome === "pass") return undefined;
    const grade = result.outcome === "crash" ? "verdict" : gradeOf(vector, this.#corpus, listening.heard);
    return { vector: vector.id, grade, reason: result.trouble?.reason ?? result.outcome };
  }
}

function optionsOf(command: readonly string[]): Options {
  return {
    command,
    once: false,
    profiles: [],
    filters: [],
    known: new Map(),
    judges: [],
    reportJson: undefined,
    reportJunit: undefined,
    corpus: "",
    keep: undefined,
    timeoutMs: TIMEOUT_MS,
    jobs: 1,
    list: false,
    verbose: false,
    help: false,
    version: false,
  };
}
