// Grades of a failed vector: how much of the answer must be compared to see that it is wrong.
import {
  type Adapter,
  type Asked,
  type AskOptions,
  type Corpus,
  type Finding,
  findingsOf,
  isObject,
  type Json,
  type Vector,
} from "@qdb/conformance/authoring";

/** Accepted or refused is enough; the codes are needed too; the whole contents of the file are needed. */
export type Grade = "verdict" | "codes" | "models";

/** All grades, the one that needs least first. */
export const GRADES: readonly Grade[] = ["verdict", "codes", "models"];

/** An adapter that records requests and answers. */
export class Listening implements Adapter {
  readonly #adapter: Adapter;
  readonly heard: { readonly verb: string; readonly asked: Asked }[] = [];

  constructor(adapter: Adapter) {
    this.#adapter = adapter;
  }

  async ask(fields: readonly string[], options?: AskOptions): Promise<Asked> {
    const asked = await this.#adapter.ask(fields, options);
    this.heard.push({ verb: fields[0] ?? "", asked });
    return asked;
  }

  close(): Promise<string | undefined> {
    return this.#adapter.close();
  }
}

/** The error code of each bitmap in table order; empty for a bitmap without an error. */
function bitmapCodes(model: Json | undefined): string[] {
  const bitmaps = isObject(model) && Array.isArray(model.bitmaps) ? model.bitmaps : [];
  return bitmaps.map((bitmap) => {
    const error = isObject(bitmap) ? bitmap.error : undefined;
    return isObject(error) ? `${error.code}` : "";
  });
}

function gradeOfModels(expected: Json, came: Json | undefined): Grade {
  const [due, said] = [bitmapCodes(expected), bitmapCodes(came)];
  const refused = (codes: readonly string[]): string => codes.map((code) => code !== "").join();
  if (refused(due) !== refused(said)) return "verdict";
  return due.join() === said.join() ? "models" : "codes";
}

function gradeOfFindings(expected: readonly Finding[], came: readonly Finding[]): Grade {
  const isBad = ({ severity }: Finding): boolean => severity === "corrupt" || severity === "unsafe";
  if (expected.some(isBad) !== came.some(isBad)) return "verdict";
  const codes = (findings: readonly Finding[]): string =>
    findings
      .map(({ code }) => code)
      .sort()
      .join();
  return codes(expected) === codes(came) ? "models" : "codes";
}

/** The grade of a vector that did not pass. */
export function gradeOf({ expect }: Vector, corpus: Corpus, heard: Listening["heard"]): Grade {
  const last = heard.at(-1)?.asked.answer;
  if (last === undefined || last.kind === "skip") return "verdict";
  // The code is right. The vector failed because it took too long, or left a file behind.
  if ("error" in expect && last.kind === "refused" && last.error === expect.error) return "models";
  if ("error" in expect) return last.kind === "ok" ? "verdict" : "codes";
  if (last.kind === "refused") return "verdict";
  if ("findings" in expect && last.body.findings !== undefined)
    return gradeOfFindings(expect.findings, safeFindings(last.body));
  if ("model" in expect && expect.model !== undefined && last.body.model !== undefined)
    return gradeOfModels(corpus.json(expect.model), last.body.model);
  if ("log" in expect) return "verdict";
  return "models";
}

function safeFindings(body: Parameters<typeof findingsOf>[0]): Finding[] {
  try {
    return findingsOf(body);
  } catch {
    return [];
  }
}
