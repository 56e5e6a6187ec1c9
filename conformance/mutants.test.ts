// Whether the corpus notices bugs: each is put into a copy of the reference, which has to fail then.
import { describe, expect, test } from "vitest";
import { loadMutants, mutantProblems, mutated } from "./tools/mutant-sources.ts";
import { linesOf, tableOf, tryMutants, type Verdict, withoutMutant } from "./tools/mutants.ts";
import { readRequirements } from "./tools/rules.ts";

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
  test("notices every one of them, and each rule's by a vector that cites the rule", { timeout: 600_000 }, async () => {
    const verdict = await tryMutants(mutants);
    console.log(tableOf(verdict.fates));
    expect(
      verdict.void.map(({ mutant }) => mutant.id),
      "controls: the run is void",
    ).toEqual([]);
    expect(linesOf(verdict)).toEqual([]);
    expect(verdict.fates).toHaveLength(mutants.length);
  });
});

describe("a run that goes wrong is told", () => {
  const [control] = mutants.filter((mutant) => mutant.class === "control");
  if (control === undefined) throw new Error("no control");
  /** A change that nobody can see. */
  const harmless = {
    ...control,
    id: "test-harmless",
    file: "numbers.py",
    find: "import zlib",
    replace: "import zlib  # as ever",
  };

  test("a control that survives, a bug that survives, one that is none", { timeout: 600_000 }, async () => {
    const [rule = ""] = requirements.filter(({ testable }) => testable).map(({ id }) => id);
    const verdict: Verdict = await tryMutants([
      { ...harmless },
      { ...harmless, id: "test-survivor", class: "deleted", requirement: rule },
      { ...control, id: "test-equivalent", class: "deleted", equivalent: "it is said to be one" },
    ]);
    expect(verdict.void.map(({ mutant }) => mutant.id)).toEqual(["test-harmless"]);
    expect(verdict.survivors.map(({ mutant }) => mutant.id)).toEqual(["test-survivor"]);
    expect(verdict.notEquivalent.map(({ mutant }) => mutant.id)).toEqual(["test-equivalent"]);
    expect(linesOf(verdict)).toHaveLength(3);
  });
});
