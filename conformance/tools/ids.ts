// The ids that were ever published: conformance/ids.txt. None is used for another vector.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { ROOT } from "./sources.ts";

/** Adds new ids to the list. */
export function publishIds(ids: Iterable<string>): void {
  const path = `${ROOT}ids.txt`;
  const known = existsSync(path) ? readFileSync(path, "utf8").split("\n").filter(Boolean) : [];
  writeFileSync(path, `${[...new Set([...known, ...ids])].sort().join("\n")}\n`);
}
