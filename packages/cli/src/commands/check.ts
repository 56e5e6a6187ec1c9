import { type CheckSummary, checkQdb, type Finding, QdbError } from "@qdb/format";
import { closing } from "@qdb/format/internal";
import { type FileSource, nodeDigests, openFileSource } from "@qdb/io-node";
import { byMagic, loadImageReader } from "../files/bitmap-file.ts";
import { about, warnOfMirror } from "../files/open-qdb.ts";
import { checkPrinter, isClean } from "../info/check-printer.ts";
import { type Call, type CommandSpec, OUTPUT } from "../shell/command.ts";

/** `qdb check`: prints every finding, or repairs the file. */
export const command: CommandSpec = {
  name: "check",
  summary: "look for damage and list every finding, or repair it",
  synopsis: ["[-r] [--output=human|json] FILE"],
  description: [
    "Reads the whole file and lists every finding: its code, how bad it is, the structure and the offset. Nothing is changed without -r.",
    "Severities: corrupt (a rule is broken), unsafe (bits cannot be used or trusted), leak (space is lost), noncanonical (harmless), info.",
    "While a writer has the file open, no leak and no mirror that differs is reported: a commit that is not done yet looks the same.",
    "-r puts right what can be put right without losing a dirty bit, by a commit: a bad copy of the header is written anew; what cannot be trusted becomes dirty, the range of a damaged data cluster, or the whole bitmap if its L1 area is damaged or it shares a cluster with another structure; tails and padding become zero; leaks are cut off. A bitmap in use stays so: qdb bitmap --mark-all is the way back. If what becomes dirty would take more than 4 GiB, nothing is changed. When -r ends, what it reports is on the disk, also if there was nothing to repair.",
    "FILE can be a qcow2 image too: its first bytes tell. What concerns its bitmaps is looked at, and nothing else; qemu-img check does the rest, and finds leaks. -r is refused: qemu-img check -r repairs the structures of an image, and qdb bitmap --mark-all or --remove a bitmap that cannot be used. Before qemu-img check -r, or any other program, opens an image with OVERLAP for writing, remove the bitmaps concerned or make them all dirty: from two bitmaps that share a cluster it makes two that look good.",
    "Exit codes, as qemu-img's, with -r by what is left: 0 no errors, 1 the file could not be checked, 2 corrupt or unsafe, 3 leaks only.",
  ],
  operands: { min: 1, max: 1, names: ["FILE"] },
  options: [{ long: "repair", short: "r", help: "repair what can be repaired" }, OUTPUT],
  examples: [
    ["qdb check backup.qdb", "Every finding, one a line."],
    ["qdb check vm.qcow2", "Every finding about the bitmaps of a qcow2 image."],
    ["qdb check --output=json backup.qdb", "The same as JSON."],
    ["qdb check -r backup.qdb", "Repair it; what is said is what was found, and what is left."],
  ],
  usageExitCode: 1,
  async run(call) {
    const [path = ""] = call.operands;
    const summary = await byMagic(path, {
      qdb: () => about(path, () => (call.has("repair") ? repair(path, call) : check(path, call, checkFile))),
      qcow2: () => about(path, () => checkImage(path, call)),
    });
    return exitCodeOf(summary);
  },
};

function exitCodeOf({ counts }: CheckSummary): number {
  if (counts.corrupt + counts.unsafe > 0) return 2;
  return counts.leak > 0 ? 3 : 0;
}

/** Looks for findings in a source, and yields them. */
type Check = (source: FileSource, options: { readonly signal: AbortSignal }) => AsyncGenerator<Finding, CheckSummary>;

const checkFile: Check = (source, options) => checkQdb(source, { digests: nodeDigests, ...options });

/** Checks the bitmaps of an image and prints every finding. @throws {QdbError} NOT_SUPPORTED with -r; as `checkQcow2` */
async function checkImage(path: string, call: Call): Promise<CheckSummary> {
  if (call.has("repair")) {
    throw new QdbError(
      "NOT_SUPPORTED",
      "-r repairs QDB files, and this is a qcow2 image; qemu-img check -r repairs its structures, and qdb bitmap --mark-all or --remove a bitmap that cannot be used",
    );
  }
  const { checkQcow2 } = await loadImageReader();
  const summary = await check(path, call, checkQcow2);
  if (!call.json) call.output.line("Only what concerns bitmaps was looked at; qemu-img check does the rest.");
  return summary;
}

/**
 * Checks a file and prints every finding. `repaired` is undefined for a check without a repair; else each finding is printed as repaired
 * or not repaired.
 */
async function check(path: string, call: Call, start: Check, repaired?: boolean): Promise<CheckSummary> {
  const printer = checkPrinter(path, call);
  const summary = await readFindings(path, call, start, (finding) => printer.finding(finding, repaired));
  if (summary.headerSource === "mirror") warnOfMirror(path, "qdb check -r repairs it");
  printer.end(summary);
  return summary;
}

async function readFindings(
  path: string,
  { signal }: Call,
  start: Check,
  found: (finding: Finding) => void,
): Promise<CheckSummary> {
  const source = openFileSource(path);
  return closing(source, async () => {
    const findings = start(source, { signal });
    for (;;) {
      const step = await findings.next();
      if (step.done === true) return step.value;
      found(step.value);
    }
  });
}

async function repair(path: string, call: Call): Promise<CheckSummary> {
  // A file of its own, since it has all that commits need, which takes longer to compile than most checks run.
  const { repairFile } = await import("../info/repair-file.ts");
  return repairFile(path, call, (why) => checkOnly(path, call, why));
}

/**
 * Checks a file that could not be opened for repair, and prints the findings.
 * @throws {unknown} `why`, the error of opening it, if no finding is more severe than "noncanonical"
 */
async function checkOnly(path: string, call: Call, why: unknown): Promise<CheckSummary> {
  // The file is checked twice: findings are not kept in memory, and only after the last one is it known whether `why` has to be thrown.
  const { counts } = await readFindings(path, call, checkFile, () => undefined);
  if (isClean(counts)) throw why;
  return check(path, call, checkFile, false);
}
