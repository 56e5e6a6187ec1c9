// Each testable rule of the specification has vectors, and each vector cites rules that exist.
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { gaps, idProblems, missingCodes, unreviewed, wrongCitations } from "../tools/coverage.ts";
import { REPOSITORY } from "../tools/places.ts";
import { merged, ruleDifferences } from "../tools/requirements.ts";
import { RULE_KINDS, readRequirements, rulesOf, specText } from "../tools/rules.ts";
import { loadSources, type Source } from "../tools/sources.ts";

const rules = rulesOf(specText());
const requirements = readRequirements();
const sources = [...loadSources().values()];

describe("spec/requirements.json", () => {
  test("has the rules of spec/qdb.md, as their sentences are", () => {
    expect(rules.length).toBeGreaterThan(300);
    expect(ruleDifferences(rules, requirements)).toEqual([]);
  });

  test.each(requirements.map((requirement) => [requirement.id, requirement] as const))("%s is decided", (_, rule) => {
    expect(RULE_KINDS).toContain(rule.kind);
    expect(rule.why_not === undefined, "a reason is given exactly where no vector can test the rule").toBe(
      rule.testable,
    );
    const named = rule.why_not?.match(/packages\/[\w/.-]+\.test\.ts/g) ?? [];
    expect(named.filter((path) => !existsSync(REPOSITORY + path))).toEqual([]);
    const texts = named.map((path) => readFileSync(REPOSITORY + path, "utf8")).join("\n");
    for (const [, title = ""] of rule.why_not?.matchAll(/\.test\.ts, "([^"]+)"/g) ?? []) expect(texts).toContain(title);
  });

  test("has no rule whose id was withdrawn (appendix C)", () => {
    const appendix = specText().split("\n## Appendix C.")[1] ?? "";
    const withdrawn = [...appendix.matchAll(/^\| (QDB-[A-Z]{3}-\d{3}) \|/gm)].map(([, id = ""]) => id);
    expect(withdrawn).toEqual(expect.arrayContaining(["QDB-CMT-047", "QDB-OPN-001"]));
    expect(rules.filter(({ id }) => withdrawn.includes(id))).toEqual([]);
  });

  test("a changed sentence, a new rule, one that is gone and another order are found", () => {
    const [first, second, ...others] = rules;
    if (first === undefined || second === undefined) throw new Error("no rules");
    const changed = rulesOf(`**${first.id}** ${first.sentence.replace(".", " at noon.")}`);
    const added = { ...first, id: "QDB-HDR-999" };
    const citing = sources.slice(0, 1).map((source) => ({ ...source, proves: [first.id] }));
    const [told = "", ...more] = ruleDifferences([...changed, second, ...others], requirements, citing);
    expect(more).toEqual([]);
    for (const part of [
      `${first.id} changed`,
      " at noon.",
      "node conformance/tools/requirements.ts",
      sources[0]?.id ?? "",
    ])
      expect(told).toContain(part);
    expect(ruleDifferences([...rules, added], requirements)).toEqual([expect.stringContaining("QDB-HDR-999 is new")]);
    expect(ruleDifferences([second, ...others], requirements)).toEqual([
      expect.stringContaining(`${first.id} is gone`),
    ]);
    expect(ruleDifferences([second, first, ...others], requirements)).toEqual([
      expect.stringContaining("another order"),
    ]);
    expect(ruleDifferences([{ ...first, codes: ["LIMIT"] }, second, ...others], requirements)).toHaveLength(1);
    expect(merged(rules, requirements)).toEqual(requirements);
  });
});

describe("vectors", () => {
  test("show every rule that can be tested (node conformance/tools/coverage.ts)", () => {
    expect(gaps(requirements, sources).map(({ id, missing }) => `${id}: ${missing}`)).toEqual([]);
  });

  test("cite rules that there are, and that can be tested", () => {
    expect(wrongCitations(requirements, sources)).toEqual([]);
  });

  test("show every error and every finding that a vector can show", () => {
    expect(missingCodes(requirements, sources)).toEqual([]);
  });

  test("were held against the sentences as they are", () => {
    expect(unreviewed(requirements, sources)).toEqual([]);
  });

  test("keep their ids for ever", () => {
    expect(idProblems(sources)).toEqual([]);
  });
});

describe("what is missing is found", () => {
  const [vector] = sources;
  const must = requirements.find(({ testable, level }) => testable && level === "MUST");
  if (vector === undefined || must === undefined) throw new Error("there are vectors and rules");
  const citing = (changes: Partial<Source>): Source[] => [{ ...vector, proves: [], breaks: [], ...changes }];

  test("a vector of either polarity", () => {
    const missing = (changes: Partial<Source>) => gaps([must], citing(changes)).map((gap) => gap.missing);
    expect(missing({})).toEqual(["no vector proves it", "no vector breaks it"]);
    expect(missing({ proves: [must.id] })).toEqual(["no vector breaks it"]);
    expect(missing({ proves: [must.id], breaks: [must.id] })).toEqual([]);
    expect(gaps([{ ...must, level: "MAY" }], citing({}))).toHaveLength(1);
    expect(gaps([{ ...must, testable: false, why_not: "?" }], citing({}))).toEqual([]);
  });

  test("a rule that is none, that cannot be tested, or is not cited at all", () => {
    expect(wrongCitations([must], citing({ proves: ["QDB-HDR-999"] }))).toHaveLength(1);
    expect(wrongCitations([{ ...must, testable: false }], citing({ breaks: [must.id] }))).toHaveLength(1);
    expect(wrongCitations([must], citing({}))).toHaveLength(1);
  });

  test("a code", () => {
    const codes = missingCodes(requirements, []);
    expect(codes).toEqual(expect.arrayContaining(["BAD_MAGIC", "LEAK", "NAME_TWINS", "USAGE"]));
    expect(codes).not.toContain("POISONED");
    expect(missingCodes(requirements, citing({ expect: { error: "BAD_MAGIC" } }))).not.toContain("BAD_MAGIC");
  });

  test("a review of a sentence that changed", () => {
    const changed = { ...must, hash: "0" };
    expect(unreviewed([changed], citing({ proves: [must.id] }))).toEqual([expect.stringContaining(vector.id)]);
    expect(unreviewed([changed], citing({}))).toEqual([]);
  });

  test("a vector that was published and is gone, that was not published, and that came back", () => {
    const here = citing({ id: "a-one" });
    const withdrawn = { "a-one": { reason: "it was wrong" } };
    expect(idProblems(here, ["a-one"], {})).toEqual([]);
    expect(idProblems(here, [], {})).toEqual([expect.stringContaining("is not in conformance/ids.txt")]);
    expect(idProblems([], ["a-one"], {})).toEqual([expect.stringContaining("was published and is gone")]);
    expect(idProblems([], ["a-one"], withdrawn)).toEqual([]);
    expect(idProblems(here, ["a-one"], withdrawn)).toEqual([expect.stringContaining("must not come back")]);
    expect(idProblems([], [], withdrawn)).toHaveLength(1);
    expect(idProblems([], ["a-one"], { "a-one": { reason: "x", successor: "a-two" } })).toHaveLength(1);
    expect(idProblems(here, ["a-one", "a-one"], {})).toHaveLength(1);
  });
});
