import type { Cell } from "../data/cells.ts";
import { compare, type Rival } from "../measure/compare.ts";
import type { Comparison } from "../report/results.ts";
import type { Row } from "./row.ts";

const RIVALS: readonly Rival[] = [
  { kind: "node", label: "memcpy + CRC-32", operation: "copy-crc32", goal: 1.5 },
  { kind: "node", label: "the same, fresh memory", operation: "copy-crc32-fresh" },
  { kind: "roaring" },
];

/** A bitmap becomes the bytes of a file, and they become a bitmap again, with all checksums. */
export const SAVE_LOAD: Row = {
  id: "save-load",
  title: "Saving and loading in memory against memcpy and CRC-32 of the bytes stored",
  async measure(lab) {
    const comparisons: Comparison[] = [];
    const cells = [
      { density: 0.01, pattern: "random" },
      { density: 0.001, pattern: "clustered" },
      { density: 0.1, pattern: "clustered" },
    ] as const;
    for (const cell of cells.map((kind): Cell => ({ mebibytes: lab.size(32), ...kind })))
      comparisons.push(
        ...(await compare(lab, cell, [
          { operation: "save", label: "save", rivals: RIVALS },
          { operation: "load", label: "load", rivals: RIVALS },
        ])),
      );
    return { comparisons };
  },
};
