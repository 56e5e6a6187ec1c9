import type { Bench } from "../bench/bench.ts";
import type { VectorFailure } from "../bench/vector-failure.ts";
import type { Trouble } from "../report/results.ts";
import { quoted } from "../text/shell-words.ts";

/**
 * Describes why a vector failed and how its last request can be repeated. `command` is that of the program under test; `kept` is the folder
 * to which the files of the vector were copied, if they were.
 */
export function troubleOf(
  failure: VectorFailure,
  bench: Bench,
  command: readonly string[],
  kept: string | undefined,
): Trouble {
  const { expected, came, differences } = failure;
  const fields = bench.lastRequest.map((field) => lastingField(field, bench, kept));
  const isComplete = fields.length > 0 && fields.every((field) => field !== undefined);
  const input = fields[1] === "-" ? undefined : fields[1];
  return {
    reason: failure.message,
    ...(expected === undefined ? {} : { expected }),
    ...(came === undefined ? {} : { came }),
    ...(differences.length === 0 ? {} : { differences }),
    ...(input === undefined ? {} : { input }),
    ...(isComplete ? { repeat: quoted([...command, ...fields.filter((field) => field !== undefined)]) } : {}),
  };
}

/**
 * Returns a field of a request as it can be repeated after the run. A path in the temporary folder of the vector becomes that of the copy
 * which is kept, or of the same file in the corpus. Undefined if the file is in neither.
 */
function lastingField(field: string, bench: Bench, kept: string | undefined): string | undefined {
  if (!field.startsWith(bench.folder)) return field;
  if (kept !== undefined) return kept + field.slice(bench.folder.length);
  const { corpus, vector, lastRequest } = bench;
  const { input, expect } = vector;
  if (field.endsWith("script.ops") && "ops" in expect) return corpus.path(expect.ops);
  if (field.endsWith("output.qdb")) return lastRequest[0] === "read" ? undefined : "output.qdb";
  if (field.includes("prefix-") || input === null) return undefined;
  if ("document" in input) return corpus.path(input.document);
  return "file" in input ? corpus.path(input.file) : undefined;
}
