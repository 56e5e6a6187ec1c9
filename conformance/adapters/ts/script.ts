// SPDX-License-Identifier: CC0-1.0 OR MIT
// Scripts of operations (../../reference/README.md), done with the editor of @qdb/format.
import { Bitmap, QdbError, quote } from "@qdb/format";
import { type BitmapSession, decodeUtf8, FLAG, type QdbEditor, toHex } from "@qdb/format/container";

/** The words of each line. */
export function parseScript(text: string): string[][] {
  const lines = text.split(/\r?\n/).map((line) =>
    line
      .replace(/#.*/, "")
      .split(/[ \t]+/)
      .filter(Boolean),
  );
  return lines.filter((line) => line.length > 0);
}

type Operation = (editor: QdbEditor, name: string, ...words: readonly string[]) => void | Promise<void>;

/** Operations by their word, with the least and the most words that follow it. */
const OPERATIONS: Readonly<Record<string, readonly [least: number, most: number, run: Operation]>> = {
  add: [3, 4, add],
  remove: [1, 1, (editor, name) => editor.edits.remove(name)],
  clear: [1, 1, (editor, name) => change(editor, name, (bits) => Bitmap.clean(bits))],
  invert: [
    1,
    1,
    (editor, name) =>
      change(
        editor,
        name,
        inPlace((bits) => bits.invert()),
      ),
  ],
  enable: [1, 1, (editor, name) => editor.edits.setEnabled(name, true)],
  disable: [1, 1, (editor, name) => editor.edits.setEnabled(name, false)],
  mark: [3, 3, (editor, name, ...range) => editor.read(editor.edits.mark(name, rangeOf(range)))],
  unmark: [3, 3, unmark],
  "mark-all": [1, 1, (editor, name) => editor.edits.markAll(name)],
  merge: [2, 2, merge],
  intersect: [2, 2, combine((bits, source) => bits.intersect(source))],
  subtract: [2, 2, combine((bits, source) => bits.subtract(source))],
  xor: [2, 2, combine((bits, source) => bits.xor(source))],
  rename: [2, 2, (editor, name, to = "") => editor.edits.rename(name, newName(to))],
  resize: [2, 3, resize],
  regranulate: [
    2,
    2,
    (editor, name, granularity) => editor.read(editor.edits.regranulate(name, Number(numberOf(granularity)))),
  ],
  freeze: [2, 2, (editor, name, successor = "") => editor.edits.freeze(name, newName(successor))],
  release: [2, 2, release],
  "begin-session": [3, 3, (editor, name, ...words) => editor.edits.beginSession(name, sessionOf(words))],
  "end-session": [4, 4, endSession],
};

/** Does every operation of a script, without the commit. @throws {QdbError} what refuses the first one that is refused */
export async function applyScript(editor: QdbEditor, lines: readonly (readonly string[])[]): Promise<void> {
  for (const [verb = "", ...words] of lines) {
    const operation = Object.hasOwn(OPERATIONS, verb) ? OPERATIONS[verb] : undefined;
    if (operation === undefined) throw new QdbError("USAGE", `there is no operation ${quote(verb)}`);
    const [least, most, run] = operation;
    if (words.length < least || words.length > most)
      throw new QdbError("USAGE", `${verb} takes ${least} to ${most} words, ${words.length} are given`);
    const [name = "", ...rest] = words;
    await run(editor, verb === "add" ? newName(name) : nameOf(name), ...rest);
  }
}

function add(editor: QdbEditor, name: string, size?: string, granularity?: string, flag?: string): void {
  if (flag !== undefined && flag !== "disabled") throw new QdbError("USAGE", `${quote(flag)} is no flag of add`);
  const bits = Bitmap.clean({ size: numberOf(size), granularity: Number(numberOf(granularity)) });
  editor.edits.add({ name, bits, flags: flag === undefined ? FLAG.enabled : 0, extraData: [] });
}

async function resize(editor: QdbEditor, name: string, size?: string, area?: string): Promise<void> {
  if (area !== undefined && area !== "clean") throw new QdbError("USAGE", `${quote(area)} is no area of resize`);
  await editor.read(editor.edits.resize(name, numberOf(size), area ?? "dirty"));
}

async function release(editor: QdbEditor, name: string, outcome?: string): Promise<void> {
  if (outcome !== "done" && outcome !== "failed") throw new QdbError("USAGE", `${quote(outcome ?? "")} is no outcome`);
  await editor.read(editor.edits.release(name, outcome));
}

async function endSession(editor: QdbEditor, name: string, ...words: readonly string[]): Promise<void> {
  const source = await editor.source(nameOf(words[2] ?? ""));
  await editor.read(editor.edits.endSession(name, sessionOf(words), source));
}

function sessionOf([id = "", file]: readonly string[]): BitmapSession {
  return { id, file: numberOf(file) };
}

async function unmark(editor: QdbEditor, name: string, ...words: readonly string[]): Promise<void> {
  const range = rangeOf(words);
  await change(
    editor,
    name,
    inPlace((bits) => bits.unmark(range)),
  );
}

async function merge(editor: QdbEditor, name: string, other = ""): Promise<void> {
  await editor.read(editor.edits.merge(name, await editor.source(nameOf(other))));
}

function combine(by: (bits: Bitmap, source: Bitmap) => void): Operation {
  return async (editor, name, other = "") => {
    const source = await editor.bits(nameOf(other));
    await change(
      editor,
      name,
      inPlace((bits) => by(bits, source)),
    );
  };
}

/** Changes bits that may become clean. The reference allows it on a frozen bitmap if no dirty bit becomes clean, and so does a callback. */
async function change(editor: QdbEditor, name: string, make: (bits: Bitmap) => Bitmap): Promise<void> {
  await editor.change(name, make);
}

/** A change of the bits where they are, as one that gives them. */
function inPlace(work: (bits: Bitmap) => void): (bits: Bitmap) => Bitmap {
  return (bits) => {
    work(bits);
    return bits;
  };
}

function rangeOf([offset, length]: readonly string[]): { offset: bigint; length: bigint } {
  return { offset: numberOf(offset), length: numberOf(length) };
}

/** A decimal integer. @throws {QdbError} USAGE for what is none, or does not fit in 64 bits */
export function numberOf(word = ""): bigint {
  const number = /^\d+$/.test(word) ? BigInt(word) : -1n;
  if (number >= 0n && number < 1n << 64n) return number;
  throw new QdbError("USAGE", `${quote(word)} is no integer of 64 bits`);
}

/** The bytes of a name, percent-encoded. */
function nameBytes(word: string): Uint8Array {
  const bytes = Buffer.from(word, "utf8").toString("latin1");
  const byte = (_: string, hex: string): string => String.fromCharCode(Number.parseInt(hex, 16));
  return Buffer.from(bytes.replace(/%([0-9a-fA-F]{2})/g, byte), "latin1");
}

/** A name; one that is no UTF-8 goes by its bytes, as in the library. */
function nameOf(word: string): string {
  const bytes = nameBytes(word);
  return decodeUtf8(bytes) ?? `hex:${toHex(bytes)}`;
}

/** @throws {QdbError} USAGE for a name that no bitmap can have */
function newName(word: string): string {
  const bytes = nameBytes(word);
  const name = decodeUtf8(bytes);
  if (name !== undefined && bytes.length >= 1 && bytes.length <= 1023 && !bytes.includes(0)) return name;
  throw new QdbError("USAGE", `${quote(word)} can be no bitmap's name`);
}
