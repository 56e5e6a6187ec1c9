// Reads the file argv[2] in every way until argv[3] is there, and prints how often each came to what. What it read must be one
// state: both twins the same, all bits of one commit, no step back.
import { strictEqual } from "node:assert/strict";
import { existsSync } from "node:fs";
import {
  Bitmap,
  checkQdb,
  countAll,
  dumpQdb,
  isQdbError,
  type QdbFile,
  readBitmap,
  type StoredBitmap,
} from "@qdb/format";
import { nodeDigests, openFileSource, openQdb } from "../../src/index.ts";
import { numbered, numberOf } from "./qdb-files.ts";

const [path = "", done = ""] = process.argv.slice(2);
let newest = 0;
let still: number | undefined;

/** No reader goes back behind what it has seen. */
function isState(bits: Bitmap): void {
  const number = numberOf(bits);
  strictEqual(bits.equals(numbered(number)), true, "bits of two commits");
  strictEqual(number >= newest, true, `state ${number} after ${newest}`);
  newest = number;
}

async function bitsOf(bitmap: StoredBitmap): Promise<Bitmap> {
  const bits = Bitmap.clean(bitmap);
  for await (const extent of bitmap.extents()) bits.mark(extent);
  return bits;
}

async function dumpOf(file: QdbFile): Promise<void> {
  let text = "";
  for await (const piece of dumpQdb(file)) text += piece;
  const { header, bitmaps } = JSON.parse(text);
  const [one, , two] = bitmaps;
  strictEqual(one.bits_sha256, two.bits_sha256);
  strictEqual(bitmaps.length, header.generation % 2 === 1 ? 3 : 4);
}

/** A commit in progress is no finding. */
async function check(): Promise<void> {
  const source = openFileSource(path);
  try {
    for await (const { code } of checkQdb(source, { digests: nodeDigests })) strictEqual(code, "none");
  } finally {
    source.close();
  }
}

const old = await openQdb(path);

async function withFile(file: QdbFile, use: (file: QdbFile) => Promise<void>): Promise<void> {
  try {
    await use(file);
  } finally {
    if (file !== old) await file.close();
  }
}

const uses = {
  async count(file: QdbFile) {
    const [one, unchanged, two] = await countAll(file);
    strictEqual(one?.dirty?.bits, two?.dirty?.bits);
    still ??= unchanged?.dirty?.bits;
    strictEqual(unchanged?.dirty?.bits, still);
  },
  async read(file: QdbFile) {
    isState(await readBitmap(file.bitmap("two")));
  },
  async extents(file: QdbFile) {
    isState(await bitsOf(file.bitmap("one")));
  },
  dump: dumpOf,
} satisfies Record<string, (file: QdbFile) => Promise<void>>;

const counts: Record<string, number> = {};
async function counted(name: string, call: () => Promise<void>): Promise<void> {
  let end = "ok";
  try {
    await call();
  } catch (error) {
    if (!isQdbError(error, "LOCKED", "SOURCE_CHANGED")) throw error;
    end = error.code;
  }
  counts[`${name} ${end}`] = (counts[`${name} ${end}`] ?? 0) + 1;
}

do {
  for (const [name, use] of Object.entries(uses)) {
    await counted(name, async () => withFile(await openQdb(path), use));
    await counted(name, async () => withFile(old, use));
  }
  await counted("check", check);
} while (!existsSync(done));
await old.close();
console.log(JSON.stringify(counts));
