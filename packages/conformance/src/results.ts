import type { Kind, Level, Profile, RequirementLink } from "./manifest.ts";

/** What a vector came to. Only `pass` counts as passed. */
export type Outcome = "pass" | "fail" | "crash" | "skip" | "known failure";

/** What to show of a vector that did not pass. */
export interface Trouble {
  /** One sentence. */
  readonly reason: string;
  readonly expected?: string;
  readonly came?: string;
  readonly differences?: readonly string[];
  /** The input, for a look. */
  readonly input?: string;
  /** The command that does the request by hand. */
  readonly repeat?: string;
}

/** The result of a vector. */
export interface Result {
  readonly id: string;
  readonly title: string;
  readonly kind: Kind | "protocol";
  readonly profile: Profile | "protocol";
  readonly level: Level;
  readonly requirements: readonly RequirementLink[];
  readonly outcome: Outcome;
  readonly trouble?: Trouble;
  /** Of all its requests. */
  readonly durationMs: number;
  /** What the request took, of limit vectors. */
  readonly timeMs?: number;
  readonly memoryMib?: number;
}

/** The program under test, as it told of itself. */
export interface Hello {
  readonly name: string;
  readonly version: string;
  readonly spec: readonly number[];
  readonly profiles: readonly string[];
  readonly features: readonly string[];
}

/** A run. */
export interface Run {
  readonly command: readonly string[];
  readonly mode: "serve" | "once";
  readonly hello: Hello | undefined;
  /** Profiles that were run. */
  readonly profiles: readonly string[];
  readonly judges: readonly string[];
  readonly started: Date;
  readonly durationMs: number;
  readonly results: readonly Result[];
  /** What could not be looked at, said once. */
  readonly notes: readonly string[];
}

/** How many of each; crashes are failures too. */
export interface Summary {
  readonly passed: number;
  readonly failed: number;
  readonly crashed: number;
  readonly skipped: number;
  readonly known: number;
}

/** Counts outcomes. */
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

/** What went wrong with a vector, thrown by whoever finds it. */
export class Wrong extends Error {
  readonly outcome: "fail" | "crash";
  readonly expected: string | undefined;
  readonly came: string | undefined;
  readonly differences: readonly string[];

  constructor(
    outcome: "fail" | "crash",
    reason: string,
    more: { readonly expected?: string; readonly came?: string; readonly differences?: readonly string[] } = {},
  ) {
    super(reason);
    this.outcome = outcome;
    this.expected = more.expected;
    this.came = more.came;
    this.differences = more.differences ?? [];
  }
}
