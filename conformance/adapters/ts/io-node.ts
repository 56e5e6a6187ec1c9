// SPDX-License-Identifier: CC0-1.0 OR MIT
// Adapter for @qdb/io-node: real files, real commits.
import { constants, copyFileSync, readFileSync, rmSync } from "node:fs";
import { isQdbError } from "@qdb/format";
import type { QdbEditor } from "@qdb/format/container";
import { nodeDigests, openFileSource } from "@qdb/io-node";
import { createFile, openQdbEditor } from "@qdb/io-node/container";
import manifest from "@qdb/io-node/package.json" with { type: "json" };
import { MemoryStore } from "./memory-store.ts";
import { type Body, speak } from "./protocol.ts";
import { canonicalOfFile, canonicalOfJson, checkFile, findingJson, isDocument, newFile, readFile } from "./reading.ts";
import { applyScript, parseScript } from "./script.ts";

async function withSource<T>(
  path: string,
  work: (source: ReturnType<typeof openFileSource>) => Promise<T>,
): Promise<T> {
  const source = openFileSource(path);
  try {
    return await work(source);
  } finally {
    source.close();
  }
}

async function canon(path = "", out = ""): Promise<Body> {
  const image = await withSource(path, async (source) => {
    const head = source.readSync(0, Math.min(512, source.size));
    return isDocument(head) ? canonicalOfJson(readFileSync(path), nodeDigests) : canonicalOfFile(source, nodeDigests);
  });
  await createFile(out, image);
  return {};
}

/** Changes a copy of the file, and removes it if the change is refused. */
async function onCopy(path: string, out: string, work: () => Promise<Body>): Promise<Body> {
  copyFileSync(path, out, constants.COPYFILE_FICLONE);
  try {
    return await work();
  } catch (error) {
    rmSync(out, { force: true });
    throw error;
  }
}

async function edited(path: string, repair: boolean, work: (editor: QdbEditor) => Promise<Body>): Promise<Body> {
  const editor = await openQdbEditor(path, { repair });
  try {
    return await work(editor);
  } finally {
    await editor.close();
  }
}

async function repair(path = "", out = ""): Promise<Body> {
  return onCopy(path, out, async () => {
    try {
      return await edited(out, true, async (editor) => {
        const { after } = await editor.repair();
        return { findings: after.map(findingJson) };
      });
    } catch (error) {
      if (!isQdbError(error) || error.code === "POISONED") throw error;
      // Such a file cannot be repaired. It is copied unchanged, and its findings are reported.
      return withSource(out, (source) => checkFile(source, nodeDigests));
    }
  });
}

async function apply(path = "", script = "", out = ""): Promise<Body> {
  const lines = parseScript(readFileSync(script, "utf8"));
  if (path === "-") {
    await createFile(out, await newFile(lines, nodeDigests, (bytes) => new MemoryStore(bytes)));
    return {};
  }
  return onCopy(path, out, () =>
    edited(out, false, async (editor) => {
      await applyScript(editor, lines);
      await editor.commit();
      return {};
    }),
  );
}

void speak({
  name: "@qdb/io-node",
  version: manifest.version,
  features: ["io"],
  verbs: {
    read: (path = "", what?: string, name?: string) =>
      withSource(path, (source) => readFile(source, nodeDigests, what, name)),
    check: (path = "") => withSource(path, (source) => checkFile(source, nodeDigests)),
    canon,
    repair,
    apply,
  },
});
