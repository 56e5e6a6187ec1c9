// Writes the corpus to its folder, or compares the folder with what it should be.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { CORPUS_FOLDERS } from "@qdb/conformance/authoring";
import type { Files } from "./corpus-files.ts";

/** The files of the corpus that exist, as paths in it. */
function present(root: string): string[] {
  const found = existsSync(join(root, "manifest.json")) ? ["manifest.json"] : [];
  for (const folder of CORPUS_FOLDERS) {
    if (existsSync(join(root, folder)))
      found.push(...readdirSync(join(root, folder)).map((name) => `${folder}/${name}`));
  }
  return found;
}

/** Paths of files that are missing, differ, or do not belong to the corpus. */
export function differingFiles(root: string, files: Files): string[] {
  const there = new Set(present(root));
  const differing = [...files].filter(
    ([path, bytes]) => !there.has(path) || !readFileSync(join(root, path)).equals(bytes),
  );
  return [...differing.map(([path]) => path), ...[...there].filter((path) => !files.has(path))].sort();
}

/** Writes files that differ and removes those that do not belong to the corpus. */
export function writeCorpus(root: string, files: Files): void {
  for (const path of differingFiles(root, files)) {
    const bytes = files.get(path);
    if (bytes === undefined) rmSync(join(root, path));
    else {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), bytes);
    }
  }
}
