import { join } from "node:path";
import type { Cell } from "../data/cells.ts";
import { Child } from "../measure/child.ts";
import type { Lab } from "../measure/lab.ts";
import { spreadOf } from "../measure/statistics.ts";
import { BUILT } from "../paths.ts";
import type { Limit } from "../report/results.ts";
import type { Row } from "./row.ts";

/** What the machine can do: copy, read, and wait for its disk. */
export const LIMITS: Row = {
  id: "limits",
  title: "Limits of the machine, in C",
  async measure(lab) {
    const limits: Limit[] = [];
    for (const mebibytes of [32, 512].map((size) => lab.size(size)))
      limits.push(...(await memoryLimits(lab, mebibytes)));
    return { limits };
  },
};

async function memoryLimits(lab: Lab, mebibytes: number): Promise<Limit[]> {
  const cell: Cell = { mebibytes, density: 0, pattern: "last" };
  const child = await lab.start("C", cell);
  if (!(child instanceof Child)) throw new Error(`the limits cannot be measured: ${child.missing}`);
  const median = async (operation: string): Promise<number> => {
    const times: number[] = [];
    for (let round = 0; round < 7; round++) times.push((await child.run(operation)).nanoseconds);
    return spreadOf(times.slice(1)).median;
  };
  const speed = async (name: string, operation: string): Promise<Limit> => ({
    name: `${name}, ${mebibytes} MiB`,
    value: (mebibytes * 2 ** 20) / (await median(operation)),
    unit: "GB/s",
  });
  try {
    return [
      await speed("memcpy", "memcpy"),
      await speed("memcpy to fresh memory", "memcpy-fresh"),
      await speed("reading memory", "read"),
      { name: "writing 4 KiB and fdatasync", value: (await median(`sync ${join(BUILT, "sync")}`)) / 1e6, unit: "ms" },
    ];
  } finally {
    child.kill();
  }
}
