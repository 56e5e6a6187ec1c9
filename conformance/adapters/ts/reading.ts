// SPDX-License-Identifier: CC0-1.0 OR MIT
// What both adapters say of a file, with @qdb/format.
import { randomBytes } from "node:crypto";
import {
  type AnySource,
  Bitmap,
  checkQdb,
  type Digests,
  dumpQdb,
  type Finding,
  QdbError,
  QdbFile,
  readAll,
  type SyncByteSource,
} from "@qdb/format";
import {
  dumpPlan,
  type FileContents,
  type FileImage,
  imageBytes,
  JsonLoader,
  QdbEditor,
  type QdbIndex,
  run,
  type SyncStore,
  stream,
  wholeContents,
  writeImage,
} from "@qdb/format/container";
import { CountingSource } from "./counting-source.ts";
import type { Body } from "./protocol.ts";
import { applyScript, numberOf } from "./script.ts";

/** 16 random bytes. */
export const randomId = (): Uint8Array => randomBytes(16);

/** `read IN`, `read IN list` and `read IN one NAME`. */
export async function readFile(source: SyncByteSource, digests: Digests, what?: string, name = ""): Promise<Body> {
  if (what === undefined) return { model: await modelOf(dumpQdb(await QdbFile.open(source, { digests }))) };
  const counting = new CountingSource(source);
  const file = await QdbFile.open(counting, { digests });
  const answer =
    what === "list"
      ? { names: file.bitmaps.map(({ entry }) => entry.label) }
      : { model: await modelOf(stream(dumpPlan(indexOfOne(file, name), digests, {}), counting)) };
  return { ...answer, io: { bytes: counting.bytes, rounds: counting.rounds } };
}

/** The index with one bitmap alone in its table. @throws {QdbError} NOT_FOUND, DUPLICATE_NAME */
function indexOfOne(file: QdbFile, name: string): QdbIndex {
  const { index } = file;
  return { ...index, table: { ...index.table, entries: [file.bitmap(name).entry] } };
}

async function modelOf(pieces: AsyncIterable<string>): Promise<unknown> {
  let text = "";
  for await (const piece of pieces) text += piece;
  return JSON.parse(text);
}

/** `check IN`. @throws {QdbError} why the file cannot be checked */
export async function checkFile(source: AnySource, digests: Digests): Promise<Body> {
  const findings: unknown[] = [];
  const found = checkQdb(source, { digests });
  for (;;) {
    const step = await found.next();
    if (step.done === true) return { findings, complete: step.value.complete };
    findings.push(findingJson(step.value));
  }
}

/** A finding as the protocol has it. */
export function findingJson({ code, severity, repairable, where }: Finding): Body {
  const { structure, field, offset, bitmap } = where;
  return { code, severity, repairable, where: { structure, field, offset: offset?.toString(), bitmap } };
}

/** `canon IN`: the canonical file of a QDB file. @throws {QdbError} the first problem of the file or of a bitmap */
export async function canonicalOfFile(source: AnySource, digests: Digests): Promise<FileImage> {
  // What is written says the same as the file, and is no backup.
  const file = await QdbFile.open(source, { digests, acceptMirror: true });
  const { header, form, extensions, allOnes } = file.index;
  const bitmaps = (await readAll(file)).map(({ entry, bitmap, problem }) => {
    const extraData = entry.parseRecords();
    if (problem !== undefined || bitmap === undefined || extraData === undefined)
      throw QdbError.from(problem ?? { code: "BAD_FIELD", message: "there are no bits", where: {} });
    return { nameBytes: entry.nameBytes, flags: entry.decodeFields().flags, extraData, bits: bitmap };
  });
  const { clusterBits, fileId, writerId } = header;
  return writeImage({ form, clusterBits, fileId, writerId, allOnes, extensions, bitmaps }, digests);
}

/** `canon IN`: the file of a document. Its writer_id is kept, which `load` derives. @throws {QdbError} USAGE */
export function canonicalOfJson(bytes: Uint8Array, digests: Digests): FileImage {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new QdbError("USAGE", "the document is no UTF-8", {}, { cause });
  }
  const [, writer = ""] = /"writer_id"\s*:\s*"([0-9a-fA-F-]{36})"/.exec(text) ?? [];
  const writerId = writer === "" ? randomId() : Buffer.from(writer.replaceAll("-", ""), "hex");
  const loader = new JsonLoader({ fileId: randomId(), writerId, digests, newBits: Bitmap.clean });
  loader.push(text);
  return writeImage(loader.finish(), digests);
}

/** Whether the input of canon is a document: it begins with a brace. */
export function isDocument(bytes: Uint8Array): boolean {
  const first = bytes.find((byte) => ![0x09, 0x0a, 0x0d, 0x20].includes(byte));
  return first === 0x7b;
}

/** `apply - OPS`: a new file. @throws {QdbError} USAGE without `create`; what refuses an operation */
export async function newFile(
  [first = [], ...lines]: readonly (readonly string[])[],
  digests: Digests,
  storeOf: (bytes: Uint8Array) => SyncStore,
): Promise<FileImage> {
  const [verb, clusterBits, ...words] = first;
  if (verb !== "create" || words.some((word) => word !== "draft" && word !== "all-ones"))
    throw new QdbError(
      "USAGE",
      "a script that begins with nothing begins with: create CLUSTER_BITS [draft] [all-ones]",
    );
  const form = words.includes("draft") ? "draft" : "full";
  const ids = { fileId: randomId(), writerId: randomId() };
  const allOnes = form === "full" && words.includes("all-ones");
  const number = Number(numberOf(clusterBits));
  const empty: FileContents = { form, clusterBits: number, ...ids, allOnes, extensions: [], bitmaps: [] };
  const store = storeOf(imageBytes(writeImage(empty, digests)));
  const editor = await QdbEditor.open(store, { digests, randomId });
  await applyScript(editor, lines);
  const changes = await editor.read(editor.edits.findChanges());
  return writeImage(await run(wholeContents(editor.state, changes, { form, ...ids }), store), digests);
}
