import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { bitsOf, type Cell } from "../data/cells.ts";
import type { Lab } from "../measure/lab.ts";
import { type Command, missingProgram } from "../programs/runner.ts";
import { GRANULARITY, type Workshop } from "../programs/workshop.ts";
import type { MemoryUse } from "../report/results.ts";
import type { Row } from "./row.ts";

/** Smallest granularity, with which images of 4 GiB have a bitmap of 1 MiB. */
const FINEST = 512;

type Point = MemoryUse["points"][number];

/** A command, by what the table calls it, or why it cannot be run. */
type Listed = readonly [operation: string, command: Command | { readonly missing: string }];

/** Runs a command once. What takes too long is a point that says so. */
function measure(workshop: Workshop, amount: number, command: Listed[1]): Point {
  if ("missing" in command) return { amount, missing: command.missing };
  try {
    return { amount, peak: workshop.runner.succeed(command).peak };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    // The code of an error of QDB says enough; all else does not happen, but for a run that takes too long.
    return { amount, missing: /\[[A-Z_]+\]/.exec(text)?.[0] ?? text.slice(-40) };
  }
}

/** Commands for files with two bitmaps, in an order in which they can all be done on one file. */
function commandsOf(workshop: Workshop, cell: Cell): Listed[] {
  const file = workshop.path("memory.qdb");
  const [imported, loaded, dumped] = ["imported.qdb", "loaded.qdb", "dumped.json"].map((name) =>
    workshop.path(name),
  ) as [string, string, string];
  workshop.fresh(workshop.qdbFile(cell), file);
  workshop.remove(imported, loaded);
  const size = `--size=${bitsOf(cell) * GRANULARITY}`;
  const bitmap = (name: string, ...actions: readonly string[]): Command =>
    workshop.qdb("bitmap", ...actions, file, name);
  // Bits of 512 MiB in all are the most that `load` takes.
  workshop.runner.succeed(workshop.qdb("dump", workshop.qdbFile(cell, ["a"])), dumped);
  const missing = missingProgram("qemu-img");
  return [
    ["info", workshop.qdb("info", file)],
    ["check", workshop.qdb("check", file)],
    ["map --output=json", workshop.qdb("map", "--output=json", file, "a")],
    ["map, text", workshop.qdb("map", file, "a")],
    ["show", workshop.qdb("show", file, "a")],
    ["export", workshop.qdb("export", "--to=raw-bits", "--bitmap=a", file)],
    ["dump", workshop.qdb("dump", file)],
    ["load", workshop.qdb("load", dumped, loaded)],
    [
      "import of a qcow2 image",
      missing === undefined ? workshop.qdb("import", workshop.qcow2File(cell), imported) : { missing },
    ],
    ["mark one bit", bitmap("a", `--mark=${bitsOf(cell) * GRANULARITY - 1}+1`)],
    ["add", bitmap("c", "--add", "-g", String(GRANULARITY), size)],
    ["merge", bitmap("a", "--merge=b")],
    ["to granules of 128 KiB", bitmap("d", "--add", "-g", String(2 * GRANULARITY), size, "--merge=a")],
    ["clear", bitmap("a", "--clear")],
    ["remove", bitmap("b", "--remove")],
  ];
}

/** Images without data, but for their last byte, in a bitmap of the finest granularity. */
function diff(workshop: Workshop, mebibytes: number): Command {
  const length = mebibytes * 2 ** 23 * FINEST;
  const images = ["base.img", "current.img"].map((name) => workshop.path(name));
  const stored = workshop.path("diff.qdb");
  workshop.remove(...images, stored);
  for (const [index, path] of images.entries()) {
    const fd = openSync(path, "w");
    ftruncateSync(fd, length);
    writeSync(fd, Uint8Array.of(index), 0, 1, length - 1);
    closeSync(fd);
  }
  return workshop.qdb("diff", "-g", String(FINEST), ...images, stored);
}

function measureAll(lab: Lab, workshop: Workshop, sizes: readonly number[]): MemoryUse[] {
  const uses = new Map<string, Point[]>();
  const add = (operation: string, point: Point): void => {
    uses.set(operation, [...(uses.get(operation) ?? []), point]);
  };
  for (const mebibytes of sizes) {
    const cell: Cell = { mebibytes, density: 0.01, pattern: "random" };
    for (const [operation, command] of commandsOf(workshop, cell)) {
      lab.say(`Memory of ${operation}, ${mebibytes} MiB`);
      add(operation, measure(workshop, mebibytes, command));
    }
    // More would be terabytes to read.
    if (mebibytes <= 32) add("diff", measure(workshop, mebibytes, diff(workshop, mebibytes)));
    if (mebibytes > 32) lab.data.drop(cell);
  }
  return [...uses].map(([operation, points]) => ({ operation, points }));
}

/** The most memory of each command, which is to be the same for bitmaps of any size. */
export const MEMORY: Row = {
  id: "memory",
  title: "Most memory of commands, for bitmaps of several sizes, 1 % random",
  async measure(lab) {
    const workshop = lab.workshop();
    if ("missing" in workshop) return workshop;
    return { memory: measureAll(lab, workshop, lab.quick ? [1, 2] : [1, 32, 512]) };
  },
};
