// `npm test`: sets up, then every check; the last line counts the tests.
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { bringPeers } from "./peers.mjs";
import { fail, heading, must, run, setUp, toolsFolder } from "./setup.mjs";

const reportFile = join(toolsFolder, "vitest.json");

// The peers first: where only a person can install them, that is said at once.
bringPeers();
setUp();
heading("Lint and types");
must("pnpm", ["lint"]);

heading("Tests");
rmSync(reportFile, { force: true });
const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${reportFile}`];
// Not by NO_COLOR: the tests of the command would inherit it.
const colors = process.stdout.isTTY ? [] : ["--no-color"];
const status = run("pnpm", ["exec", "vitest", "run", ...reporters, ...colors]);

const report = readReport();
// A file that could not be loaded has no tests to count; an error outside every test shows in the exit code alone.
const brokenFiles = report.testResults.filter(
  (file) => file.status === "failed" && file.assertionResults.every((test) => test.status !== "failed"),
);
const failed = Math.max(report.numFailedTests + brokenFiles.length, status === 0 ? 0 : 1);
const skipped = report.numPendingTests + report.numTodoTests;
console.log(`\n${report.numPassedTests} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = failed === 0 && report.numPassedTests > 0 ? 0 : 1;

function readReport() {
  try {
    return JSON.parse(readFileSync(reportFile, "utf8"));
  } catch (error) {
    return fail(`The tests left no report: ${error.message}`);
  }
}
