import { type CheckSummary, isQdbError } from "@qdb/format";
import type { QdbEditor } from "@qdb/format/container";
import { closing } from "@qdb/format/internal";
import { warnOfGrowth } from "../files/commit-warnings.ts";
import { openForRepair } from "../files/open-qdb.ts";
import type { Call } from "../shell/command.ts";
import { checkPrinter } from "./check-printer.ts";

/** Codes of errors that do not mean that the content of the file is damaged. */
const NO_DAMAGE = ["ABORTED", "IO", "LOCKED", "NOT_FOUND", "NOT_SUPPORTED", "POISONED", "SHORT_READ", "USAGE"] as const;

/**
 * Repairs a file and prints every finding. `checkOnly` is called instead if the file could not be opened for repair because of damage; it
 * gets the error.
 */
export async function repairFile(
  path: string,
  call: Call,
  checkOnly: (why: unknown) => Promise<CheckSummary>,
): Promise<CheckSummary> {
  let editor: QdbEditor;
  try {
    editor = await openForRepair(path);
  } catch (error) {
    if (isQdbError(error, ...NO_DAMAGE)) throw error;
    return checkOnly(error);
  }
  return closing(editor, async () => {
    const report = await editor.repair();
    const printer = checkPrinter(path, call);
    for (const { finding, repaired } of report.findings()) printer.finding(finding, repaired);
    printer.end(report.summary);
    warnOfGrowth(path, report.growth);
    return report.summary;
  });
}
