// The reference in Python and @qdb/format were written by different hands from the same text: what they read must be equal.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { bytesSource, dumpQdb, isQdbError, QdbFile } from "@qdb/format";
import { imageBytes, writeImage } from "@qdb/format/container";
import { afterAll, expect, test } from "vitest";
import { fileContents } from "./support/contents.ts";
import { digests } from "./support/json.ts";
import { fc } from "./support/seed.ts";

const reference = fileURLToPath(new URL("../../../conformance/reference/qdb_ref.py", import.meta.url));
const directory = mkdtempSync(join(tmpdir(), "qdb-reference-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** What the reference says of a file: its JSON form, or the code of its refusal. */
function read(bytes: Uint8Array): unknown {
  const path = join(directory, "file.qdb");
  writeFileSync(path, bytes);
  const { stdout, stderr } = spawnSync("python3", [reference, "read", path], { encoding: "utf8", maxBuffer: 2 ** 28 });
  expect(stderr, "python3 runs the reference").toBe("");
  return comparable(JSON.parse(stdout));
}

/** Messages are each implementation's own; codes are the format's. */
function comparable(form: { error?: { code: string }; bitmaps?: { error?: { code: string } }[] }): unknown {
  if (form.error !== undefined) return form.error.code;
  const bitmaps = form.bitmaps?.map((bitmap) => ({ ...bitmap, error: bitmap.error?.code }));
  return JSON.parse(JSON.stringify({ ...form, bitmaps }));
}

/** The same of @qdb/format. */
async function dump(bytes: Uint8Array): Promise<unknown> {
  let text = "";
  try {
    const file = await QdbFile.open(bytesSource(bytes), { digests });
    for await (const piece of dumpQdb(file)) text += piece;
  } catch (error) {
    if (isQdbError(error)) return error.code;
    throw error;
  }
  return comparable(JSON.parse(text));
}

const files = fc.sample(fileContents, { numRuns: 12, seed: 5 }).map((made) => imageBytes(writeImage(made, digests)));

test.each(files.map((bytes, at) => [at, bytes] as const))("file %i, whole and damaged", async (at, bytes) => {
  expect(await dump(bytes)).toEqual(read(bytes));
  const damaged = bytes.slice();
  const place = (at * 7919) % damaged.length;
  damaged[place] = (damaged[place] ?? 0) ^ (1 << (at % 8));
  expect(await dump(damaged)).toEqual(read(damaged));
  const cut = bytes.subarray(0, (at * 104_729) % bytes.length);
  expect(await dump(cut)).toEqual(read(cut));
});
