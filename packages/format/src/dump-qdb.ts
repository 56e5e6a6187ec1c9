import { dumpPlan } from "./json/dump.ts";
import type { DumpOptions, DumpSummary } from "./json/dump-bits.ts";
import type { QdbIndex } from "./open/qdb-index.ts";
import type { RunOptions } from "./ports/drivers.ts";
import type { Plan } from "./ports/plan.ts";
import { streamTask } from "./ports/task.ts";
import type { QdbFile } from "./qdb-file.ts";
import type { StreamOptions } from "./retry/run-with-retry.ts";

/**
 * Yields the text of the JSON form (spec §6) in parts. A file of 8 MiB or less is read into memory as a whole before the first part is
 * yielded, so that a commit cannot end the call. `beforeBits` is not called, since the JSON form is a copy of what the file says.
 * @throws {QdbError} SOURCE_CHANGED if a writer commits after the first part is yielded; what `QdbFile.open` throws
 * @example
 * let text = "";
 * for await (const part of dumpQdb(file)) text += part;
 * const { bitmaps }: QdbJson = JSON.parse(text);
 */
export function dumpQdb(
  file: QdbFile,
  options: RunOptions & DumpOptions & StreamOptions = {},
): AsyncGenerator<string, DumpSummary> {
  const { reader } = file;
  const plan = (index: QdbIndex): Plan<DumpSummary, string> => dumpPlan(index, reader.digests, options);
  return streamTask(reader.stream(plan, (text) => text.length, { ...options, whole: true }));
}
