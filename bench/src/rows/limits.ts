import { join } from "node:path";
import type { Cell } from "../data/cells.ts";
import { Child } from "../measure/child.ts";
import type { Lab } from "../measure/lab.ts";
import { spreadOf } from "../measure/statistics.ts";
import { BUILT } from "../paths.ts";
import type { Limit } from "../report/results.ts";
import type { Row } from "./row.ts";

/** Operations of the C program that move as many bytes as the bits have. */
const OPERATIONS: Readonly<Record<string, string>> = {
  memcpy: "memcpy",
  "memcpy-fresh": "memcpy to fresh memory",
  read: "reading memory",
};
const SYNC = "writing 4 KiB and fdatasync";

/** What the machine can do: copy, read, and wait for its disk. */
export const LIMITS: Row = {
  id: "limits",
  title: "Limits of the machine, in C",
  async measure(lab) {
    const limits: Limit[] = [];
    const sizes = [32, 512].map((size) => lab.size(size));
    for (const mebibytes of sizes) limits.push(...(await limitsOf(lab, mebibytes, mebibytes === sizes.at(-1))));
    return { limits };
  },
};

async function limitsOf(lab: Lab, mebibytes: number, hasSync: boolean): Promise<Limit[]> {
  const cell: Cell = { mebibytes, density: 0, pattern: "last" };
  const child = await lab.start("C", cell);
  const limits: Limit[] = [];
  try {
    for (const [operation, label] of Object.entries(OPERATIONS)) {
      const name = `${label}, ${mebibytes} MiB`;
      if (!(child instanceof Child)) limits.push({ name, missing: child.missing });
      else limits.push({ name, value: (mebibytes * 2 ** 20) / (await median(child, operation)), unit: "GB/s" });
    }
    if (!hasSync) return limits;
    if (!(child instanceof Child)) return [...limits, { name: SYNC, missing: child.missing }];
    return [...limits, { name: SYNC, value: (await median(child, `sync ${join(BUILT, "sync")}`)) / 1e6, unit: "ms" }];
  } finally {
    if (child instanceof Child) child.kill();
  }
}

async function median(child: Child, operation: string): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < 7; round++) times.push((await child.run(operation)).nanoseconds);
  return spreadOf(times.slice(1)).median;
}
