import { statSync } from "node:fs";
import { Bitmap, type QdbEdit, QdbError, quote } from "@qdb/format";
import { newFile } from "@qdb/format/container";
import { Counts, hasMagic, itemAt, type Spool, SpooledBits, spoolSource } from "@qdb/format/internal";
import { createFileBy, randomId } from "@qdb/io-node/container";
import type { Call } from "../shell/command.ts";
import { ofOtherFiles } from "../shell/errors.ts";
import { firstBytes } from "./first-bytes.ts";
import type { NewBitmap, NewBitmaps, StoredBitmap } from "./new-bitmaps.ts";
import { fillFile, writing } from "./new-file.ts";
import { editFile, requireFile } from "./open-qdb.ts";
import { withSpool } from "./spool.ts";

/** What to do with a new bitmap whose name is taken. */
export type NameRule = "refuse" | "merge" | "replace";

/** The file that new bitmaps are stored in, while they are made. */
export interface Target {
  /** Checks that a name is free. @throws {QdbError} ALREADY_EXISTS if it is taken */
  requireFree(name: string, advice: string): void;
}

/**
 * Stores the bitmaps that `make` returns: in a new file, or in one commit to the one that exists. An existing file is opened and locked
 * before `make` is called, so that no long work is done for a file that cannot be changed. Bits that are not in memory are stored in
 * windows. Returns the bitmaps as they are stored, that is, after merging.
 * @throws {QdbError} what `make` and reading the bitmaps throws; ALREADY_EXISTS, SIZE_MISMATCH, INCONSISTENT; as `createFile` and `editQdb`
 */
export async function storeBitmaps(
  path: string,
  call: Call,
  rule: NameRule,
  make: (target: Target, spool: Spool) => Promise<NewBitmaps>,
): Promise<readonly StoredBitmap[]> {
  requireFile(path);
  return withSpool(path, async (spool) => {
    if (isThere(path)) return storeInFile(path, call, rule, spool, (target) => make(target, spool));
    return createWith(path, call, await make({ requireFree: () => undefined }, spool));
  });
}

/** Creates a file with bitmaps, whose bits are read as they are stored. */
async function createWith(path: string, call: Call, made: NewBitmaps): Promise<readonly StoredBitmap[]> {
  let stored: readonly StoredBitmap[] = [];
  await writing(call, ({ signal, onProgress }) =>
    createFileBy(
      path,
      async (file) => {
        stored = await made.run(function* (bitmaps) {
          const shapes = bitmaps.map(({ bits: { size, granularity }, ...rest }) => ({ ...rest, size, granularity }));
          const contents = newFile({ bitmaps: shapes }, { randomId });
          const counts = new Counts(bitmaps.length);
          yield* fillFile(
            file,
            {
              ...contents,
              bitmaps: contents.bitmaps.map((bitmap, at) => ({ ...bitmap, bits: itemAt(bitmaps, at).bits })),
            },
            {
              onProgress,
              visitorOf: (at) => counts.visitor(at, { first: 0, end: itemAt(bitmaps, at).bits.bitCount }),
            },
          );
          return bitmaps.map((bitmap, at) => storedBitmap(bitmap, counts.total(bitmap.bits, at).bytes));
        });
      },
      { signal },
    ),
  );
  return stored;
}

async function storeInFile(
  path: string,
  call: Call,
  rule: NameRule,
  spool: Spool,
  make: (target: Target) => Promise<NewBitmaps>,
): Promise<readonly StoredBitmap[]> {
  return editFile(
    path,
    call,
    async (edit) => {
      const requireFree = (name: string, advice: string): void => {
        if (!edit.has(name)) return;
        throw new QdbError("ALREADY_EXISTS", `${quote(path)} holds a bitmap ${quote(name)} already; ${advice}`);
      };
      const bitmaps = await ofOtherFiles(async () => readAll(await make({ requireFree }), spool));
      const stored: StoredBitmap[] = [];
      for (const bitmap of bitmaps) {
        if (rule === "refuse") requireFree(bitmap.name, "choose another name, or say --merge or --replace");
        stored.push(await put(edit, bitmap, rule));
      }
      return stored;
    },
    READ_ANYWAY,
  );
}

/** Bits of the file are read only to say how many of them are dirty. */
const READ_ANYWAY = { disk: "ignore", acceptMirror: true } as const;

/** A bitmap whose bits nothing changes any more until they are committed. */
type SettledBitmap = NewBitmap & { readonly bits: Bitmap | SpooledBits };

/** Reads the bits of bitmaps into a spool, since a commit reads them when what they come from may have changed. */
function readAll(made: NewBitmaps, spool: Spool): Promise<readonly SettledBitmap[]> {
  return made.run(function* (bitmaps) {
    const read: SettledBitmap[] = [];
    for (const { bits, ...rest } of bitmaps) {
      const isSettled = bits instanceof Bitmap || bits instanceof SpooledBits;
      read.push({ ...rest, bits: isSettled ? bits : yield* spoolSource(bits, spool) });
    }
    return read;
  });
}

async function put(edit: QdbEdit, bitmap: SettledBitmap, rule: NameRule): Promise<StoredBitmap> {
  const { bits, ...fields } = bitmap;
  const { name } = fields;
  const init =
    bits instanceof Bitmap ? { ...fields, bits } : { ...fields, size: bits.size, granularity: bits.granularity };
  if (!edit.has(name)) edit.add(init);
  else if (rule === "replace") edit.bitmap(name).replace(init);
  else return merged(edit, bitmap);
  if (!(bits instanceof Bitmap)) edit.bitmap(name).merge(bits);
  return storedBitmap(bitmap, bits.dirtyBytes());
}

/** Merges a bitmap into the one of the same name, which keeps its granularity, flags and records. */
async function merged(edit: QdbEdit, bitmap: SettledBitmap): Promise<StoredBitmap> {
  const { name, bits, inUse } = bitmap;
  const target = edit.bitmap(name);
  const { size, granularity, enabled } = await target.facts();
  if (inUse === true) {
    const message = `the bits of ${quote(name)} in the source cannot be used, so they cannot be merged; --inconsistent=mark-all makes all of it dirty`;
    throw new QdbError("INCONSISTENT", message);
  }
  if (size !== bits.size) {
    const message = `the new bits of ${quote(name)} cover a disk of ${bits.size} bytes, those that are there one of ${size}`;
    throw new QdbError("SIZE_MISMATCH", `${message}; qdb bitmap --resize fits them`);
  }
  target.merge(bits);
  return { name, shape: { size, granularity }, dirty: await target.dirtyBytes(), enabled };
}

function storedBitmap({ name, bits, enabled, inUse }: NewBitmap, dirty: bigint): StoredBitmap {
  return { name, shape: { size: bits.size, granularity: bits.granularity }, dirty, enabled, inUse };
}

/** Whether there is a QDB file to open. A block device counts only if it holds a QDB file; otherwise a file is created on it. */
function isThere(path: string): boolean {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats !== undefined && (!stats.isBlockDevice() || hasMagic(firstBytes(path, 4)));
}
