import { writeFileSync } from "node:fs";
import { type Match, race } from "../programs/race.ts";
import type { Row } from "./row.ts";

/** What every command pays. */
export const START: Row = {
  id: "start",
  title: "Start against an empty script",
  async measure(lab) {
    const workshop = lab.workshop();
    if ("missing" in workshop) return workshop;
    const script = workshop.path("empty.cjs");
    writeFileSync(script, "");
    const file = workshop.path("empty.qdb");
    workshop.runner.succeed(workshop.qdb("create", file));
    const empty = (goal: number): Match["opponents"] => [
      { label: "empty script", command: workshop.node(script), goal, isOwn: true },
    ];
    const matches: readonly Match[] = [
      { data: "no file", operation: "--version", qdb: { command: workshop.qdb("--version") }, opponents: empty(1.1) },
      { data: "no bitmap", operation: "info", qdb: { command: workshop.qdb("info", file) }, opponents: empty(1.6) },
    ];
    const effort = { ...lab.programEffort(), ...(lab.quick ? {} : { most: 61 }) };
    return { comparisons: matches.map((match) => race(workshop, match, effort)) };
  },
};
