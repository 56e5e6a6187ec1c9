import { afterEach, expect, test } from "vitest";
import { Child } from "../src/measure/child.ts";
import { contest } from "../src/measure/contest.ts";
import { ratioOf, spreadOf } from "../src/measure/statistics.ts";

const children: Child[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill();
});

/** A contestant that takes `nanoseconds` and answers with `answer`. */
async function contestant(nanoseconds: number, answer: string): Promise<Child> {
  const script = `console.log("ready"); require("readline").createInterface({ input: process.stdin })
    .on("line", (line) => console.log(line === "fail" ? "error no such thing" : ${JSON.stringify(`${nanoseconds} ${answer}`)}))`;
  const child = await Child.start(process.execPath, ["-e", script]);
  children.push(child);
  return child;
}

const EFFORT = { least: 3, most: 5, seconds: 0 };

test("gives as many times of each contestant as rounds were asked for", async () => {
  const fast = { label: "fast", child: await contestant(100, "7"), operation: "count" };
  const slow = { label: "slow", child: await contestant(300, "7"), operation: "count" };
  expect(await contest([fast, slow], EFFORT)).toEqual([
    { label: "fast", times: [100, 100, 100] },
    { label: "slow", times: [300, 300, 300] },
  ]);
});

test("fails if two contestants give other answers, and not if one gives none", async () => {
  const seven = { label: "seven", child: await contestant(1, "7"), operation: "count" };
  const eight = { label: "eight", child: await contestant(1, "8"), operation: "size" };
  const none = { label: "none", child: await contestant(1, "-"), operation: "count" };
  await expect(contest([seven, none, eight], EFFORT)).rejects.toThrow("seven count gives 7, eight size gives 8");
  await contest([seven, none], EFFORT);
  expect(await contest([seven, eight], { ...EFFORT, isSameData: false })).toHaveLength(2);
});

test("leaves out a contestant that may fail, and says why", async () => {
  const good = { label: "good", child: await contestant(1, "7"), operation: "count" };
  const bad = { label: "bad", child: await contestant(1, "7"), operation: "fail" };
  await expect(contest([good, bad], EFFORT)).rejects.toThrow("no such thing");
  expect(await contest([good, { ...bad, mayFail: true }], EFFORT)).toEqual([
    { label: "good", times: [1, 1, 1] },
    { label: "bad", times: [], failed: "no such thing" },
  ]);
});

test("fails if a contestant fails, ends or cannot be started", async () => {
  const child = await contestant(1, "7");
  await expect(child.run("fail")).rejects.toThrow("no such thing");
  await expect(Child.start(process.execPath, ["-e", "0"])).rejects.toThrow("ended without an answer");
  await expect(Child.start("/nonexistent/program", [])).rejects.toThrow("ended without an answer");
});

test("takes the median and the quartiles, of ratios pair by pair", () => {
  expect(spreadOf([4, 1, 3, 2, 5])).toEqual({ median: 3, low: 2, high: 4 });
  expect(spreadOf([10, 20])).toEqual({ median: 15, low: 12.5, high: 17.5 });
  expect(ratioOf([10, 30, 90], [10, 10, 10])).toEqual({ median: 3, low: 2, high: 6 });
  expect(() => ratioOf([1], [1, 2])).toThrow(RangeError);
});
