import { afterEach, expect, test, vi } from "vitest";
import { Child } from "../src/measure/child.ts";
import { contest } from "../src/measure/contest.ts";
import { ratioOf, spreadOf } from "../src/measure/statistics.ts";

const children: Child[] = [];
afterEach(() => {
  vi.unstubAllEnvs();
  for (const child of children.splice(0)) child.kill();
});

/** A contestant that takes `nanoseconds` and answers with `answer`. */
async function contestant(nanoseconds: number, answer: string): Promise<Child> {
  const script = `console.log("ready"); require("readline").createInterface({ input: process.stdin })
    .on("line", (line) => console.log(line === "fail" ? "error no such thing" : ${JSON.stringify(`${nanoseconds} ${answer}`)}))`;
  const child = await Child.start("contestant", process.execPath, ["-e", script]);
  children.push(child);
  return child;
}

const EFFORT = { least: 3, most: 5, seconds: 0 };

test("gives as many times of each contestant as rounds were asked for, and its memory", async () => {
  const fast = { label: "fast", child: await contestant(100, "7"), operation: "count" };
  const slow = { label: "slow", child: await contestant(300, "7"), operation: "count" };
  const samples = await contest([fast, slow], EFFORT);
  expect(samples).toMatchObject([
    { label: "fast", times: [100, 100, 100] },
    { label: "slow", times: [300, 300, 300] },
  ]);
  // Where the memory can be known, a Node.js has more than 20 MiB and less than a gigabyte.
  for (const { peak = 2 ** 26 } of samples) {
    expect(peak).toBeGreaterThan(20 * 2 ** 20);
    expect(peak).toBeLessThan(2 ** 30);
  }
});

test("fails if two contestants give other answers, and not if one gives none", async () => {
  const seven = { label: "seven", child: await contestant(1, "7"), operation: "count" };
  const eight = { label: "eight", child: await contestant(1, "8"), operation: "size", mayFail: true };
  const none = { label: "none", child: await contestant(1, "-"), operation: "count" };
  await expect(contest([seven, none, eight], EFFORT)).rejects.toThrow(
    "the answers differ: seven count gives 7, eight size gives 8",
  );
  await contest([seven, none], EFFORT);
  expect(await contest([seven, eight], { ...EFFORT, isSameData: false })).toHaveLength(2);
});

test("leaves out a library that is wrong, and says so, if more give the answer of the first", async () => {
  const own = { label: "own", child: await contestant(1, "7"), operation: "count" };
  const library = { label: "library", child: await contestant(1, "7"), operation: "count", mayFail: true };
  const wrong = { label: "wrong", child: await contestant(1, "8"), operation: "count", mayFail: true };
  const failed = "wrong: gives 8, others 7";
  expect(await contest([own, wrong, library], EFFORT)).toMatchObject([
    { label: "own", times: [1, 1, 1] },
    { label: "wrong", times: [], failed },
    { label: "library", times: [1, 1, 1] },
  ]);
  // Two are of one opinion, two of another one; all others are of another one; one that may not fail is wrong.
  await expect(contest([own, library, wrong, wrong], EFFORT)).rejects.toThrow("the answers differ");
  await expect(contest([own, wrong, wrong], EFFORT)).rejects.toThrow("the answers differ");
  await expect(contest([own, library, { ...wrong, mayFail: false }], EFFORT)).rejects.toThrow("the answers differ");
});

test("compares the full answers before it measures", async () => {
  const script = (
    full: string,
  ): string => `console.log("ready"); require("readline").createInterface({ input: process.stdin })
    .on("line", (line) => console.log(line === "or-check" ? "1 ${full}" : "1 7"))`;
  const start = async (label: string, full: string, mayFail: boolean) => {
    const child = await Child.start("contestant", process.execPath, ["-e", script(full)]);
    children.push(child);
    return { label, child, operation: "or", mayFail };
  };
  const all = [await start("own", "a", false), await start("same", "a", true), await start("other", "b", true)];
  const samples = await contest(all, { ...EFFORT, hasCheck: true });
  expect(samples.map(({ failed }) => failed)).toEqual([undefined, undefined, "wrong: gives b, others a"]);
});

test("leaves out a contestant that may fail, and says why", async () => {
  const good = { label: "good", child: await contestant(1, "7"), operation: "count" };
  const bad = { label: "bad", child: await contestant(1, "7"), operation: "fail" };
  await expect(contest([good, bad], EFFORT)).rejects.toThrow("no such thing");
  expect(await contest([good, { ...bad, mayFail: true }], EFFORT)).toMatchObject([
    { label: "good", times: [1, 1, 1] },
    { label: "bad", times: [], failed: "failed: no such thing" },
  ]);
});

test("a contestant has neither NODE_OPTIONS nor NODE_EXTRA_CA_CERTS", async () => {
  vi.stubEnv("NODE_OPTIONS", "--no-warnings");
  vi.stubEnv("NODE_EXTRA_CA_CERTS", "/nonexistent.pem");
  vi.stubEnv("QDB_BENCH_TEST", "kept");
  const child = await Child.start("contestant", process.execPath, [
    "-e",
    `console.log("ready"); process.stdin.on("data", () => console.log("1 " +
      [process.env.NODE_OPTIONS, process.env.NODE_EXTRA_CA_CERTS, process.env.QDB_BENCH_TEST].join()))`,
  ]);
  children.push(child);
  expect((await child.run("environment")).answer).toBe(",,kept");
});

test("the memory of a contestant is its own, and begins anew", { skip: process.platform !== "linux" }, async () => {
  // A process inherits the maximum in `getrusage` of the one that starts it: this one.
  const ballast = Buffer.alloc(2 ** 28, 1);
  const script = `console.log("ready"); process.stdin.on("data", (line) => {
    const bytes = String(line).trim() === "fill" ? Buffer.alloc(2 ** 28, 1).length : 0;
    gc();
    console.log("1 " + bytes); })`;
  const child = await Child.start("contestant", process.execPath, ["--expose-gc", "-e", script]);
  children.push(child);
  expect(ballast).toHaveLength(2 ** 28);
  expect(child.peak).toBeLessThan(2 ** 27);
  expect((await child.run("fill")).answer).toBe(String(2 ** 28));
  expect(child.peak).toBeGreaterThan(2 ** 28);
  // Another thread gives the memory back.
  await vi.waitFor(async () => {
    await child.run("collect");
    child.resetPeak();
    expect(child.peak).toBeLessThan(2 ** 27);
  });
});

test("fails if a contestant fails, ends or cannot be started", async () => {
  const child = await contestant(1, "7");
  await expect(child.run("fail")).rejects.toThrow("no such thing");
  await expect(Child.start("contestant", process.execPath, ["-e", "0"])).rejects.toThrow(
    "contestant ended without an answer",
  );
  await expect(Child.start("contestant", "/nonexistent/program", [])).rejects.toThrow(
    "contestant ended without an answer",
  );
});

test("takes the median and the quartiles, of ratios pair by pair", () => {
  expect(spreadOf([4, 1, 3, 2, 5])).toEqual({ median: 3, low: 2, high: 4 });
  expect(spreadOf([10, 20])).toEqual({ median: 15, low: 12.5, high: 17.5 });
  expect(ratioOf([10, 30, 90], [10, 10, 10])).toEqual({ median: 3, low: 2, high: 6 });
  expect(() => ratioOf([1], [1, 2])).toThrow(RangeError);
});
