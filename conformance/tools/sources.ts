// The vectors as their authors write them: conformance/src/*.json. What a vector is, is said in IMPLEMENTERS.md.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Pages } from "../../packages/conformance/src/pages.ts";
import { type Change, changed, materialise, type Part, type Recipe } from "../../packages/conformance/src/recipe.ts";

/** Folder of the conformance suite. */
export const ROOT = fileURLToPath(new URL("../", import.meta.url));

/** Kinds of vectors, each with the profile to which it belongs. */
export const PROFILE_OF = {
  read: "read",
  limit: "read",
  io: "read",
  crash: "read",
  check: "check",
  canon: "write",
  ops: "update",
  repair: "repair",
} as const;
export type Kind = keyof typeof PROFILE_OF;

/** Dirty extents in bytes of the disk, or the code for which the bits are refused. */
export type Bits = readonly (readonly [string, string])[] | string;

/** `[code, severity, repairable, bitmap?]` */
export type SourceFinding = readonly [string, string, boolean, string?];

/** Expected values, written by hand. */
export interface Expectation {
  readonly error?: string;
  readonly bitmaps?: Readonly<Record<string, Bits>>;
  /** Keys of the header; null: absent. */
  readonly head?: Readonly<Record<string, unknown>>;
  /** Keys of bitmaps; null: absent. */
  readonly bitmap_keys?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** Types of records that a writer may also leave out, by bitmap. */
  readonly or_without_records?: Readonly<Record<string, readonly string[]>>;
  readonly extensions?: readonly unknown[];
  readonly bits_sha256?: Readonly<Record<string, string>>;
  readonly sha256?: string;
  readonly records?: Readonly<Record<string, readonly unknown[]>>;
  readonly flags_of?: Readonly<Record<string, readonly string[]>>;
  readonly sizes?: Readonly<Record<string, readonly [string, string]>>;
  /** Whether a writer may also announce all-ones clusters, as the rewrite of a draft may. */
  readonly or_all_ones?: boolean;
  /** Places in the model that differ from run to run, such as `bitmaps.0.extra_data.1.id`. */
  readonly wild?: readonly string[];
  readonly findings?: readonly SourceFinding[];
  readonly complete?: boolean;
  readonly same_as?: string;
  readonly self?: boolean;
  readonly recipe?: Recipe;
  readonly request?: readonly string[];
  readonly bytes?: number;
  readonly rounds?: number;
  readonly names?: readonly string[];
  readonly verb?: "read" | "check";
  readonly time_ms?: number;
  readonly memory_mib?: number;
  readonly states?: Readonly<Record<string, Readonly<Record<string, Bits>>>>;
  readonly allowed?: readonly (readonly string[])[];
}

/** A vector as its author wrote it. */
export interface Source extends Change {
  readonly id: string;
  readonly title: string;
  readonly kind: Kind;
  readonly proves?: readonly string[];
  readonly breaks?: readonly string[];
  readonly why?: string;
  readonly flags?: readonly string[];
  readonly level?: "must" | "should" | "may";
  readonly since?: string;
  readonly recipe?: Recipe;
  readonly parent?: string;
  readonly document?: unknown;
  readonly document_text?: string;
  readonly empty?: boolean;
  readonly ops?: readonly string[];
  readonly qemu?: boolean;
  /** Crash: the file after the commit, as a change of the one before it, and the writes that lead there. */
  readonly after?: Change;
  readonly steps?: readonly (readonly (string | number)[])[];
  readonly expect: Expectation;
}

/** The JSON files of a folder with vectors, as paths in the suite. */
function sourceFiles(folder: string): string[] {
  const names = readdirSync(ROOT + folder).sort();
  return names.filter((name) => name.endsWith(".json") && name !== "flags.json").map((name) => `${folder}/${name}`);
}

/** All sources by id, in the order of their files. @throws {Error} a double or malformed id, a file that is no JSON */
export function loadSources(): Map<string, Source> {
  const sources = new Map<string, Source>();
  for (const name of [...sourceFiles("src"), ...sourceFiles("src/generated")]) {
    const { vectors } = JSON.parse(readFileSync(ROOT + name, "utf8")) as { vectors: Source[] };
    for (const source of vectors) {
      if (!/^[a-z0-9]+(-[a-z0-9]+)+$/.test(source.id)) throw new Error(`${name}: ${source.id} is no id`);
      if (sources.has(source.id))
        throw new Error(`${name}: the id ${source.id} is used twice; ids are never used again`);
      if (PROFILE_OF[source.kind] === undefined) throw new Error(`${name}: ${source.id}: no kind ${source.kind}`);
      sources.set(source.id, source);
    }
  }
  return sources;
}

/** The recipe of a vector's input, its parents' laid out. @throws {Error} an unknown parent, a circle */
export function recipeOf(source: Source, sources: ReadonlyMap<string, Source>, depth = 0): Recipe {
  if (source.recipe !== undefined) return source.recipe;
  const parent = source.parent === undefined ? undefined : sources.get(source.parent);
  if (parent === undefined) throw new Error(`${source.id}: there is no parent ${source.parent}`);
  if (depth > 8) throw new Error(`${source.id}: its parents go round in a circle`);
  return changed(recipeOf(parent, sources, depth + 1), source);
}

/** The bytes of a vector's input; undefined where it has none, or a document. */
export function inputOf(source: Source, sources: ReadonlyMap<string, Source>): Pages | undefined {
  if (source.empty === true || source.document !== undefined || source.document_text !== undefined) return undefined;
  try {
    return materialise(recipeOf(source, sources));
  } catch (error) {
    throw new Error(`${source.id}: ${error instanceof Error ? error.message : error}`);
  }
}

/** The text of a vector's document. */
export function documentOf(source: Source): string | undefined {
  if (source.document_text !== undefined) return source.document_text;
  return source.document === undefined ? undefined : `${JSON.stringify(source.document, undefined, 2)}\n`;
}

/** The parts of a patch, one left out: what is needed of it shows. */
export function without(source: Source, part: Part): Source {
  return { ...source, patch: (source.patch ?? []).filter((other) => other !== part) };
}
