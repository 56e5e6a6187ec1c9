// What the tools in conformance/ use of the runner. This entry point is not published: package.json, publishConfig.
export { type Adapter, type Asked, type AskOptions, messageOf, ServeAdapter } from "./adapter.ts";
export { type Answer, findingsOf, isObject, type JsonObject, parseAnswer } from "./answer.ts";
export { Bench, type Judge } from "./bench.ts";
export { BITMAP_PLACES, findingDifferences, HEADER_PLACES } from "./compare.ts";
export { CORPUS_FOLDERS, Corpus, type InputBytes, sha256 } from "./corpus.ts";
export { afterStep } from "./kinds/crash.ts";
export { KINDS } from "./kinds/index.ts";
export type {
  CrashLog,
  CrashStep,
  Expect,
  ExpectCanon,
  Finding,
  Input,
  Json,
  Kind,
  Manifest,
  Part,
  Profile,
  Recipe,
  Vector,
} from "./manifest.ts";
export { matches, type Options, PROFILES } from "./options.ts";
export type { Pages } from "./pages.ts";
export { type Change, changed, materialise } from "./recipe.ts";
export { Wrong } from "./results.ts";
export { tryVector } from "./trial.ts";
export { Workspace } from "./workspace.ts";
