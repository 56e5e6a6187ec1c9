// The rules of spec/qdb.md, and their entries in spec/requirements.json.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { REPOSITORY } from "./places.ts";

/** What a rule is about. */
export const RULE_KINDS = [
  "file",
  "reader",
  "writer",
  "operation",
  "json",
  "check",
  "repair",
  "bound",
  "process",
] as const;
export type RuleKind = (typeof RULE_KINDS)[number];

/** A rule as the text has it. */
export interface Rule {
  readonly id: string;
  readonly level: string;
  /** Codes of errors and findings that the sentence names in parentheses. */
  readonly codes: readonly string[];
  readonly hash: string;
  readonly sentence: string;
}

/** An entry of spec/requirements.json: `id`, `level`, `codes` and `hash` come from the text, the rest is decided by hand. */
export interface Requirement {
  readonly id: string;
  readonly level: string;
  readonly kind: RuleKind;
  readonly testable: boolean;
  readonly why_not?: string;
  readonly codes: readonly string[];
  readonly hash: string;
}

/** The text of the specification. */
export function specText(): string {
  return readFileSync(`${REPOSITORY}spec/qdb.md`, "utf8");
}

/** The rules of a text in their order. */
export function rulesOf(text: string): Rule[] {
  return [...text.matchAll(/^\*\*(QDB-[A-Z]{3}-\d{3})\*\* (.*)$/gm)].map(([, id = "", sentence = ""]) => ({
    id,
    level: /\b(MUST NOT|MUST|SHOULD NOT|SHOULD|MAY)\b/.exec(sentence)?.[0] ?? "",
    codes: codesIn(sentence),
    hash: createHash("sha256").update(sentence).digest("hex").slice(0, 16),
    sentence,
  }));
}

/** The codes in the parentheses of a sentence: (`CODE`) or (finding `CODE`). */
function codesIn(sentence: string): string[] {
  return [...sentence.matchAll(/\((?:finding )?`([A-Z_]+)`\)/g)].map(([, code = ""]) => code);
}

/** The error codes of section 7.1, and the codes of findings that only section 7.3 has. */
export function codesOfSpec(text: string): { errors: string[]; findings: string[] } {
  const rows = (heading: string): string[] => {
    const section = text.split(`\n### ${heading}`)[1]?.split("\n### ")[0] ?? "";
    return [...section.matchAll(/^\| ([A-Z_]+) \|/gm)].map(([, code = ""]) => code);
  };
  return { errors: rows("7.1 Codes"), findings: rows("7.3 Findings") };
}

/** Reads spec/requirements.json. */
export function readRequirements(): Requirement[] {
  return JSON.parse(readFileSync(`${REPOSITORY}spec/requirements.json`, "utf8")) as Requirement[];
}
