// Closing never hides the first error.
import { closing, closingOnError, closingOnErrorSync, closingSync } from "@qdb/format/internal";
import { describe, expect, test } from "vitest";

const ofWork = new Error("of the work");
const ofClosing = new Error("of closing");

/** Something open that counts how often it is closed. */
function opened(fails: boolean) {
  const state = { closed: 0, close };
  function close(): void {
    state.closed++;
    if (fails) throw ofClosing;
  }
  return state;
}

const fail = (): never => {
  throw ofWork;
};

const HELPERS = { closing, closingSync, closingOnError, closingOnErrorSync } as const;

describe.each(Object.entries(HELPERS))("%s", (name, helper) => {
  test.each([false, true])("throws the error of the work, whether closing fails: %s", async (fails) => {
    const file = opened(fails);
    await expect((async () => helper(file, fail))()).rejects.toBe(ofWork);
    expect(file.closed).toBe(1);
  });

  test("returns the result of the work", async () => {
    const file = opened(false);
    expect(await (async () => helper(file, () => 7))()).toBe(7);
    expect(file.closed).toBe(name.includes("OnError") ? 0 : 1);
  });
});

test.each(["closing", "closingSync"] as const)("%s throws the error of closing if the work succeeds", async (name) => {
  const helper = HELPERS[name];
  const file = opened(true);
  await expect((async () => helper(file, () => 7))()).rejects.toBe(ofClosing);
  expect(file.closed).toBe(1);
});

test("the asynchronous helpers await the work before they close, and then the closing", async () => {
  const steps: string[] = [];
  const turn = (step: string) => new Promise<void>((resolve) => setImmediate(() => resolve(void steps.push(step))));
  const close = (): Promise<void> => turn("closed");
  await closing({ close }, () => turn("worked"));
  const failing = async (): Promise<never> => {
    await turn("failed");
    throw ofWork;
  };
  const rejecting = async (): Promise<never> => {
    await turn("closing failed");
    throw ofClosing;
  };
  await expect(closing({ close: rejecting }, failing)).rejects.toBe(ofWork);
  await expect(closingOnError({ close: rejecting }, failing)).rejects.toBe(ofWork);
  const failedTwice = ["failed", "closing failed"];
  expect(steps).toEqual(["worked", "closed", ...failedTwice, ...failedTwice]);
});
