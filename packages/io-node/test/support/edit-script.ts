// Run by the tests under strace: commits the edit of the scenario argv[3] to the file argv[2], prints what came of it, and
// what a second try on the same handle is told. With argv[4] "twice" another commit follows on the same handle. The exit code tells whether the commit is acknowledged.
import { isQdbError, QdbError, type QdbErrorCode } from "@qdb/format";
import { openQdbEditor } from "../../src/container.ts";
import { markLast, SCENARIOS, type Scenario } from "./qdb-files.ts";

interface Outcome {
  readonly code: QdbErrorCode | "committed";
  readonly message: string;
}

async function outcomeOf(call: () => Promise<unknown>): Promise<Outcome> {
  try {
    await call();
    return { code: "committed", message: "" };
  } catch (error) {
    if (!isQdbError(error)) throw error;
    return { code: error.code, message: error.message };
  }
}

const scenarios: Record<string, Scenario> = SCENARIOS;
const scenario = scenarios[process.argv[3] ?? ""];
if (scenario === undefined) throw new Error("no such scenario");
let again: string | undefined;
const { code, message } = await outcomeOf(async () => {
  const editor = await openQdbEditor(process.argv[2] ?? "");
  try {
    await scenario.edit(editor);
    const first = await outcomeOf(() => editor.commit());
    if (first.code !== "committed") {
      again = (await outcomeOf(() => editor.commit())).code;
      throw new QdbError(first.code, first.message);
    }
    if (process.argv[4] === "twice") {
      await markLast(editor);
      await editor.commit();
    }
  } finally {
    await editor.close();
  }
});
console.log(JSON.stringify({ code, message, again }));
process.exitCode = code === "committed" ? 0 : 1;
