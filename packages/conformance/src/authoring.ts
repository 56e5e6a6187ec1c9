// What the tools in conformance/ use of the runner. This entry point is not published: see publishConfig in package.json.
export { Bench, type Judge } from "./bench/bench.ts";
export { BITMAP_PLACES, findingDifferences, HEADER_PLACES } from "./bench/differences.ts";
export { VectorFailure } from "./bench/vector-failure.ts";
export { Workspace } from "./bench/workspace.ts";
export { CORPUS_FOLDERS, Corpus, type InputBytes, sha256 } from "./corpus/corpus.ts";
export type {
  CrashStep,
  Expect,
  Finding,
  Input,
  Kind,
  Manifest,
  Part,
  Profile,
  Recipe,
  Vector,
} from "./corpus/manifest.ts";
export { type Change, changed, materialise } from "./corpus/recipe.ts";
export type { SparseBytes } from "./corpus/sparse-bytes.ts";
export { afterStep } from "./kinds/crash.ts";
export { KINDS } from "./kinds/index.ts";
export { type Adapter, type Asked, type AskOptions, ServeAdapter } from "./program/adapter.ts";
export { type Answer, findingsOf, parseAnswer } from "./program/parse-answer.ts";
export { type Options, PROFILES } from "./run/options.ts";
export { tryVector } from "./run/try-vector.ts";
export { matches } from "./text/glob.ts";
export { isObject, type Json, type JsonObject } from "./text/json.ts";
