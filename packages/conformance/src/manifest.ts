/** What a vector asks for; a kind that a runner does not know is skipped and counted as such. */
export type Kind = "read" | "check" | "canon" | "ops" | "repair" | "crash" | "io" | "limit";

/** A group of vectors that an implementation claims as a whole. */
export type Profile = "read" | "check" | "write" | "update" | "repair";

/** How far a vector binds: what a MUST, a SHOULD or a MAY of the specification says. */
export type Level = "must" | "should" | "may";

/** A value of JSON. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/**
 * One part of a recipe: `[offset, operation, operand...]`. A last text that begins with `# ` is a comment. Numbers above
 * 2^53 are decimal texts. recipe.ts has the operations.
 */
export type Part = readonly (number | string)[];

/** How a file of any length is made from a short description; recipe.ts carries it out. */
export interface Recipe {
  /** Length of the file in bytes. */
  readonly length: number | string;
  /** Written in order, later parts over earlier ones. Bytes that no part writes are zero. */
  readonly parts: readonly Part[];
  /** Checksums and copies, written in order after all parts. */
  readonly seals?: readonly Part[];
  /** The file is truncated to this length after parts and seals are written. */
  readonly cut?: number | string;
}

/** A rule of the specification that a vector shows (+), or breaks or would catch breaking (-). */
export interface RequirementLink {
  readonly id: string;
  readonly polarity: "+" | "-";
}

/** A file of the corpus, as it is. */
export interface FileInput {
  readonly file: string;
  readonly length: number;
  readonly sha256: string;
}

/** A file that the runner makes, because it is long and mostly empty. */
export interface RecipeInput {
  readonly recipe: Recipe;
  /** Bytes, as in the recipe. */
  readonly length: number | string;
  /** SHA-256 over (u64be index, SHA-256 of the block) of each 64 KiB block that is not all zero, then the u64be length. */
  readonly digest: string;
}

/** A document of the JSON form. */
export interface DocumentInput {
  readonly document: string;
}

/** What a request is made on; null where operations begin with nothing. */
export type Input = FileInput | RecipeInput | DocumentInput | null;

/** A finding; two lists of them are compared as multisets. */
export interface Finding {
  readonly code: string;
  readonly severity: string;
  readonly repairable: boolean;
  readonly bitmap?: string;
}

/** The request is refused with this code. */
export interface ExpectError {
  readonly error: string;
}

/** The file reads as this model (a path of the corpus). */
export interface ExpectModel {
  readonly model: string;
}

/** What check reports. */
export interface ExpectCheck {
  readonly findings: readonly Finding[];
  readonly complete: boolean;
}

/** The canonical file, byte for byte: a file of the corpus, or the input file of another vector. */
export type ExpectCanon =
  | { readonly file: string; readonly sha256: string }
  | { readonly same_as: string; readonly sha256: string };

/** What the file holds after all operations of a script. */
export interface ExpectOps {
  readonly model: string;
  readonly ops: string;
  /** Further models that are as good. */
  readonly any_of?: readonly string[];
}

/** A script that is refused as a whole. */
export interface ExpectOpsError {
  readonly error: string;
  readonly ops: string;
}

/** What is left after a repair, and what the repaired file holds. */
export interface ExpectRepair {
  readonly findings: readonly Finding[];
  readonly model: string;
}

/** A log of writes that a power failure may cut anywhere. */
export interface ExpectCrash {
  readonly log: string;
}

/** The most bytes that are read, and rounds of reads that wait for each other. */
export interface ExpectIo {
  /** Further words of the request: ["list"], or ["one", name]. */
  readonly request: readonly string[];
  readonly bytes: number;
  readonly rounds: number;
  readonly names?: readonly string[];
  readonly model?: string;
}

/** What a vector expects; which of them it is follows from the kind. */
export type Expect =
  | ExpectError
  | ExpectModel
  | ExpectCheck
  | ExpectCanon
  | ExpectOps
  | ExpectOpsError
  | ExpectRepair
  | ExpectCrash
  | ExpectIo;

/** What a hostile file may cost. */
export interface Limits {
  readonly time_ms: number;
  readonly memory_mib: number;
  readonly verb: "read" | "check";
}

/** A vector. */
export interface Vector {
  readonly id: string;
  readonly title: string;
  readonly kind: Kind;
  readonly profile: Profile;
  readonly features: readonly string[];
  readonly level: Level;
  readonly flags?: readonly string[];
  readonly requirements: readonly RequirementLink[];
  readonly why?: string;
  /** Version of the corpus that had it first. */
  readonly since: string;
  readonly input: Input;
  /** The accepted vector from which this one differs by the patch. */
  readonly parent?: string;
  readonly patch?: readonly Part[];
  readonly expect: Expect;
  readonly limits?: Limits;
}

/** The index of a corpus: the one file that a consumer must read. */
export interface Manifest {
  readonly manifest_format: 1;
  readonly protocol: 1;
  readonly corpus_version: string;
  readonly corpus_digest: string;
  readonly spec_version: 1;
  /** What each flag means. */
  readonly notes: Readonly<Record<string, string>>;
  readonly counts: Readonly<Record<string, number>>;
  readonly vectors: readonly Vector[];
}

/** One step of the log of a crash vector. */
export type CrashStep = readonly ["write", number, string] | readonly ["fsync"] | readonly ["cut", number];

/** The log of a crash vector: what each prefix of the steps may read as. */
export interface CrashLog {
  /** Models by name. */
  readonly states: Readonly<Record<string, string>>;
  readonly steps: readonly CrashStep[];
  /** For each prefix of the steps, the empty one first: names of states, or codes of errors. */
  readonly allowed: readonly (readonly string[])[];
}
