// The types of manifest.json, the index of a corpus.

/** What a vector tests. A runner skips vectors of a kind that it does not know, and counts them as skipped. */
export type Kind = "read" | "check" | "canon" | "ops" | "repair" | "crash" | "io" | "limit";

/** A group of vectors that an implementation claims as a whole. */
export type Profile = "read" | "check" | "write" | "update" | "repair";

/** The key word of the rules that a vector tests: MUST, SHOULD or MAY. */
export type Level = "must" | "should" | "may";

/**
 * One part of a recipe: `[offset, operation, operand...]`. A last operand that begins with `# ` is a comment. Numbers above 2^53 are strings
 * of decimal digits. recipe.ts has the operations.
 */
export type Part = readonly (number | string)[];

/** A short description of a file of any length. recipe.ts makes the bytes. */
export interface Recipe {
  /** Length of the file in bytes. */
  readonly length: number | string;
  /** Written in order; a later part overwrites earlier ones. Bytes that no part writes are zero. */
  readonly parts: readonly Part[];
  /** Checksums and copies. They are written in order after all parts. */
  readonly seals?: readonly Part[];
  /** The file is truncated to this length after parts and seals are written. */
  readonly cut?: number | string;
}

/** A rule that the vector keeps (+), or that the vector or a faulty implementation breaks (-). */
export interface RequirementLink {
  readonly id: string;
  readonly polarity: "+" | "-";
}

/** A file of the corpus. */
export interface FileInput {
  readonly file: string;
  readonly length: number;
  readonly sha256: string;
}

/** A file that is not in the corpus, because it is long and mostly zeros: the runner makes it from a recipe. */
export interface RecipeInput {
  readonly recipe: Recipe;
  /** Length of the file in bytes. */
  readonly length: number | string;
  /** SHA-256 over (u64be index, SHA-256 of the block) of each 64 KiB block that is not all zero, then the u64be length. */
  readonly digest: string;
}

/** A file of the corpus with the JSON form of a QDB file (spec §6). */
export interface DocumentInput {
  readonly document: string;
}

/** The input of a request; null if the operations start without a file. */
export type Input = FileInput | RecipeInput | DocumentInput | null;

/** A finding of `check`. Two lists of findings are compared as multisets. */
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

/** The file reads as this model, which is given by its path in the corpus. */
export interface ExpectModel {
  readonly model: string;
}

/** The result of `check`. */
export interface ExpectCheck {
  readonly findings: readonly Finding[];
  readonly complete: boolean;
}

/** The canonical file, byte for byte: a file of the corpus, or the input file of another vector. */
export type ExpectCanon =
  | { readonly file: string; readonly sha256: string }
  | { readonly same_as: string; readonly sha256: string };

/** The contents of the file after all operations of a script. */
export interface ExpectOps {
  readonly model: string;
  readonly ops: string;
  /** Other models that are valid too. */
  readonly any_of?: readonly string[];
}

/** A script that is refused as a whole with this code. */
export interface ExpectOpsError {
  readonly error: string;
  readonly ops: string;
}

/** The findings after a repair, and the contents of the repaired file. */
export interface ExpectRepair {
  readonly findings: readonly Finding[];
  readonly model: string;
}

/** A log of writes, given by its path in the corpus. A power failure may end the writes after any step. */
export interface ExpectCrash {
  readonly log: string;
}

/** Maximum number of bytes that are read, and of rounds of reads. The reads of a round depend on those of the round before. */
export interface ExpectIo {
  /** Further fields of the request: ["list"], or ["one", name]. */
  readonly request: readonly string[];
  readonly bytes: number;
  readonly rounds: number;
  readonly names?: readonly string[];
  readonly model?: string;
}

/** What a vector expects. Its kind decides which of these types it has. */
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

/** Limits of time, and of the growth of peak memory, for a request that reads a hostile file. */
export interface Limits {
  readonly time_ms: number;
  readonly memory_mib: number;
  readonly verb: "read" | "check";
}

/** A test of the corpus: an input, and what an implementation answers when it reads or changes the input. */
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
  /** The first version of the corpus that has the vector. */
  readonly since: string;
  readonly input: Input;
  /** The accepted vector from which this one differs by `patch`. */
  readonly parent?: string;
  readonly patch?: readonly Part[];
  readonly expect: Expect;
  readonly limits?: Limits;
}

/** The index of a corpus. It is the first file that a consumer reads, and names all others. */
export interface Manifest {
  readonly manifest_format: 1;
  readonly protocol: 1;
  readonly corpus_version: string;
  readonly corpus_digest: string;
  readonly spec_version: 1;
  /** The meaning of each flag. */
  readonly notes: Readonly<Record<string, string>>;
  readonly counts: Readonly<Record<string, number>>;
  readonly vectors: readonly Vector[];
}

/** One step of the log of a crash vector. */
export type CrashStep = readonly ["write", number, string] | readonly ["fsync"] | readonly ["cut", number];

/** The log of a crash vector, and which states the file may have after each step. */
export interface CrashLog {
  /** The path of the model of each state, by name of the state. */
  readonly states: Readonly<Record<string, string>>;
  readonly steps: readonly CrashStep[];
  /** The names of states and the error codes that are allowed, before the first step and then after each step. */
  readonly allowed: readonly (readonly string[])[];
}
