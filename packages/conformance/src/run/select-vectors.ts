import type { Corpus } from "../corpus/corpus.ts";
import type { Vector } from "../corpus/manifest.ts";
import { KINDS } from "../kinds/index.ts";
import type { Hello } from "../program/hello.ts";
import { matches } from "../text/glob.ts";

/** The vectors of a run. */
export interface SelectedVectors {
  /** Vectors to try, in the order of the corpus. */
  readonly due: readonly Vector[];
  /** Vectors that match the filters but are skipped, with the reason. */
  readonly skipped: readonly { readonly vector: Vector; readonly reason: string }[];
}

/**
 * Selects the vectors whose id matches one of the filters. Those that the program under test does not claim are skipped. `hello` is undefined
 * if the program did not answer; all vectors are skipped then.
 */
export function selectVectors(
  corpus: Corpus,
  filters: readonly string[],
  hello: Hello | undefined,
  profiles: readonly string[],
): SelectedVectors {
  const due: Vector[] = [];
  const skipped: { vector: Vector; reason: string }[] = [];
  for (const vector of corpus.manifest.vectors) {
    if (!matches(vector.id, filters)) continue;
    const reason = skipReason(vector, hello, profiles);
    if (reason === undefined) due.push(vector);
    else skipped.push({ vector, reason });
  }
  return { due, skipped };
}

/** Returns why a vector is skipped; undefined if it is tried. */
function skipReason(vector: Vector, hello: Hello | undefined, profiles: readonly string[]): string | undefined {
  if (hello === undefined) return "the program did not answer hello";
  if (KINDS[vector.kind] === undefined) return `this runner does not know the kind ${vector.kind}`;
  // A limit vector of the profile read can send `check`, so the program must claim that verb too.
  for (const profile of [vector.profile, ...(vector.limits === undefined ? [] : [vector.limits.verb])])
    if (!profiles.includes(profile)) return `the profile ${profile} is not claimed`;
  const feature = vector.features.find((name) => !hello.features.includes(name));
  return feature === undefined ? undefined : `the feature ${feature} is not claimed`;
}

/** Returns why a run tries no vector. */
export function reasonForNone({ skipped }: SelectedVectors, profiles: readonly string[]): string {
  if (skipped.length === 0) return "no vector of the corpus has such an id; --list shows them";
  if (profiles.length === 0) return "the program claims no profile; name them in hello, or with --profile";
  return "no vector belongs to the claimed profiles and features";
}
