// Writes the files made from the field tables: spec/layout.json, spec/qdb.ksy, the dictionary for fuzzers and the boundary
// matrix: `node conformance/tools/layout.ts`. `--check` writes nothing and prints the files that differ.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { dictionary } from "./dictionary.ts";
import { ksyText } from "./ksy.ts";
import { layoutText } from "./layout-json.ts";
import { matrixText } from "./matrix.ts";
import { REPOSITORY } from "./places.ts";

/** The files that this tool writes: path in the repository, and text. */
export function generated(): ReadonlyMap<string, string> {
  return new Map([
    ["spec/layout.json", layoutText()],
    ["spec/qdb.ksy", ksyText()],
    ["conformance/fuzz/qdb.dict", dictionary()],
    ["conformance/src/generated/matrix.json", matrixText()],
  ]);
}

/** Paths of files that differ from what the tool writes. */
export function outdated(): string[] {
  const isOld = ([path, text]: readonly [string, string]): boolean =>
    !existsSync(REPOSITORY + path) || readFileSync(REPOSITORY + path, "utf8") !== text;
  return [...generated()].filter(isOld).map(([path]) => path);
}

function main(isCheck: boolean): number {
  const old = outdated();
  if (isCheck) {
    for (const path of old) process.stdout.write(`${path} is not what node conformance/tools/layout.ts writes\n`);
    return old.length > 0 ? 1 : 0;
  }
  for (const [path, text] of generated()) {
    mkdirSync(dirname(REPOSITORY + path), { recursive: true });
    writeFileSync(REPOSITORY + path, text);
  }
  return 0;
}

if (process.argv[1]?.endsWith("layout.ts")) process.exitCode = main(process.argv.includes("--check"));
