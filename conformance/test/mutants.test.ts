// The corpus notices seeded bugs: with each of them in a copy of the reference, a vector must fail.
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Corpus } from "@qdb/conformance/authoring";
import { afterAll, describe, expect, test } from "vitest";
import { loadMutants, mutantProblems, mutated } from "../tools/mutant-sources.ts";
import { linesOf, tableOf, tryMutants, type Verdict, withoutMutant } from "../tools/mutants.ts";
import { REPOSITORY } from "../tools/places.ts";
import { readRequirements } from "../tools/rules.ts";

const mutants = loadMutants();
const requirements = readRequirements();

describe("the mutants", () => {
  test("each has one place in the reference", () => {
    expect(mutantProblems(mutants)).toEqual([]);
  });

  test("there is one for each rule that can be tested", () => {
    expect(withoutMutant(requirements, mutants)).toEqual([]);
  });

  test("they break rules that there are", () => {
    const ids = new Set<string | null>([null, ...requirements.filter(({ testable }) => testable).map(({ id }) => id)]);
    expect(mutants.filter(({ requirement }) => !ids.has(requirement)).map(({ id }) => id)).toEqual([]);
    for (const { id, says, equivalent } of mutants) {
      expect(id).toMatch(/^[a-z0-9]+(-[a-z0-9]+)+$/);
      expect(says.length, id).toBeGreaterThan(8);
      if (equivalent !== undefined) expect(equivalent.length, id).toBeGreaterThan(20);
    }
  });

  test("a text that stands nowhere, or twice, is no place for one", () => {
    const [mutant] = mutants;
    if (mutant === undefined) throw new Error("no mutants");
    expect(() => mutated({ ...mutant, find: "nowhere to be found" })).toThrow(/stands 0 times/);
    expect(() => mutated({ ...mutant, find: "import" })).toThrow(/stands \d+ times/);
    expect(() => mutated({ ...mutant, file: "nothing.py" })).toThrow(/no file/);
    expect(() => mutated({ ...mutant, replace: mutant.find })).toThrow(/itself/);
  });
});

describe("the corpus", () => {
  test("notices a bug of each rule by a vector that cites the rule, and the classics (all bugs: tools/mutants.ts)", {
    timeout: 1_200_000,
  }, async () => {
    const rules = new Set<string>();
    // Only the first mutant of each rule: all of them take minutes.
    const first = mutants.filter(({ requirement, equivalent }) => {
      if (equivalent !== undefined) return false;
      if (requirement === null) return true;
      return !rules.has(requirement) && rules.add(requirement);
    });
    const verdict = await tryMutants(first, { graded: false });
    expect(
      verdict.void.map(({ mutant }) => mutant.id),
      "controls: the run is void",
    ).toEqual([]);
    expect(linesOf(verdict)).toEqual([]);
    expect(verdict.fates).toHaveLength(first.length);
    expect(rules.size).toBeGreaterThan(270);
  });
});

describe("a run that goes wrong is told", () => {
  /** A corpus of the golden files alone, for bugs that any vector notices. */
  const folder = mkdtempSync(join(tmpdir(), "qdb-mutants-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const { manifest, folder: whole } = Corpus.open(`${REPOSITORY}conformance`);
  const vectors = manifest.vectors.filter(({ id }) => id.startsWith("golden-"));
  writeFileSync(join(folder, "manifest.json"), JSON.stringify({ ...manifest, vectors }));
  for (const name of ["vectors", "models"]) symlinkSync(join(whole, name), join(folder, name));

  const bug = mutants.find(({ id }) => id === "control-last-bit");
  if (bug === undefined) throw new Error("there is no control-last-bit");
  /** A change without any effect. */
  const harmless = { ...bug, file: "numbers.py", find: "import zlib", replace: "import zlib  # as ever" };
  const [rule = ""] = requirements.filter(({ testable }) => testable).map(({ id }) => id);

  test("a control that survives, a bug that survives, one that another rule's vector notices, one that is none", async () => {
    const verdict: Verdict = await tryMutants(
      [
        { ...harmless, id: "test-harmless" },
        { ...harmless, id: "test-survivor", class: "deleted", requirement: rule },
        { ...bug, id: "test-elsewhere", class: "deleted", requirement: rule },
        { ...bug, id: "test-equivalent", class: "deleted", equivalent: "it is said to be one" },
      ],
      { folder },
    );
    expect(tableOf(verdict.fates)).toMatch(/^all +3 /m);
    const ids = (fates: Verdict["fates"]): string[] => fates.map(({ mutant }) => mutant.id);
    expect(ids(verdict.void)).toEqual(["test-harmless"]);
    expect(ids(verdict.survivors)).toEqual(["test-survivor"]);
    expect(ids(verdict.elsewhere)).toEqual(["test-elsewhere"]);
    expect(ids(verdict.notEquivalent)).toEqual(["test-equivalent"]);
    expect(linesOf(verdict)).toHaveLength(4);
  });
});
