import type { Cell, Pattern } from "../data/cells.ts";
import { compare, type Match } from "../measure/compare.ts";
import type { Lab } from "../measure/lab.ts";
import type { Comparison } from "../report/results.ts";
import type { Row } from "./row.ts";

function against(operation: string, label: string, goal: number): Match {
  return { operation, label, rivals: [{ kind: "C", goal }] };
}

/** The result is a new bitmap, in new memory; so a loop that gets new memory too is measured besides. */
function changed(operation: string, label: string, goal: number): Match {
  return {
    operation,
    label,
    rivals: [
      { kind: "C", goal },
      { kind: "C", label: "C, fresh memory", operation: `${operation}-fresh` },
    ],
  };
}

const LISTING = "list runs";

const ALL: readonly Match[] = [
  against("or", "OR", 1.5),
  against("andnot", "AND NOT", 1.5),
  against("count", "count", 1.5),
  against("runs", LISTING, 1.5),
  changed("coarsen", "coarsen", 2.3),
  changed("refine", "refine", 1.5),
];

/** Every operation on bits beside a loop in C. */
export const KERNELS: Row = {
  id: "kernels",
  title: "Bits in memory against loops in C (-O3 -march=native)",
  async measure(lab) {
    const comparisons: Comparison[] = [];
    const add = async (mebibytes: number, density: number, pattern: Pattern, matches: readonly Match[]) => {
      const cell: Cell = { mebibytes: lab.size(mebibytes), density, pattern };
      comparisons.push(...(await compare(lab, cell, matches)));
      lab.data.drop(cell);
    };
    for (const mebibytes of [32, 512]) {
      await add(mebibytes, 0.01, "random", ALL);
      await add(mebibytes, 0.01, "clustered", ALL);
      await add(mebibytes, 0, "last", [against("zero", "zero test", 1.5)]);
    }
    await add(32, 0.1, "random", [against("runs", LISTING, 1.7)]);
    await add(32, 0.5, "random", [against("runs", LISTING, 1.7)]);
    return { comparisons };
  },
};

/** CRC-32 without zlib, as in a browser. */
export const CHECKSUM: Row = {
  id: "crc32",
  title: "CRC-32 in WebAssembly against zlib's",
  async measure(lab: Lab) {
    const cell: Cell = { mebibytes: lab.size(32), density: 0.01, pattern: "random" };
    const rivals = [{ kind: "node", label: "zlib", goal: 2.5 }] as const;
    return { comparisons: await compare(lab, cell, [{ operation: "crc32", label: "CRC-32", rivals }]) };
  },
};
