import { type Cell, nameOf } from "../data/cells.ts";
import { type PlainBitmaps, requireSame, union } from "../programs/bitmaps.ts";
import { bitmapsOfQcow2 } from "../programs/qcow2.ts";
import { type Opponent, race } from "../programs/race.ts";
import { missingProgram } from "../programs/runner.ts";
import { GRANULARITY } from "../programs/workshop.ts";
import type { Row } from "./row.ts";

/** The same change of the same image, by both. */
export const IMAGES: Row = {
  id: "images",
  title: "Changes of qcow2 images against qemu-img",
  async measure(lab) {
    const workshop = lab.workshop();
    if ("missing" in workshop) return workshop;
    const cell: Cell = { mebibytes: lab.size(32), density: 0.1, pattern: "random" };
    const missing = missingProgram("qemu-img");
    const [a, b] = [workshop.bitmap(cell, "a"), workshop.bitmap(cell, "b")];
    const expected: PlainBitmaps = new Map([
      ["a", { granularity: GRANULARITY, bits: union(a.bits, b.bits) }],
      ["b", b],
    ]);
    const image = (name: string): string => workshop.path(`${name}.qcow2`);
    const prepare = (name: string): void => workshop.fresh(workshop.qcow2File(cell), image(name));
    const check = (name: string): void => {
      requireSame(bitmapsOfQcow2(image(name)), expected);
      workshop.runner.succeed(["qemu-img", "check", "-q", "-f", "qcow2", image(name)]);
    };
    const rival: Opponent =
      missing === undefined
        ? {
            label: "qemu-img",
            command: ["qemu-img", "bitmap", "--merge", "b", "-f", "qcow2", image("theirs"), "a"],
            prepare: () => prepare("theirs"),
            check: () => check("theirs"),
            goal: 0.5,
            memoryGoal: 1,
          }
        : { label: "qemu-img", missing };
    const match = {
      data: `2 × ${nameOf(cell)}`,
      operation: "merge, in an image",
      qdb: {
        command: workshop.qdb("bitmap", "--merge=b", image("ours"), "a"),
        prepare: () => prepare("ours"),
        check: () => check("ours"),
      },
      opponents: [rival],
    };
    lab.say(`${match.data}: ${match.operation}`);
    return { comparisons: [race(workshop, match, lab.programEffort())] };
  },
};
