import { closeSync, openSync, writeSync } from "node:fs";
import { type Cell, nameOf } from "../data/cells.ts";
import { requireSame } from "../programs/bitmaps.ts";
import { floorOfImport } from "../programs/floor.ts";
import { type Match, race } from "../programs/race.ts";
import { missingProgram } from "../programs/runner.ts";
import { sync, type Workshop } from "../programs/workshop.ts";
import type { Row } from "./row.ts";

/** What QEMU needs to load the bitmaps, and the system to store as many bytes. */
const LOAD_AND_COPY = 'qemu-img info -f qcow2 "$1" && cp "$2" "$3" && sync "$3"';

function matchOf(workshop: Workshop, cell: Cell): Match {
  const image = workshop.qcow2File(cell);
  const [imported, plain, copy] = ["imported.qdb", "plain", "plain.copy"].map((name) => workshop.path(name)) as [
    string,
    string,
    string,
  ];
  const bitmaps = workshop.bitmaps(cell);
  const fd = openSync(plain, "w");
  for (const { bits } of bitmaps.values()) writeSync(fd, bits);
  closeSync(fd);
  sync(plain);
  return {
    data: `2 × ${nameOf(cell)}`,
    operation: "import of a qcow2 image",
    qdb: {
      command: workshop.qdb("import", image, imported),
      prepare: () => workshop.remove(imported),
      check: () => requireSame(workshop.bitmapsOfQdb(imported), bitmaps),
    },
    opponents: [
      {
        label: "qemu-img info, cp, sync",
        command: ["sh", "-c", LOAD_AND_COPY, "sh", image, plain, copy],
        prepare: () => workshop.remove(copy),
        goal: 0.8,
      },
      floorOfImport(workshop, image, imported, cell, () => workshop.remove(imported)),
    ],
  };
}

/** Bitmaps of QEMU become a QDB file. */
export const IMPORT: Row = {
  id: "import",
  title: "Import of QEMU's bitmaps",
  async measure(lab) {
    const workshop = lab.workshop();
    if ("missing" in workshop) return workshop;
    const missing = missingProgram("qemu-img", "cp", "sync");
    // Without QEMU there is no image to import.
    if (missing !== undefined) return { missing };
    const cell: Cell = { mebibytes: lab.size(32), density: 0.01, pattern: "random" };
    return { comparisons: [race(workshop, matchOf(workshop, cell), lab.programEffort())] };
  },
};
