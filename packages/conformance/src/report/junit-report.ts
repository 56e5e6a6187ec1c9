import type { Corpus } from "../corpus/corpus.ts";
import { type Result, type Run, summaryOf } from "./results.ts";

/** Makes the JUnit XML report, which continuous integration systems read. A known failure is reported as skipped, with its reason. */
export function junitReport(run: Run, corpus: Corpus): string {
  const { failed, crashed, skipped, known } = summaryOf(run.results);
  const head = attributes({
    name: `qdb conformance ${corpus.manifest.corpus_version}`,
    tests: run.results.length,
    failures: failed - crashed,
    errors: crashed,
    skipped: skipped + known,
    time: (run.durationMs / 1000).toFixed(3),
    timestamp: run.started.toISOString().slice(0, 19),
  });
  const cases = run.results.map(caseXml);
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n<testsuite${head}>\n${cases.join("")}</testsuite>\n</testsuites>\n`;
}

function caseXml(result: Result): string {
  const { id, profile, outcome, trouble, title, requirements, durationMs } = result;
  const head = attributes({ classname: profile, name: id, time: (durationMs / 1000).toFixed(3) });
  const reason = trouble?.reason ?? "";
  const text = [
    title,
    requirements.map((rule) => `${rule.polarity}${rule.id}`).join(" "),
    ...(trouble?.expected === undefined ? [] : [`expected: ${trouble.expected}`]),
    ...(trouble?.came === undefined ? [] : [`came: ${trouble.came}`]),
    ...(trouble?.differences ?? []),
    ...(trouble?.repeat === undefined ? [] : [trouble.repeat]),
  ].join("\n");
  switch (outcome) {
    case "pass":
      return `<testcase${head}/>\n`;
    case "fail":
      return `<testcase${head}><failure${attributes({ message: reason })}>${escaped(text)}</failure></testcase>\n`;
    case "crash":
      return `<testcase${head}><error${attributes({ message: reason })}>${escaped(text)}</error></testcase>\n`;
    case "skip":
      return `<testcase${head}><skipped${attributes({ message: reason })}/></testcase>\n`;
    case "known failure":
      return `<testcase${head}><skipped${attributes({ message: `known failure: ${reason}` })}/></testcase>\n`;
  }
}

function attributes(values: Readonly<Record<string, string | number>>): string {
  return Object.entries(values)
    .map(([key, value]) => ` ${key}="${escaped(`${value}`)}"`)
    .join("");
}

/** Characters that XML 1.0 cannot represent: most control characters, and single surrogates. */
const UNWRITABLE = /(?![\t\n\r])\p{Cc}|\p{Cs}|[\ufffe\uffff]/gu;

function escaped(text: string): string {
  return text
    .replace(UNWRITABLE, "\ufffd")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("\n", "&#10;");
}
