import type { Kind, Level, Profile, RequirementLink, Vector } from "../corpus/manifest.ts";
import type { Hello } from "../program/hello.ts";

/** The outcome of a vector (conformance/IMPLEMENTERS.md, Outcomes). */
export type Outcome = "pass" | "fail" | "crash" | "skip" | "known failure";

/** What a report shows of a vector that did not pass. */
export interface Trouble {
  /** Why the vector did not pass, in one sentence. */
  readonly reason: string;
  readonly expected?: string;
  readonly came?: string;
  readonly differences?: readonly string[];
  /** The path of the input. */
  readonly input?: string;
  /** A command for a shell that repeats the request. */
  readonly repeat?: string;
}

/** The result of a vector, or of a rule of the protocol, whose kind and profile are `protocol`. */
export interface Result {
  readonly id: string;
  readonly title: string;
  readonly kind: Kind | "protocol";
  readonly profile: Profile | "protocol";
  readonly level: Level;
  readonly requirements: readonly RequirementLink[];
  readonly outcome: Outcome;
  readonly trouble?: Trouble;
  /** Milliseconds that all requests took together. */
  readonly durationMs: number;
  /** Limit vectors only: the shortest time of the request in milliseconds, and the smallest growth of peak memory in MiB. */
  readonly timeMs?: number;
  readonly memoryMib?: number;
}

/** A run of a corpus against a program. */
export interface Run {
  readonly command: readonly string[];
  readonly mode: "serve" | "once";
  /** Undefined if the program did not answer `hello`. */
  readonly hello: Hello | undefined;
  /** The profiles whose vectors were tried. */
  readonly profiles: readonly string[];
  /** The names of the judges. */
  readonly judges: readonly string[];
  readonly started: Date;
  readonly durationMs: number;
  readonly results: readonly Result[];
  /** Notes for the reader of a report, such as what could not be measured. */
  readonly notes: readonly string[];
}

/** The number of results of each outcome. `failed` includes the crashes. */
export interface Summary {
  readonly passed: number;
  readonly failed: number;
  readonly crashed: number;
  readonly skipped: number;
  readonly known: number;
}

/** Counts the outcomes of results. */
export function summaryOf(results: readonly Result[]): Summary {
  const count = (...outcomes: readonly Outcome[]): number =>
    results.filter(({ outcome }) => outcomes.includes(outcome)).length;
  return {
    passed: count("pass"),
    failed: count("fail", "crash"),
    crashed: count("crash"),
    skipped: count("skip"),
    known: count("known failure"),
  };
}

/** Makes the result of a vector for which no request was sent. */
export function vectorResult(vector: Vector, outcome: Outcome, trouble?: Trouble): Result {
  const { id, title, kind, profile, level, requirements } = vector;
  const base = { id, title, kind, profile, level, requirements, outcome, durationMs: 0 };
  return trouble === undefined ? base : { ...base, trouble };
}

/** Makes a result that is about the program, not about a vector. */
export function protocolResult(id: string, title: string, outcome: "fail" | "crash", reason: string): Result {
  return {
    id,
    title,
    kind: "protocol",
    profile: "protocol",
    level: "must",
    requirements: [],
    outcome,
    trouble: { reason },
    durationMs: 0,
  };
}
