import { createHash } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import { type Cell, nameOf } from "../data/cells.ts";
import type { Lab, Missing } from "../measure/lab.ts";
import { floorOfLooking } from "../programs/floor.ts";
import { NbdServer } from "../programs/nbd.ts";
import { Disagreement, type Match, type Opponent, race } from "../programs/race.ts";
import { type Command, missingProgram } from "../programs/runner.ts";
import type { Workshop } from "../programs/workshop.ts";
import type { Row } from "./row.ts";

const FORMATS = [
  { operation: "map --output=json", qdb: "--output=json", nbdinfo: ["--json"], goal: 0.1, memoryGoal: 0.1 },
  { operation: "map, text", qdb: "--output=human", nbdinfo: [], goal: 0.15, memoryGoal: 0.2 },
] as const;

/** Returns the SHA-256 of what a command prints, which may be more than fits into memory. */
function digestOf(workshop: Workshop, command: Command): string {
  const path = workshop.path("printed");
  workshop.runner.succeed(command, path);
  const hash = createHash("sha256");
  const buffer = Buffer.alloc(2 ** 20);
  const fd = openSync(path, "r");
  for (let count = readSync(fd, buffer); count > 0; count = readSync(fd, buffer))
    hash.update(buffer.subarray(0, count));
  closeSync(fd);
  workshop.remove(path);
  return hash.digest("hex");
}

function mapMatches(workshop: Workshop, cell: Cell, server: NbdServer | Missing): Match[] {
  const file = workshop.qdbFile(cell);
  return FORMATS.map(({ operation, qdb, nbdinfo, goal, memoryGoal }): Match => {
    const own = workshop.qdb("map", qdb, file, "a");
    const opponent = (): Opponent => {
      const label = "nbdinfo --map";
      if ("missing" in server) return { label, missing: server.missing };
      const command: Command = ["nbdinfo", "--map=qemu:dirty-bitmap:a", ...nbdinfo, server.uri];
      const check = (): void => {
        if (digestOf(workshop, own) !== digestOf(workshop, command))
          throw new Disagreement(`${operation} and nbdinfo print other lines`);
      };
      return { label, command, check, goal, memoryGoal };
    };
    return { data: nameOf(cell), operation, qdb: { command: own }, opponents: [opponent()] };
  });
}

async function serve(workshop: Workshop, cell: Cell): Promise<NbdServer | Missing> {
  const missing = missingProgram("qemu-img", "qemu-nbd", "nbdinfo");
  return missing === undefined ? NbdServer.start(workshop.qcow2File(cell), "a") : { missing };
}

async function measureMaps(lab: Lab, workshop: Workshop): Promise<ReturnType<typeof race>[]> {
  const cell: Cell = { mebibytes: lab.size(32), density: 0.01, pattern: "random" };
  const server = await serve(workshop, cell);
  try {
    return mapMatches(workshop, cell, server).map((match) => {
      lab.say(`${match.data}: ${match.operation}`);
      return race(workshop, match, lab.programEffort(20));
    });
  } finally {
    if (server instanceof NbdServer) server.close();
  }
}

/** The map of 2^30 bits, beside `info` of it, which reads as much. */
function measureShow(lab: Lab, workshop: Workshop): ReturnType<typeof race> {
  const cell: Cell = { mebibytes: lab.size(128), density: 0.5, pattern: "random" };
  const file = workshop.qdbFile(cell, ["a"]);
  const match: Match = {
    data: nameOf(cell),
    operation: "show",
    qdb: { command: workshop.qdb("show", file, "a") },
    opponents: [
      { label: "qdb info", command: workshop.qdb("info", file), goal: 3, isOwn: true },
      floorOfLooking(workshop, file, cell, 1, 4000),
    ],
  };
  lab.say(`${match.data}: show`);
  const comparison = race(workshop, match, { ...lab.programEffort(20), least: 2 });
  workshop.remove(file);
  lab.data.drop(cell);
  return comparison;
}

/** Commands that print bits. */
export const LISTING: Row = {
  id: "listing",
  title: "Maps against nbdinfo, and pictures",
  async measure(lab) {
    const workshop = lab.workshop();
    if ("missing" in workshop) return workshop;
    return { comparisons: [...(await measureMaps(lab, workshop)), measureShow(lab, workshop)] };
  },
};
