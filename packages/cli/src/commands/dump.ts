import { dumpQdb, QdbError, quote } from "@qdb/format";
import type { DumpOptions, DumpSummary, LongCallOptions } from "@qdb/format/container";
import { nodeDigests } from "@qdb/io-node";
import { readBitmapFile } from "../files/bitmap-file.ts";
import { type Call, type CommandSpec, IMAGES, PROGRESS } from "../shell/command.ts";

/** `qdb dump`: prints the JSON form of a file. */
export const command: CommandSpec = {
  name: "dump",
  summary: "write a QDB file as JSON, which load takes back",
  synopsis: ["[--all-digests] FILE"],
  description: [
    "Writes everything that a QDB file says as JSON to standard output: header, extensions, bitmaps with their records and dirty ranges.",
    "bits_sha256 is left out if it would mean to hash more than 16 MiB of zeros and ones that no cluster of the file stores, all bitmaps together.",
    "A bitmap whose bits cannot be used has an error in their place; the form is whole all the same, and the exit code is 1.",
    IMAGES,
    "The dump of an image is a form of its own, with the names of the qcow2 specification: header, header extensions (the data of unknown ones as hex digits), and the entries of the bitmap directory, each with the numbers of its data clusters and of those that read as zeros or ones, and its dirty ranges. load does not take it.",
  ],
  operands: { min: 1, max: 1, names: ["FILE"] },
  options: [{ long: "all-digests", help: "give bits_sha256 of every bitmap" }, ...PROGRESS],
  examples: [
    ["qdb dump backup.qdb > backup.json", "The file as JSON."],
    ["qdb dump vm.qcow2", "What a qcow2 image says of its bitmaps."],
    ["qdb dump backup.qdb | qdb load - copy.qdb", "A copy without leaks, in canonical form."],
  ],
  async run(call) {
    const [path = ""] = call.operands;
    await readBitmapFile(path, call, {
      qdb: (file) => print(call, (options) => dumpQdb(file, options)),
      qcow2: (image, { dumpQcow2 }) => print(call, (options) => dumpQcow2(image, { ...options, digests: nodeDigests })),
    });
    return 0;
  },
};

/** Prints a dump. @throws {QdbError} the problem of the first bitmap that is dumped without bits; as the dump */
async function print(
  call: Call,
  dump: (options: LongCallOptions & DumpOptions) => AsyncGenerator<string, DumpSummary>,
): Promise<void> {
  const summary = await printPieces(call, dump);
  call.output.flush();
  if (summary.first !== undefined) throw unusable(summary.errors, summary.first);
}

async function printPieces(
  call: Call,
  dump: (options: LongCallOptions & DumpOptions) => AsyncGenerator<string, DumpSummary>,
): Promise<DumpSummary> {
  const progress = call.progress("dumping");
  try {
    const pieces = dump({
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
