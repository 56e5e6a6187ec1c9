import { dumpQdb, QdbError, type QdbFile, quote } from "@qdb/format";
import type { DumpSummary } from "@qdb/format/container";
import { closing } from "@qdb/format/internal";
import { about, openFile } from "../files/open-qdb.ts";
import { type Call, type CommandSpec, PROGRESS } from "../shell/command.ts";

/** `qdb dump`: prints the JSON form of a file. */
export const command: CommandSpec = {
  name: "dump",
  summary: "write a QDB file as JSON, which load takes back",
  synopsis: ["[--all-digests] FILE"],
  description: [
    "Writes everything that a QDB file says as JSON to standard output: header, extensions, bitmaps with their records and dirty ranges.",
    "bits_sha256 is left out if it would mean to hash more than 16 MiB of zeros and ones that no cluster of the file stores, all bitmaps together.",
    "A bitmap whose bits cannot be used has an error in their place; the form is whole all the same, and the exit code is 1.",
  ],
  operands: { min: 1, max: 1, names: ["FILE"] },
  options: [{ long: "all-digests", help: "give bits_sha256 of every bitmap" }, ...PROGRESS],
  examples: [
    ["qdb dump backup.qdb > backup.json", "The file as JSON."],
    ["qdb dump backup.qdb | qdb load - copy.qdb", "A copy without leaks, in canonical form."],
  ],
  async run(call) {
    const [path = ""] = call.operands;
    const file = await openFile(path, call);
    await closing(file, () =>
      about(path, async () => {
        const summary = await print(file, call);
        call.output.flush();
        if (summary.first !== undefined) throw unusable(summary.errors, summary.first);
      }),
    );
    return 0;
  },
};

async function print(file: QdbFile, call: Call): Promise<DumpSummary> {
  const progress = call.progress("dumping");
  try {
    const pieces = dumpQdb(file, {
      signal: call.signal,
      onProgress: progress.onProgress,
      allDigests: call.has("all-digests"),
    });
    for (;;) {
      const step = await pieces.next();
      if (step.done === true) return step.value;
      call.output.text(step.value);
    }
  } finally {
    progress.end();
  }
}

/** Returns the error for bitmaps whose bits cannot be used. It names the first of them. */
function unusable(errors: number, { label, problem }: NonNullable<DumpSummary["first"]>): QdbError {
  const what = errors === 1 ? "1 bitmap is" : `${errors} bitmaps are`;
  return new QdbError(
    problem.code,
    `${what} dumped without bits, which cannot be used; the first is ${quote(label)}: ${problem.message}`,
    problem.where,
  );
}
