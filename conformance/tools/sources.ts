// The sources of the vectors: conformance/src/*.json, written by hand, and src/generated/*.json, written by layout.ts.
// IMPLEMENTERS.md says what a vector is.
import { readdirSync, readFileSync } from "node:fs";
import {
  type Change,
  changed,
  type Finding,
  type Kind,
  materialise,
  type Part,
  type Profile,
  type Recipe,
  type SparseBytes,
} from "@qdb/conformance/authoring";
import { SUITE } from "./places.ts";

/** The profile of each kind of vector. */
export const PROFILE_OF: Readonly<Record<Kind, Profile>> = {
  read: "read",
  limit: "read",
  io: "read",
  crash: "read",
  check: "check",
  canon: "write",
  ops: "update",
  repair: "repair",
};

/** The dirty extents of a bitmap, as offset and length in bytes of the disk; or the error code of a bitmap that cannot be used. */
export type Bits = readonly (readonly [string, string])[] | string;

/** `[code, severity, repairable, bitmap?]` */
export type SourceFinding = readonly [string, string, boolean, string?];

/** Expected values. In src/*.json they are written by hand. */
export interface Expectation {
  readonly error?: string;
  readonly bitmaps?: Readonly<Record<string, Bits>>;
  /** Expected keys of the header; null means that the key is absent. */
  readonly head?: Readonly<Record<string, unknown>>;
  /** Expected keys by bitmap; null means that the key is absent. */
  readonly bitmap_keys?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** Types of records that a writer may leave out, by bitmap. */
  readonly or_without_records?: Readonly<Record<string, readonly string[]>>;
  readonly extensions?: readonly unknown[];
  readonly bits_sha256?: Readonly<Record<string, string>>;
  readonly sha256?: string;
  readonly records?: Readonly<Record<string, readonly unknown[]>>;
  readonly flags_of?: Readonly<Record<string, readonly string[]>>;
  readonly sizes?: Readonly<Record<string, readonly [string, string]>>;
  /** A writer may set the feature bit for all-ones clusters too, as when it rewrites a draft. */
  readonly or_all_ones?: boolean;
  /** Paths in the model whose values differ from run to run, such as `bitmaps.0.extra_data.1.id`. */
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

/** The source of a vector. */
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
  /** Crash vectors only: the file after the commit, as a change of the file before it. `steps` are the writes of the commit. */
  readonly after?: Change;
  readonly steps?: readonly (readonly (string | number)[])[];
  readonly expect: Expectation;
}

/** The files of a folder that hold vectors, as paths in the suite. */
export function sourceFiles(folder: "src" | "src/generated"): string[] {
  const names = readdirSync(SUITE + folder).sort();
  return names.filter((name) => name.endsWith(".json") && name !== "flags.json").map((name) => `${folder}/${name}`);
}

/** All sources by id, the hand-written ones first. @throws {Error} for an id that is malformed or used twice, an unknown kind, a file that is not JSON */
export function loadSources(): Map<string, Source> {
  const sources = new Map<string, Source>();
  for (const name of [...sourceFiles("src"), ...sourceFiles("src/generated")]) {
    const { vectors } = JSON.parse(readFileSync(SUITE + name, "utf8")) as { vectors: Source[] };
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

/** The recipe of a vector's input: its own, or that of its parent with its changes. @throws {Error} for an unknown parent or a circle of parents */
export function recipeOf(source: Source, sources: ReadonlyMap<string, Source>, depth = 0): Recipe {
  if (source.recipe !== undefined) return source.recipe;
  const parent = source.parent === undefined ? undefined : sources.get(source.parent);
  if (parent === undefined) throw new Error(`${source.id}: there is no parent ${source.parent}`);
  if (depth > 8) throw new Error(`${source.id}: its parents go round in a circle`);
  return changed(recipeOf(parent, sources, depth + 1), source);
}

/** The bytes of a vector's input; undefined when it has no input or a document. */
export function inputOf(source: Source, sources: ReadonlyMap<string, Source>): SparseBytes | undefined {
  if (source.empty === true || source.document !== undefined || source.document_text !== undefined) return undefined;
  try {
    return materialise(recipeOf(source, sources));
  } catch (error) {
    throw new Error(`${source.id}: ${error instanceof Error ? error.message : error}`);
  }
}

/** The text of a vector's document; undefined when it has none. */
export function documentOf(source: Source): string | undefined {
  if (source.document_text !== undefined) return source.document_text;
  return source.document === undefined ? undefined : `${JSON.stringify(source.document, undefined, 2)}\n`;
}

/** The vector without one part of its patch. */
export function withoutPart(source: Source, part: Part): Source {
  return { ...source, patch: (source.patch ?? []).filter((other) => other !== part) };
}

/** The findings that a vector expects, in the form of the manifest. */
export function expectedFindings({ findings = [] }: Expectation): Finding[] {
  return findings.map(([code, severity, repairable, bitmap]) => {
    return { code, severity, repairable, ...(bitmap === undefined ? {} : { bitmap }) };
  });
}
