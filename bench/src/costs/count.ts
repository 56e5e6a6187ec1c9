import { crc32 } from "node:zlib";
import { Bitmap, type QdbEdit, QdbFile } from "@qdb/format";
import { editStore, imageBytes, newFile, writeImage } from "@qdb/format/container";
import { makeBits } from "../data/bits.ts";
import { type Cost, CountingStore } from "./counting-store.ts";

const GRANULARITY = 65536;
const DIGESTS = { crc32 };

/** The same ids each time, so that the same bytes are written. */
function ids(): () => Uint8Array {
  let next = 0;
  return () => new Uint8Array(16).fill(++next);
}

/** A file with three bitmaps of a disk of 2 TiB: two that have clustered dirty bits, and a clean one. */
function file(): Uint8Array {
  const bits = (name: "a" | "b"): Bitmap => {
    const words = makeBits({ mebibytes: 4, density: 0.01, pattern: "clustered" }, name);
    const size = BigInt(words.length * 32) * BigInt(GRANULARITY);
    return Bitmap.fromBytes(new Uint8Array(words.buffer), { size, granularity: GRANULARITY });
  };
  const a = bits("a");
  const bitmaps = [
    { name: "a", bits: a, created: 0n },
    { name: "b", bits: bits("b"), created: 0n },
    { name: "clean", bits: Bitmap.clean(a), created: 0n },
  ];
  return imageBytes(writeImage(newFile({ bitmaps }, { randomId: ids() }), DIGESTS));
}

/** Edits, each with its commit. */
const EDITS: Readonly<Record<string, (edit: QdbEdit) => void>> = {
  "mark one bit": (edit) => void edit.bitmap("a").mark({ offset: 0, length: 1 }),
  "mark one bit of a clean bitmap": (edit) => void edit.bitmap("clean").mark({ offset: 0, length: 1 }),
  clear: (edit) => void edit.bitmap("a").clear(),
  rename: (edit) => void edit.bitmap("a").rename("c"),
  merge: (edit) => void edit.bitmap("a").merge("b"),
};

/** What is read of a file. */
const READS: Readonly<Record<string, (store: CountingStore) => Promise<void>>> = {
  async open(store) {
    await QdbFile.open(store, { digests: DIGESTS });
  },
  async "open and list the extents of one bitmap"(store) {
    const opened = await QdbFile.open(store, { digests: DIGESTS });
    for await (const _batch of opened.bitmap("a").batches());
  },
};

/** Counts what operations ask of the store of a file, opening it included. The numbers are the same on every machine. */
export async function countCosts(): Promise<Record<string, Cost>> {
  const bytes = file();
  const costs: Record<string, Cost> = {};
  for (const [name, read] of Object.entries(READS)) {
    const store = new CountingStore(bytes);
    await read(store);
    costs[name] = store.cost;
  }
  for (const [name, change] of Object.entries(EDITS)) {
    const store = new CountingStore(bytes);
    await editStore(store, change, { digests: DIGESTS, randomId: ids() });
    costs[name] = store.cost;
  }
  return costs;
}
