// What a file says, read by the library in the test's own process: the command starts a process for each look.
import { checkQdb, dumpQdb } from "@qdb/format";
import { nodeDigests, openFileSource, openQdb } from "@qdb/io-node";

/** A bitmap as `qdb dump` writes it. */
export interface DumpedBitmap {
  readonly name: string;
  readonly size: string;
  readonly granularity: number;
  readonly flags: readonly string[];
  readonly dirty?: readonly (readonly [string, string])[];
  readonly error?: { readonly code: string };
  readonly extra_data: readonly DumpedRecord[];
}

/** A record. */
export interface DumpedRecord {
  readonly type: string;
  readonly id?: string;
  readonly parent?: string;
  readonly created?: string;
}

/** The bitmaps of a file. @throws {QdbError} the first error of the file */
export async function bitmapsOf(path: string): Promise<DumpedBitmap[]> {
  const file = await openQdb(path);
  try {
    let text = "";
    for await (const piece of dumpQdb(file)) text += piece;
    return JSON.parse(text).bitmaps;
  } finally {
    await file.close();
  }
}

/** A bitmap without what says only where in the file its bits are: packing a file moves them. */
export function withoutPlace(bitmap: DumpedBitmap | undefined): object {
  return { ...bitmap, l1_table_offset: undefined, l1_checksum: undefined };
}

/** The bitmaps without their places and without what is drawn anew in each run: ids and times. */
export async function stateOf(path: string): Promise<object[]> {
  return (await bitmapsOf(path)).map((bitmap) => ({
    ...withoutPlace(bitmap),
    extra_data: bitmap.extra_data.map((record) => ({
      ...record,
      id: undefined,
      parent: undefined,
      created: undefined,
    })),
  }));
}

/** Codes of everything that a check finds. */
export async function findingsOf(path: string): Promise<string[]> {
  const source = openFileSource(path);
  const codes: string[] = [];
  try {
    for await (const { code } of checkQdb(source, { digests: nodeDigests })) codes.push(code);
  } finally {
    source.close();
  }
  return codes;
}
