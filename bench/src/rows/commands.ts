import { bitsOf, type Cell, nameOf } from "../data/cells.ts";
import type { Lab } from "../measure/lab.ts";
import { countOf, type PlainBitmap, type PlainBitmaps, regranulated, requireSame, union } from "../programs/bitmaps.ts";
import { bytesOf, CLUSTER, floorOfCommit, floorOfLooking } from "../programs/floor.ts";
import { bitmapsOfQcow2 } from "../programs/qcow2.ts";
import { type Match, type Opponent, type Rival, race } from "../programs/race.ts";
import { missingProgram } from "../programs/runner.ts";
import { GRANULARITY, type Workshop } from "../programs/workshop.ts";
import type { Comparison } from "../report/results.ts";
import type { Row } from "./row.ts";

/** A change of a file with the bitmaps `a` and `b`. */
interface Change {
  readonly operation: string;
  /** Arguments of `qdb bitmap` and `qemu-img bitmap` in front of the file, and the name of the bitmap. */
  readonly qdb: readonly [actions: readonly string[], name: string];
  readonly qemu: readonly [actions: readonly string[], name: string];
  /** The bitmaps afterwards, those of QEMU too unless it does something else. */
  readonly expected: PlainBitmaps;
  readonly expectedOfQemu?: PlainBitmaps;
  /** Bytes of bits that have to be read and stored. */
  readonly bytes: { readonly read: number; readonly stored: number };
  readonly goal: number;
  readonly memoryGoal?: number;
}

/** The bitmaps of a cell. */
interface BothBitmaps {
  readonly a: PlainBitmap;
  readonly b: PlainBitmap;
}

function sizeText(bytes: number): string {
  return bytes < 2 ** 20 ? `${bytes / 1024} KiB` : `${bytes / 2 ** 20} MiB`;
}

/** The changes that are measured on a cell: all, or merging alone. */
function changesOf(cell: Cell, before: BothBitmaps, isWhole: boolean): Change[] {
  const { a, b } = before;
  const size = `--size=${bitsOf(cell) * GRANULARITY}`;
  const bytes = bytesOf(cell);
  const whenWith = (...bitmaps: readonly (readonly [string, PlainBitmap])[]): PlainBitmaps =>
    new Map([["a", a], ["b", b], ...bitmaps]);
  const without = new Map([["b", b]]);
  const clean: PlainBitmap = { granularity: GRANULARITY, bits: Buffer.alloc(bytes) };
  const merge: Change = {
    operation: "merge",
    qdb: [["--merge=b"], "a"],
    qemu: [["--merge", "b"], "a"],
    expected: whenWith(["a", { granularity: GRANULARITY, bits: union(a.bits, b.bits) }]),
    bytes: { read: 2 * bytes, stored: bytes },
    goal: 0.3,
    memoryGoal: 0.5,
  };
  if (!isWhole) return [merge];
  const nothing = { read: 0, stored: 0 };
  const add = [["--add", "-g", String(GRANULARITY)], "c"] as const;
  const place = a.bits.indexOf(0);
  const marked = Buffer.from(a.bits);
  marked[place] = 1;
  const added = whenWith(["c", clean]);
  return [
    merge,
    {
      operation: "clear",
      qdb: [["--clear"], "a"],
      qemu: [["--clear"], "a"],
      expected: whenWith(["a", clean]),
      bytes: nothing,
      goal: 0.15,
    },
    { operation: "add", qdb: [[...add[0], size], "c"], qemu: add, expected: added, bytes: nothing, goal: 0.15 },
    {
      operation: "remove",
      qdb: [["--remove"], "a"],
      qemu: [["--remove"], "a"],
      expected: without,
      bytes: nothing,
      goal: 0.15,
    },
    {
      operation: "mark one bit",
      qdb: [[`--mark=${place * 8 * GRANULARITY}+1`], "a"],
      // Its bits change only by writes of a guest. To add a bitmap is the least that it stores.
      qemu: add,
      expected: whenWith(["a", { granularity: GRANULARITY, bits: marked }]),
      expectedOfQemu: added,
      bytes: { read: CLUSTER, stored: CLUSTER },
      goal: 0.15,
    },
    ...[2, 1 / 2, 16].map((factor): Change => {
      const granularity = GRANULARITY * factor;
      const actions = ["--add", "-g", String(granularity)];
      return {
        operation: `to granules of ${sizeText(granularity)}`,
        qdb: [[...actions, size, "--merge=a"], "c"],
        qemu: [[...actions, "--merge", "a"], "c"],
        expected: whenWith(["c", regranulated(a, granularity)]),
        bytes: { read: bytes, stored: bytes / factor },
        goal: 0.3,
      };
    }),
  ];
}

function matchOf(workshop: Workshop, cell: Cell, missing: string | undefined, change: Change): Match {
  const { operation, expected, bytes, goal, memoryGoal } = change;
  const copy = workshop.path("run.qdb");
  const prepare = (): void => workshop.fresh(workshop.qdbFile(cell), copy);
  const [actions, name] = change.qdb;
  const rival = (): Rival => {
    const image = workshop.path("run.qcow2");
    const [actions, name] = change.qemu;
    return {
      label: "qemu-img",
      command: ["qemu-img", "bitmap", ...actions, "-f", "qcow2", image, name],
      prepare: () => workshop.fresh(workshop.qcow2File(cell), image),
      check: () => requireSame(bitmapsOfQcow2(image), change.expectedOfQemu ?? expected),
      goal,
      ...(memoryGoal === undefined ? {} : { memoryGoal }),
    };
  };
  return {
    data: `2 × ${nameOf(cell)}`,
    operation,
    qdb: {
      command: workshop.qdb("bitmap", ...actions, copy, name),
      prepare,
      check: () => requireSame(workshop.bitmapsOfQdb(copy), expected),
    },
    opponents: [
      missing === undefined ? rival() : { label: "qemu-img", missing },
      floorOfCommit(workshop, copy, cell, bytes, prepare),
    ],
  };
}

/** What `qdb info` and `qemu-img info` say of the bitmaps of a file, as far as both do, and the dirty bytes that QDB counts. */
function requireInfo(text: string, isOfQdb: boolean, expected: PlainBitmaps): void {
  const info: unknown = JSON.parse(text);
  const bitmaps: { name: string; granularity: number; dirty_bytes?: string }[] = isOfQdb
    ? (info as { bitmaps: [] }).bitmaps
    : (info as { "format-specific": { data: { bitmaps: [] } } })["format-specific"].data.bitmaps;
  const lines = bitmaps.map(({ name, granularity, dirty_bytes }) => `${name} ${granularity} ${dirty_bytes ?? ""}`);
  const right = [...expected].map(
    ([name, { granularity, bits }]) => `${name} ${granularity} ${isOfQdb ? countOf(bits) * granularity : ""}`,
  );
  if (lines.join() !== right.join()) throw new Error(`says ${lines.join()} and not ${right.join()}`);
}

/** Commands that read both bitmaps: QEMU loads them too, and counts nothing. */
function looking(workshop: Workshop, cell: Cell, missing: string | undefined): Match[] {
  const file = workshop.qdbFile(cell);
  const bitmaps = workshop.bitmaps(cell);
  const opponent = (): Opponent => {
    if (missing !== undefined) return { label: "qemu-img info", missing };
    const image = workshop.qcow2File(cell);
    const command = (...args: readonly string[]) => ["qemu-img", "info", ...args, "-f", "qcow2", image] as const;
    const check = (): void =>
      requireInfo(workshop.runner.outputOf(command("--output=json")).toString(), false, bitmaps);
    return { label: "qemu-img info", command: command(), check, goal: 0.6 };
  };
  const opponents = [opponent(), floorOfLooking(workshop, file, cell, 2, 1200)];
  const data = `2 × ${nameOf(cell)}`;
  const check = (): void =>
    requireInfo(workshop.runner.outputOf(workshop.qdb("info", "--output=json", file)).toString(), true, bitmaps);
  return [
    { data, operation: "info", qdb: { command: workshop.qdb("info", file), check }, opponents },
    { data, operation: "check", qdb: { command: workshop.qdb("check", file) }, opponents },
  ];
}

function measureCell(lab: Lab, workshop: Workshop, cell: Cell, isWhole: boolean): Comparison[] {
  const missing = missingProgram("qemu-img");
  const both = { a: workshop.bitmap(cell, "a"), b: workshop.bitmap(cell, "b") };
  const matches = [
    ...changesOf(cell, both, isWhole).map((change) => matchOf(workshop, cell, missing, change)),
    ...(isWhole ? looking(workshop, cell, missing) : []),
  ];
  return matches.map((match) => {
    lab.say(`${match.data}: ${match.operation}`);
    return race(workshop, match, lab.programEffort());
  });
}

/** Commands that change a file or look at it, with two full bitmaps. */
export const COMMANDS: Row = {
  id: "commands",
  title: "Commands against qemu-img and the floor",
  async measure(lab) {
    const workshop = lab.workshop();
    if ("missing" in workshop) return workshop;
    const cell = (density: number): Cell => ({ mebibytes: lab.size(32), density, pattern: "random" });
    return {
      comparisons: [...measureCell(lab, workshop, cell(0.01), true), ...measureCell(lab, workshop, cell(0.1), false)],
    };
  },
};
