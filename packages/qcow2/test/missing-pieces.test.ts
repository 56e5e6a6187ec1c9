import { readFileSync } from "node:fs";
import { isQdbError } from "@qdb/format";
import type { Plan } from "@qdb/format/container";
import { readQcow2Index } from "@qdb/qcow2";
import { expect, test } from "vitest";
import { FIXTURE } from "./small-image.ts";

/** Drives a plan, but leaves the last piece of one round out. Gives the number of rounds, or what the plan throws. */
function roundsWithout<T>(plan: Plan<T>, bytes: Uint8Array, left: number): unknown {
  try {
    let step = plan.next([]);
    let rounds = 0;
    for (; step.done !== true; rounds++) {
      if (!("read" in step.value)) throw new Error("this plan puts nothing out");
      const pieces = step.value.read.map(({ offset, length }) => bytes.slice(offset, offset + length));
      step = plan.next(rounds === left ? pieces.slice(0, -1) : pieces);
    }
    return rounds;
  } catch (error) {
    return error;
  }
}

test("a piece that a driver does not give is no structure of the image that may be left out", () => {
  const bytes = new Uint8Array(readFileSync(FIXTURE));
  const plan = (): Plan<unknown> => readQcow2Index(bytes.length);
  const rounds = roundsWithout(plan(), bytes, -1);
  expect(rounds).toBeGreaterThan(4);
  for (let left = 0; left < Number(rounds); left++) {
    const error = roundsWithout(plan(), bytes, left);
    expect(error, `round ${left}`).toBeInstanceOf(Error);
    // It says nothing about the image.
    expect(isQdbError(error), `round ${left}`).toBe(false);
  }
});
