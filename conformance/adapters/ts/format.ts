// SPDX-License-Identifier: CC0-1.0 OR MIT
// Adapter for @qdb/format alone: files in memory, the library's own checksums and ports.
import { createHash } from "node:crypto";
import { closeSync, openSync, readFileSync, readSync, statSync, writeFileSync } from "node:fs";
import { bytesSource, type Digests, isQdbError, QdbError, type SyncByteSource } from "@qdb/format";
import { type FileImage, imageBytes, QdbEditor, shortRead } from "@qdb/format/container";
import manifest from "@qdb/format/package.json" with { type: "json" };
import { MemoryStore } from "./memory-store.ts";
import { type Body, speak } from "./protocol.ts";
import {
  canonicalOfFile,
  canonicalOfJson,
  checkFile,
  findingJson,
  isDocument,
  newFile,
  randomId,
  readFile,
} from "./reading.ts";
import { applyScript, parseScript } from "./script.ts";

/** Longer files are read from disk when needed: those of the corpus are mostly holes. */
const MOST_IN_MEMORY = 64 * 1024 * 1024;

/** The library has its own CRC-32; SHA-256 always comes from the host. */
const digests: Digests = {
  sha256() {
    const hash = createHash("sha256");
    return { update: (bytes) => void hash.update(bytes), hex: () => hash.digest("hex") };
  },
};

/** Turns errors of the host into errors of the specification. @throws {QdbError} IO, NOT_FOUND */
function host<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (isQdbError(error) || !(error instanceof Error && "code" in error)) throw error;
    throw new QdbError(error.code === "ENOENT" ? "NOT_FOUND" : "IO", error.message, {}, { cause: error });
  }
}

function bytesOf(path: string): Uint8Array {
  return host(() => readFileSync(path));
}

/** A file as a byte source, in memory or on disk. */
async function withSource<T>(path: string, work: (source: SyncByteSource) => Promise<T>): Promise<T> {
  const size = host(() => statSync(path).size);
  if (size <= MOST_IN_MEMORY) return work(bytesSource(bytesOf(path)));
  const file = host(() => openSync(path, "r"));
  try {
    return await work({ size, readSync: (offset, length) => host(() => readAt(file, offset, length, size)) });
  } finally {
    closeSync(file);
  }
}

function readAt(file: number, offset: number, length: number, size: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const count = readSync(file, bytes, done, length - done, offset + done);
    if (count === 0) throw shortRead(offset, length, size);
    done += count;
  }
  return bytes;
}

function write(out: string, bytes: Uint8Array): Body {
  host(() => writeFileSync(out, bytes, { flag: "wx" }));
  return {};
}

async function canon(path = "", out = ""): Promise<Body> {
  const bytes = bytesOf(path);
  const image: FileImage = isDocument(bytes)
    ? canonicalOfJson(bytes, digests)
    : await canonicalOfFile(bytesSource(bytes), digests);
  return write(out, imageBytes(image));
}

async function repair(path = "", out = ""): Promise<Body> {
  const store = new MemoryStore(bytesOf(path));
  let editor: QdbEditor;
  try {
    editor = await QdbEditor.open(store, { digests, randomId, repair: true });
  } catch (error) {
    if (!isQdbError(error)) throw error;
    // Such a file cannot be repaired. It is copied unchanged, and its findings are reported.
    const body = await checkFile(store, digests);
    write(out, store.bytes);
    return body;
  }
  const { after } = await editor.repair();
  return { ...write(out, store.bytes), findings: after.map(findingJson) };
}

async function apply(path = "", script = "", out = ""): Promise<Body> {
  const lines = parseScript(new TextDecoder().decode(bytesOf(script)));
  if (path === "-") return write(out, imageBytes(await newFile(lines, digests, (bytes) => new MemoryStore(bytes))));
  const store = new MemoryStore(bytesOf(path));
  const editor = await QdbEditor.open(store, { digests, randomId });
  await applyScript(editor, lines);
  await editor.commit();
  return write(out, store.bytes);
}

void speak({
  name: "@qdb/format",
  version: manifest.version,
  features: ["io"],
  verbs: {
    read: (path = "", what?: string, name?: string) =>
      withSource(path, (source) => readFile(source, digests, what, name)),
    check: (path = "") => withSource(path, (source) => checkFile(source, digests)),
    canon,
    repair,
    apply,
  },
});
