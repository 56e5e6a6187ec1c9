import type { Corpus } from "../corpus/corpus.ts";
import type { Vector } from "../corpus/manifest.ts";
import { type Result, type Run, summaryOf } from "./results.ts";

const LABELS = { pass: "pass", fail: "FAIL", crash: "CRASH", skip: "skip", "known failure": "known" } as const;

/** Escapes control characters and line breaks. Texts of programs and of files could otherwise change the state of the terminal. */
function escapeControls(text: string): string {
  return text.replace(
    /[\p{C}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}}`,
  );
}

/** Formats a result: one line if it passed, was skipped or is a known failure, else all that is known about the failure. */
export function resultText(result: Result, vector: Vector | undefined): string {
  const { id, title, outcome, trouble, requirements, level } = result;
  const lines = [`${LABELS[outcome].padEnd(5)} ${id}  ${title}`];
  const row = (name: string, text: string | undefined): void => {
    if (text !== undefined && text !== "") lines.push(escapeControls(`      ${name.padEnd(9)} ${text}`));
  };
  if (outcome === "skip" || outcome === "known failure") return escapeControls(`${lines[0]}: ${trouble?.reason}`);
  if (trouble === undefined) return `${lines[0]}`;
  row("problem", trouble.reason);
  row(
    "rules",
    requirements.map((rule) => `${rule.id} (${rule.polarity === "+" ? "kept" : "broken or at stake"})`).join(", "),
  );
  row("level", level === "must" ? undefined : `${level}: who has a reason to differ lists it with --known-failures`);
  row("why", vector?.why);
  row("expected", trouble.expected);
  row("came", trouble.came);
  for (const difference of trouble.differences ?? []) row("differs", difference);
  row("input", trouble.input ?? (result.kind === "protocol" ? undefined : "made for this run; --keep DIR keeps it"));
  row("repeat", trouble.repeat);
  return lines.join("\n");
}

/** Formats the summary of a run, without the last line. */
export function runText(run: Run, corpus: Corpus): string {
  const { hello, results, profiles } = run;
  const { crashed, known } = summaryOf(results);
  const lines = [
    `program   ${hello === undefined ? "did not answer hello" : `${hello.name} ${hello.version}`}`,
    `profiles  ${profiles.join(", ") || "none"}${hello === undefined || hello.features.length === 0 ? "" : `; features ${hello.features.join(", ")}`}`,
    `corpus    ${corpus.name}`,
    ...(run.judges.length === 0 ? [] : [`judges    ${run.judges.join("; ")}`]),
    ...[...reasons(results)].map(([reason, count]) => `skipped   ${count}: ${reason}`),
    ...(known === 0 ? [] : [`known     ${known} known failure${known === 1 ? "" : "s"}, neither passed nor failed`]),
    ...(crashed === 0 ? [] : [`crashed   ${crashed}, counted as failed`]),
    ...run.notes.map((note) => `note      ${note}`),
  ];
  return `${lines.map(escapeControls).join("\n")}\n`;
}

/** Counts the skipped vectors of each reason. */
function reasons(results: readonly Result[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { outcome, trouble } of results)
    if (outcome === "skip" && trouble !== undefined) counts.set(trouble.reason, (counts.get(trouble.reason) ?? 0) + 1);
  return counts;
}

/** Formats the last line of the output. Other programs parse it, so its form is fixed (conformance/IMPLEMENTERS.md, Outcomes). */
export function lastLine(run: Run): string {
  const { passed, failed, skipped } = summaryOf(run.results);
  return `conformance: ${passed} passed, ${failed} failed, ${skipped} skipped\n`;
}
