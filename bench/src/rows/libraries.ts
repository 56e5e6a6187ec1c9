import { type Cell, DENSITIES } from "../data/cells.ts";
import { compare, type Match, type Rival } from "../measure/compare.ts";
import type { Comparison } from "../report/results.ts";
import type { Row } from "./row.ts";

const OPERATIONS: Readonly<Record<string, string>> = {
  build: "build",
  or: "OR",
  andnot: "AND NOT",
  count: "count",
  runs: "list runs",
};

/** roaring stores lone bits as numbers, which is less than any bitmap has to touch if there are few. */
function roaringGoal({ density, pattern }: Cell, operation: string): number {
  const isSparse = density <= 0.01;
  return isSparse && (pattern === "random" || operation === "build") ? 3 : 1;
}

function rivalsOf(cell: Cell, operation: string): readonly Rival[] {
  const goal = roaringGoal(cell, operation);
  return [
    { kind: "fastbitset", goal: 1 },
    { kind: "typedfastbitset", goal: 1 },
    { kind: "roaring", goal },
    { kind: "roaring-wasm", goal },
  ];
}

/** What is compared with libraries: all kinds of data in 1 and 32 MiB, and in 512 MiB those that README.md gives the reasons for. */
const CELLS: readonly Cell[] = [
  ...[1, 32].flatMap((mebibytes) =>
    (["random", "clustered"] as const).flatMap((pattern) =>
      DENSITIES.map((density): Cell => ({ mebibytes, density, pattern })),
    ),
  ),
  { mebibytes: 512, density: 0.001, pattern: "random" },
  { mebibytes: 512, density: 0.001, pattern: "clustered" },
  { mebibytes: 512, density: 0.01, pattern: "clustered" },
];

/** What every library of bitmaps can do. */
export const LIBRARIES: Row = {
  id: "libraries",
  title: "Bits in memory against other libraries",
  async measure(lab) {
    const comparisons: Comparison[] = [];
    for (const kind of CELLS) {
      const cell: Cell = { ...kind, mebibytes: lab.size(kind.mebibytes) };
      const matches = Object.entries(OPERATIONS).map(
        ([operation, label]): Match => ({ operation, label, rivals: rivalsOf(cell, operation) }),
      );
      comparisons.push(...(await compare(lab, cell, matches)));
      lab.data.drop(cell);
    }
    return { comparisons };
  },
};

/** Single bits in no order. */
export const RANDOM_ACCESS: Row = {
  id: "random",
  title: "A million random bits against typedfastbitset",
  async measure(lab) {
    const cell: Cell = { mebibytes: lab.size(32), density: 0.01, pattern: "random" };
    const comparisons = await compare(lab, cell, [
      { operation: "test", label: "test", rivals: [{ kind: "typedfastbitset", goal: 1.1 }] },
      { operation: "mark", label: "mark", rivals: [{ kind: "typedfastbitset", goal: 1.5 }] },
    ]);
    return { comparisons };
  },
};
