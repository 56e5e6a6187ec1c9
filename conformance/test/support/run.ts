// Programs that the tests of the suite run.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll } from "vitest";

/** The Node that users have. */
export const NODE: string = process.env.QDB_NODE ?? process.execPath;

const manifest = createRequire(import.meta.url).resolve("@qdb/conformance/package.json");
const { bin } = JSON.parse(readFileSync(manifest, "utf8")) as { bin: Record<string, string> };

/** The built runner. */
export const RUNNER: string = join(dirname(manifest), bin["qdb-conformance"] ?? "");

/** A temporary folder that is removed after the tests of the file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "qdb-corpus-test-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
