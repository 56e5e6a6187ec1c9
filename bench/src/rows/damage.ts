import { closeSync, openSync, readFileSync, readSync, writeSync } from "node:fs";
import { bitsOf, type Cell } from "../data/cells.ts";
import { CLUSTER } from "../programs/floor.ts";
import type { Command } from "../programs/runner.ts";
import { GRANULARITY, type Workshop } from "../programs/workshop.ts";
import type { DamageFound } from "../report/results.ts";
import type { Row } from "./row.ts";

const CODE = "BAD_CHECKSUM";

/** A command, and the exit code with which it tells of damage. */
interface Reader {
  readonly operation: string;
  readonly command: Command;
  readonly exit: number;
}

function readersOf(workshop: Workshop, cell: Cell, file: string): Reader[] {
  const size = `--size=${bitsOf(cell) * GRANULARITY}`;
  const coarser = ["--add", "-g", String(2 * GRANULARITY), size, "--merge=b"];
  return [
    { operation: "merge, in the source", command: workshop.qdb("bitmap", "--merge=b", file, "a"), exit: 1 },
    { operation: "merge, in the target", command: workshop.qdb("bitmap", "--merge=a", file, "b"), exit: 1 },
    { operation: "to granules of 128 KiB", command: workshop.qdb("bitmap", ...coarser, file, "c"), exit: 1 },
    // It lists what cannot be used.
    { operation: "info", command: workshop.qdb("info", file), exit: 0 },
    { operation: "check", command: workshop.qdb("check", file), exit: 2 },
    { operation: "map --output=json", command: workshop.qdb("map", "--output=json", file, "b"), exit: 1 },
    { operation: "map, text", command: workshop.qdb("map", file, "b"), exit: 1 },
    { operation: "show", command: workshop.qdb("show", file, "b"), exit: 1 },
    { operation: "export", command: workshop.qdb("export", "--to=raw-bits", "--bitmap=b", file), exit: 1 },
  ];
}

/** Changes one bit of the cluster that holds these bits. */
function damage(file: string, cluster: Buffer, byte: number): void {
  const offset = readFileSync(file).indexOf(cluster);
  if (offset < 0) throw new Error("the file does not hold a cluster of its bitmap");
  const fd = openSync(file, "r+");
  const one = Buffer.alloc(1);
  readSync(fd, one, 0, 1, offset + byte);
  writeSync(fd, Uint8Array.of((one[0] as number) ^ 16), 0, 1, offset + byte);
  closeSync(fd);
}

/**
 * Returns the state of a file as text: both header areas, and what `check` says of all that they reach, which compares all checksums. Free
 * space may change: a commit that is given up has written there.
 */
export function stateOf(workshop: Workshop, file: string): string {
  const headers = readFileSync(file)
    .subarray(0, 2 * CLUSTER)
    .toString("latin1");
  return headers + workshop.runner.capture(workshop.qdb("check", file)).output.toString();
}

/**
 * Runs a command on a damaged file, the state of which is given.
 * @throws {Error} if it does not find the damage, or prints bits before that, or changes the state
 */
export function requireFound(
  workshop: Workshop,
  { operation, command, exit }: Reader,
  file: string,
  state: string,
): DamageFound {
  const ran = workshop.runner.capture(command);
  const isTold = ran.stderr.includes(CODE) || ran.output.includes(CODE);
  if (ran.exit !== exit || !isTold)
    throw new Error(`${operation} did not find a damaged cluster: exit ${ran.exit} ${ran.stderr}`);
  // With --output=json, the error is a document.
  const isError = ran.output.length === 0 || ran.output.toString("latin1", 0, 20).startsWith('{\n  "error": ');
  if (exit === 1 && !isError) throw new Error(`${operation} printed bits of a damaged bitmap`);
  if (stateOf(workshop, file) !== state) throw new Error(`${operation} changed a damaged file`);
  return { operation, exit, code: CODE };
}

/** Proof that what is fast compares the checksums too. */
export const DAMAGE: Row = {
  id: "damage",
  title: "One bit of a cluster has changed",
  async measure(lab) {
    const workshop = lab.workshop();
    if ("missing" in workshop) return workshop;
    const cell: Cell = { mebibytes: lab.size(32), density: 0.01, pattern: "random" };
    const { bits } = workshop.bitmap(cell, "b");
    const file = workshop.path("damaged.qdb");
    const found = new Map<string, DamageFound>();
    // In the last byte of the last cluster of the bitmap, in the first cluster, and in one amid the others.
    const clusters = bits.length / CLUSTER;
    const places = [
      [clusters - 1, CLUSTER - 1],
      [0, 0],
      [Math.floor(clusters / 3), 1000],
    ] as const;
    for (const [cluster, byte] of places.slice(0, lab.quick ? 1 : 3)) {
      lab.say(`Damage in cluster ${cluster}`);
      workshop.fresh(workshop.qdbFile(cell), file);
      damage(file, bits.subarray(cluster * CLUSTER, (cluster + 1) * CLUSTER), byte);
      const state = stateOf(workshop, file);
      for (const reader of readersOf(workshop, cell, file))
        found.set(reader.operation, requireFound(workshop, reader, file, state));
    }
    workshop.remove(file);
    return { damage: [...found.values()] };
  },
};
