import { join } from "node:path";
import { readBitmap } from "@qdb/format";
import { expect, test, vi } from "vitest";
import { openQdb } from "../src/index.ts";
import { Child } from "./support/child.ts";
import { findingsOf, makeTwins, numbered } from "./support/qdb-files.ts";
import { temporaryDirectory } from "./support/temp.ts";

// Many runs of a program, on machines that do other things too.
vi.setConfig({ testTimeout: 300_000 });

const COMMITS = 1000;

test("readers during 1,000 commits see one state each, and no error that is not there", async () => {
  const path = join(temporaryDirectory(), "twins.qdb");
  const done = `${path}.done`;
  await makeTwins(path);
  const readers = [1, 2, 3].map(() => new Child("twins-reader.ts", path, done));
  const writer = new Child("twins-writer.ts", path, String(COMMITS), done);
  expect(await writer.ended()).toMatchObject({ status: 0, stderr: "" });
  const total: Record<string, number> = {};
  for (const reader of readers) {
    const { status, stdout, stderr } = await reader.ended();
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    for (const [what, count] of Object.entries<number>(JSON.parse(stdout))) total[what] = (total[what] ?? 0) + count;
  }
  const of = (end: string): number =>
    Object.entries(total).reduce((sum, [what, count]) => sum + (what.endsWith(end) ? count : 0), 0);
  expect(of("ok")).toBeGreaterThan(500);
  // Nothing is so large that a part of it leaves before all of it is read.
  expect(of("LOCKED") + of("SOURCE_CHANGED")).toBe(0);
  const file = await openQdb(path);
  expect((await readBitmap(file.bitmap("two"))).equals(numbered(COMMITS))).toBe(true);
  expect(file.index.header.generation).toBeGreaterThanOrEqual(BigInt(COMMITS) + 1n);
  await file.close();
  expect(await findingsOf(path)).toEqual([]);
});
