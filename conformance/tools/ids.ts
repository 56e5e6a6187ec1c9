// conformance/ids.txt: every id that was ever published. An id is never used for another vector.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { SUITE } from "./places.ts";

/** Adds new ids to the list. */
export function publishIds(ids: Iterable<string>): void {
  const path = `${SUITE}ids.txt`;
  const known = existsSync(path) ? readFileSync(path, "utf8").split("\n").filter(Boolean) : [];
  writeFileSync(path, `${[...new Set([...known, ...ids])].sort().join("\n")}\n`);
}
