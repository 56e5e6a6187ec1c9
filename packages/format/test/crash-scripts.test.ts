// Random scripts of every action, on files that were damaged before, on a disk that fails and loses power: after every action
// no bitmap that it did not name has fewer bits or is in a worse state, and the file stays writable.
// QDB_SEED=N begins with that seed, QDB_STATES=N goes on for so many states; `pnpm soak crash` judges more than a million.
import { describe, expect, test } from "vitest";
import { ACTIONS } from "./crash/actions.ts";
import { campaign, describeCounts, describeFailures, type Figures } from "./crash/campaign.ts";
import { KINDS } from "./crash/damage.ts";
import { WEAKER } from "./crash/weaker.ts";

const isSoak = process.env.QDB_SOAK === "1";
const firstSeed = Number(process.env.QDB_SEED ?? (isSoak ? 1_000_000 : 1));
const states = Number(process.env.QDB_STATES ?? (isSoak ? 1_050_000 : 100_000));

test(
  "every state of random scripts is judged, and none has lost a bit",
  async () => {
    const figures = await campaign({ firstSeed, states, ...(isSoak ? { onProgress: tell } : {}) });
    if (isSoak || figures.failures.length > 0) console.log(describeCounts(figures));
    expect(describeFailures(figures)).toEqual([]);
    expect(figures.states).toBeGreaterThanOrEqual(states);
    if (states < 10_000) return;
    const never = [
      ...ACTIONS.map((name) => `action: ${name}`),
      ...KINDS.map((kind) => `damage: ${kind}`),
      ...["done: edits", "done: repair", "done: nothing", "failed: commit failed", "refused: by the rules"],
      ...["tried afterwards", "went on after a power cut"],
    ].filter((what) => count(figures, what) < 10);
    expect(never).toEqual([]);
    // What is allowed, but has to be rare.
    for (const what of ["failed: device is full", "refused: beside a bitmap beyond repair"])
      expect(count(figures, what)).toBeLessThan(count(figures, "done: edits") / 100);
  },
  isSoak ? 6 * 3_600_000 : 900_000,
);

describe("a weaker protocol is noticed", () => {
  test.each(Object.entries(WEAKER))("%s", { timeout: 300_000 }, async (_, bend) => {
    const { failures } = await campaign({ firstSeed: 1, states: 50_000, failures: 1, bend });
    expect(failures.length).toBe(1);
  });
});

function count({ counts }: Figures, what: string): number {
  return counts.get(what) ?? 0;
}

function tell({ states, cpu }: Figures): void {
  console.log(`${states} states, ${Math.round(cpu / 1000)} s`);
}
