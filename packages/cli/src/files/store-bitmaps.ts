import { statSync } from "node:fs";
import { type QdbEdit, QdbError, quote } from "@qdb/format";
import { hasMagic } from "@qdb/format/internal";
import { createQdb } from "@qdb/io-node";
import type { Call } from "../shell/command.ts";
import { ofOtherFiles } from "../shell/errors.ts";
import { firstBytes } from "./first-bytes.ts";
import type { NewBitmap } from "./new-bitmaps.ts";
import { writing } from "./new-file.ts";
import { editFile, requireFile } from "./open-qdb.ts";

/** What to do with a new bitmap whose name is taken. */
export type NameRule = "refuse" | "merge" | "replace";

/** The file that new bitmaps are stored in, while they are made. */
export interface Target {
  /** Checks that a name is free. @throws {QdbError} ALREADY_EXISTS if it is taken */
  requireFree(name: string, advice: string): void;
}

/**
 * Stores the bitmaps that `make` returns: in a new file, or in one commit to the one that exists. An existing file is opened and locked
 * before `make` is called, so that no long work is done for a file that cannot be changed. Returns the bitmaps as they are stored, that is,
 * after merging.
 * @throws {QdbError} what `make` throws; ALREADY_EXISTS, SIZE_MISMATCH, INCONSISTENT; as `createQdb` and `editQdb`
 */
export async function storeBitmaps(
  path: string,
  call: Call,
  rule: NameRule,
  make: (target: Target) => Promise<readonly NewBitmap[]>,
): Promise<readonly NewBitmap[]> {
  requireFile(path);
  if (!isThere(path)) {
    const bitmaps = await make({ requireFree: () => undefined });
    await writing(call, (options) => createQdb(path, { bitmaps }, options));
    return bitmaps;
  }
  return editFile(
    path,
    call,
    async (edit) => {
      const requireFree = (name: string, advice: string): void => {
        if (!edit.has(name)) return;
        throw new QdbError("ALREADY_EXISTS", `${quote(path)} holds a bitmap ${quote(name)} already; ${advice}`);
      };
      const stored: NewBitmap[] = [];
      for (const bitmap of await ofOtherFiles(() => make({ requireFree }))) {
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

async function put(edit: QdbEdit, bitmap: NewBitmap, rule: NameRule): Promise<NewBitmap> {
  if (!edit.has(bitmap.name)) edit.add(bitmap);
  else if (rule === "replace") edit.bitmap(bitmap.name).replace(bitmap);
  else return merged(edit, bitmap);
  return bitmap;
}

/** Merges a bitmap into the one of the same name, which keeps its granularity, flags and records. */
async function merged(edit: QdbEdit, bitmap: NewBitmap): Promise<NewBitmap> {
  const { name, bits, inUse } = bitmap;
  const target = edit.bitmap(name);
  const { size, enabled } = await target.facts();
  if (inUse === true) {
    const message = `the bits of ${quote(name)} in the source cannot be used, so they cannot be merged; --inconsistent=mark-all makes all of it dirty`;
    throw new QdbError("INCONSISTENT", message);
  }
  if (size !== bits.size) {
    const message = `the new bits of ${quote(name)} cover a disk of ${bits.size} bytes, those that are there one of ${size}`;
    throw new QdbError("SIZE_MISMATCH", `${message}; qdb bitmap --resize fits them`);
  }
  target.merge(bits);
  return { ...bitmap, bits: await target.read(), enabled };
}

/** Whether there is a QDB file to open. A block device counts only if it holds a QDB file; otherwise a file is created on it. */
function isThere(path: string): boolean {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats !== undefined && (!stats.isBlockDevice() || hasMagic(firstBytes(path, 4)));
}
