// SPDX-License-Identifier: CC0-1.0 OR MIT
// The whole mutation run takes up to half an hour (`pnpm mutation`). A small one shows here that mutants are made, that
// vectors notice them, and that the others are reported.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import * as format from "@qdb/format";
import * as container from "@qdb/format/container";
import { expect, test } from "vitest";
import { type Counts, countsOf, LEAST_SCORE } from "../stryker/report.ts";
import { UNREACHED } from "../stryker/unreached.ts";
import { REPOSITORY, SUITE } from "../tools/places.ts";

test("vectors notice mutants, and those that none notices are named", () => {
  const file = "packages/format/src/records/features.ts";
  const args = ["--jobs", "1", "--vectors", "golden-*,hdr-incompatible-*", "--mutate", file];
  const said = execFileSync(process.execPath, ["conformance/stryker/run.ts", ...args], {
    cwd: REPOSITORY,
    encoding: "utf8",
  });
  const [, killed, survived] = /^ {2}features\.ts +[\d.]+ +(\d+) +\d+ +(\d+)/m.exec(said) ?? [];
  expect(Number(killed)).toBeGreaterThan(0);
  // No golden file has a name table, so no vector notices a change in the names of features.
  expect(Number(survived)).toBeGreaterThan(0);
  expect(said).toContain(`\n${file}\n`);
  expect(said).toContain("all-ones clusters");
});

test("what is recorded is the figure of its own counts, and enough", () => {
  const { score, sources, mutants, rooms } = JSON.parse(readFileSync(`${SUITE}stryker/score.json`, "utf8")) as {
    score: number;
    sources: { rooms: string[] };
    mutants: Counts;
    rooms: Record<string, Counts>;
  };
  const { killed, timeout, survived, no_coverage } = mutants;
  const noticed = killed + timeout;
  expect(Math.abs(score - (100 * noticed) / (noticed + survived + no_coverage))).toBeLessThan(0.01);
  expect(Object.keys(rooms).sort()).toEqual(sources.rooms.map((room) => basename(room)).sort());
  expect(Object.values(rooms).reduce((sum, room) => sum + room.killed, 0)).toBe(killed);
  expect(score).toBeGreaterThanOrEqual(LEAST_SCORE);
});

test("names that are left out are exports of @qdb/format and public members of its classes, no internal ones", () => {
  const exported = new Map<string, unknown>(Object.entries({ ...container, ...format }));
  const isExported = (name: string): boolean => {
    const [owner = "", member] = name.split(".");
    const value = exported.get(owner);
    if (member === undefined) return value !== undefined;
    return typeof value === "function" && Object.hasOwn(value.prototype, member);
  };
  expect(["Counts", "QdbFile.#count", "checkOnce:put"].filter(isExported)).toEqual([]);
  expect([...UNREACHED.keys()].filter((name) => !isExported(name))).toEqual([]);
});

test("mutants that were left out, or broke the process, count neither way", () => {
  const place = { start: { line: 1, column: 1 }, end: { line: 1, column: 2 } };
  const statuses = ["Killed", "Timeout", "Survived", "NoCoverage", "Ignored", "RuntimeError"] as const;
  const mutants = statuses.map((status, at) => {
    return { id: `${at}`, fileName: "a/file/b.ts", location: place, mutatorName: "M", replacement: "", status };
  });
  expect(countsOf(mutants)).toEqual({
    score: 50,
    killed: 1,
    timeout: 1,
    survived: 1,
    no_coverage: 1,
    ignored: 1,
    error: 1,
  });
});
