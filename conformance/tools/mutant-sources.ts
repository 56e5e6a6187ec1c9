// Seeded bugs: conformance/mutants/*.json, each one replacement in a file of the reference.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { REPOSITORY } from "./places.ts";

/** A bug that vectors are to notice. */
export interface Mutant {
  readonly id: string;
  /** The rule that the bug breaks; null for a classic that no rule names. */
  readonly requirement: string | null;
  readonly class: string;
  readonly target: "python";
  /** In conformance/reference/qdb_ref. */
  readonly file: string;
  /** Stands there exactly once. */
  readonly find: string;
  readonly replace: string;
  readonly says: string;
  /** Why no vector can tell it from the reference, if so. */
  readonly equivalent?: string;
}

/** A mutant and the name of the file that it stands in. */
export interface Seeded extends Mutant {
  readonly area: string;
}

const MUTANTS = `${REPOSITORY}conformance/mutants/`;
const REFERENCE = `${REPOSITORY}conformance/reference/`;

/** All mutants. @throws {Error} an id that stands twice */
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

/** The text of a file of the reference with the bug in it. @throws {Error} where there is no one place for it */
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

/** What is wrong with the mutants themselves. */
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

/** A copy of the reference that Python has compiled, so that a copy of it starts at once. */
export function prepare(folder: string): void {
  cpSync(REFERENCE, folder, { recursive: true, preserveTimestamps: true });
  const { status, error } = spawnSync("python3", ["-m", "compileall", "-q", join(folder, "qdb_ref")], {
    stdio: "inherit",
  });
  if (status !== 0)
    throw new Error(`python3 cannot compile the reference (${error?.message ?? `exit code ${status}`})`);
}

/** A copy of what was prepared, with the bug in it. */
export function plant(mutant: Seeded, prepared: string, folder: string): void {
  // What is compiled stays good where the times of the sources stay.
  cpSync(prepared, folder, { recursive: true, preserveTimestamps: true });
  writeFileSync(join(folder, "qdb_ref", mutant.file), mutated(mutant, prepared));
}
