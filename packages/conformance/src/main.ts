#!/usr/bin/env node
import { writeFileSync, writeSync } from "node:fs";
import { Workspace } from "./bench/workspace.ts";
import { Corpus } from "./corpus/corpus.ts";
import { HELP } from "./help.ts";
import { killAll } from "./program/program.ts";
import { lastLine, resultText, runText } from "./report/human-report.ts";
import { jsonReport } from "./report/json-report.ts";
import { junitReport } from "./report/junit-report.ts";
import { summaryOf } from "./report/results.ts";
import { VERSION } from "./report/version.ts";
import { type Options, parseOptions, UsageError } from "./run/options.ts";
import { runCorpus } from "./run/run-corpus.ts";
import { matches } from "./text/glob.ts";
import { messageOf } from "./text/messages.ts";

/** The exit code after each signal that ends the runner. */
const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

/** Does what the arguments ask for. Returns the exit code. */
async function main(args: readonly string[]): Promise<number> {
  const options = parseOptions(args);
  if (options.help) return print(HELP, 0);
  const corpus = Corpus.open(options.corpus);
  if (options.version) return print(`qdb-conformance ${VERSION}, corpus ${corpus.name}\n`, 0);
  if (options.list) return list(corpus, options);
  corpus.verify();
  return run(corpus, options);
}

/** Prints the vectors of the corpus that match the options. Returns the exit code. */
function list(corpus: Corpus, { filters, profiles }: Options): number {
  const wanted = corpus.manifest.vectors.filter(
    ({ id, profile }) => matches(id, filters) && (profiles.length === 0 || profiles.includes(profile)),
  );
  const lines = wanted.map(({ id, profile, kind, title }) => `${id}\t${profile}\t${kind}\t${title}\n`);
  return print(lines.join(""), wanted.length > 0 ? 0 : 1);
}

/** Runs the corpus, writes the reports and prints the results. Returns the exit code. */
async function run(corpus: Corpus, options: Options): Promise<number> {
  const workspace = new Workspace(options.keep);
  // However the runner ends, it leaves no process and no temporary file.
  process.on("exit", () => {
    killAll();
    workspace.remove();
  });
  for (const [signal, code] of Object.entries(SIGNALS)) process.on(signal, () => process.exit(code));
  const outcome = await runCorpus(corpus, options, workspace, {
    result(result) {
      const isQuiet = result.outcome === "pass" || result.outcome === "skip";
      if (options.verbose || !isQuiet) print(`${resultText(result, corpus.vector(result.id))}\n`, 0);
    },
    log(text) {
      if (options.verbose) process.stderr.write(text);
    },
  });
  if (options.reportJson !== undefined)
    writeFileSync(options.reportJson, `${JSON.stringify(jsonReport(outcome, corpus), undefined, 1)}\n`);
  if (options.reportJunit !== undefined) writeFileSync(options.reportJunit, junitReport(outcome, corpus));
  print(`${runText(outcome, corpus)}${lastLine(outcome)}`, 0);
  return summaryOf(outcome.results).failed === 0 ? 0 : 1;
}

/** Writes a text to standard output synchronously, since the process may exit right after this call. Returns `exitCode`. */
function print(text: string, exitCode: number): number {
  const bytes = Buffer.from(text);
  for (let done = 0; done < bytes.length; ) {
    try {
      done += writeSync(1, bytes, done);
    } catch (error) {
      // The pipe is full. Wait 5 ms for its reader, then try again.
      if (!(error instanceof Error && "code" in error && error.code === "EAGAIN")) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
  return exitCode;
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: unknown) => {
    const isUsage = error instanceof UsageError;
    const isPipe = error instanceof Error && "code" in error && error.code === "EPIPE";
    if (!isPipe)
      process.stderr.write(`qdb-conformance: ${messageOf(error)}${isUsage ? "; try: qdb-conformance --help" : ""}\n`);
    process.exit(isUsage ? 2 : 1);
  },
);
