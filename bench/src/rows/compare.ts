import { readFileSync } from "node:fs";
import { requireSame } from "../programs/bitmaps.ts";
import { floorOfDiff } from "../programs/floor.ts";
import { ImagePair } from "../programs/images.ts";
import { type Match, type Opponent, race } from "../programs/race.ts";
import { type Command, missingProgram } from "../programs/runner.ts";
import { GRANULARITY, type Workshop } from "../programs/workshop.ts";
import type { Row } from "./row.ts";

const GIBIBYTE = 2 ** 30;

/** Returns the bytes of an image so that two of them stay in the page cache: 4 GiB, or less on a small machine. */
function lengthOfImages(): number {
  const kibibytes = Number(/^MemAvailable: +(\d+) kB$/m.exec(readFileSync("/proc/meminfo", "utf8"))?.[1]);
  let gibibytes = 4;
  while (gibibytes > 0.5 && gibibytes * 2 * GIBIBYTE > kibibytes * 1024 * 0.7) gibibytes /= 2;
  return gibibytes * GIBIBYTE;
}

function matchOf(workshop: Workshop, images: ImagePair): Match {
  const { base, current, length } = images;
  const stored = workshop.path("diff.qdb");
  const differ = (): void => {
    images.set(true);
    workshop.remove(stored);
  };
  // Other programs stop at the first difference, so they get images without one, which they read whole.
  const other = (label: string, command: Command, goal: number): Opponent => {
    const missing = missingProgram(command[0]);
    return missing === undefined ? { label, command, goal, prepare: () => images.set(false) } : { label, missing };
  };
  return {
    data: `two images of ${length / GIBIBYTE} GiB, 1 % of the blocks`,
    operation: "diff",
    qdb: {
      command: workshop.qdb("diff", base, current, stored),
      prepare: differ,
      check: () =>
        requireSame(
          workshop.bitmapsOfQdb(stored),
          new Map([["diff", { granularity: GRANULARITY, bits: images.bits }]]),
        ),
    },
    opponents: [
      other("qemu-img compare", ["qemu-img", "compare", "-f", "raw", "-F", "raw", base, current], 0.4),
      other("cmp -s", ["cmp", "-s", base, current], 0.55),
      floorOfDiff(workshop, { base, current, length, granularity: GRANULARITY }, stored, differ),
    ],
  };
}

/** Two images become a bitmap of what differs. */
export const COMPARE: Row = {
  id: "compare",
  title: "Comparison of images",
  async measure(lab) {
    const workshop = lab.workshop();
    if ("missing" in workshop) return workshop;
    const [base, current] = [workshop.path("base.img"), workshop.path("current.img")];
    const length = lab.quick ? 2 ** 26 : lengthOfImages();
    lab.say(`Making two images of ${length / GIBIBYTE} GiB`);
    const match = matchOf(workshop, new ImagePair(base, current, length, 0.01));
    try {
      return { comparisons: [race(workshop, match, { ...lab.programEffort(20), most: 11 })] };
    } finally {
      workshop.remove(base, current, workshop.path("diff.qdb"));
    }
  },
};
