// Seeded bugs: conformance/mutants/*.json, each one replacement in a file of the reference.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { REPOSITORY } from "./places.ts";

/** A seeded bug. */
export interface Mutant {
  readonly id: string;
  /** The rule that the bug breaks; null for a classic that no rule names. */
  readonly requirement: string | null;
  readonly class: string;
  readonly target: "python";
  /** A file of conformance/reference/qdb_ref. */
  readonly file: string;
  /** The text that is replaced. It occurs exactly once in the file. */
  readonly find: string;
  readonly replace: string;
  readonly says: string;
  /** Set if no vector can notice the bug: the reason. */
  readonly equivalent?: string;
}

/** A mutant, and the name of the file in conformance/mutants without `.json`. */
export interface Seeded extends Mutant {
  readonly area: string;
}

const MUTANTS = `${REPOSITORY}conformance/mutants/`;
const REFERENCE = `${REPOSITORY}conformance/reference/`;

/** All mutants. @throws {Error} when an id is used twice */
export function loadMutants(): Seeded[] {
  const names = existsSync(MUTANTS) ? readdirSync(MUTANTS).sort() : [];
  const all = names
    .filter((name) => name.endsWith(".json"))
    .flatMap((name) => {
      const mutants = JSON.parse(readFileSync(MUTANTS + name, "utf8")) as Mutant[];
      return mutants.map((mutant) => ({ ...mutant, area: name.replace(/\.json$/, "") }));
    });
  const ids = new Set<string>();
  for (const { id, area } of all) {
    if (ids.has(id)) throw new Error(`conformance/mutants/${area}.json: the id ${id} stands there twice`);
    ids.add(id);
  }
  return all;
}

/** The text of a file of the reference with the bug in it. @throws {Error} when `find` does not occur exactly once */
export function mutated({ id, area, file, find, replace }: Seeded, reference: string = REFERENCE): string {
  const where = `conformance/mutants/${area}.json: ${id}`;
  const path = join(reference, "qdb_ref", file);
  if (!existsSync(path)) throw new Error(`${where}: the reference has no file ${file}`);
  const text = readFileSync(path, "utf8");
  const places = text.split(find).length - 1;
  if (places !== 1)
    throw new Error(
      `${where}: its text stands ${places} times in qdb_ref/${file}; it has to name one place, so find a text that does`,
    );
  if (find === replace) throw new Error(`${where}: it replaces a text by itself`);
  return text.replace(find, () => replace);
}

/** Problems of the mutants themselves, one a line. */
export function mutantProblems(mutants: readonly Seeded[]): string[] {
  return mutants.flatMap((mutant) => {
    try {
      mutated(mutant);
      return [];
    } catch (error) {
      return [error instanceof Error ? error.message : String(error)];
    }
  });
}

/** Copies the reference and compiles it, so that copies of the copy start quickly. */
export function prepare(folder: string): void {
  cpSync(REFERENCE, folder, { recursive: true, preserveTimestamps: true });
  const { status, error } = spawnSync("python3", ["-m", "compileall", "-q", join(folder, "qdb_ref")], {
    stdio: "inherit",
  });
  if (status !== 0)
    throw new Error(`python3 cannot compile the reference (${error?.message ?? `exit code ${status}`})`);
}

/** Copies the prepared reference and puts the bug in. */
export function plant(mutant: Seeded, prepared: string, folder: string): void {
  // Python uses a compiled file only if the time of its source is unchanged.
  cpSync(prepared, folder, { recursive: true, preserveTimestamps: true });
  writeFileSync(join(folder, "qdb_ref", mutant.file), mutated(mutant, prepared));
}
