// What a fresh reader gets from the bytes of a file alone.
import { bytesSource, isQdbError, type SyncByteSource } from "@qdb/format";
import {
  bitmapPlan,
  loadMaps,
  type MappedBitmap,
  type QdbIndex,
  readIndex,
  readMap,
  runSync,
} from "@qdb/format/container";
import { l1ProblemsOf } from "../../src/maps/load-maps.ts";
import { ZLIB } from "../store.ts";

/** A bitmap as it reads. */
export interface ViewedBitmap {
  readonly name: string;
  /** Its table entry, but for where its L1 area is. */
  readonly entry: Uint8Array;
  /** Its bits, LSB first; undefined where they are refused. */
  readonly bits: Uint8Array | undefined;
  readonly error: ViewedError | undefined;
  /** Bits that a reader of this bitmap alone gets, where one that looks at all of them refuses it for another's sake. */
  readonly alone: Uint8Array | undefined;
}

/** Why the bits of a bitmap are refused. */
export interface ViewedError {
  /** Of the first problem. */
  readonly code: string;
  /** Whether it shares a cluster with another structure, be it the first problem or not. */
  readonly isShared: boolean;
  /** Whether it is seen before data clusters are read. */
  readonly isInMap: boolean;
  /** Whether the L1 area and all its entries are good. */
  readonly isMapped: boolean;
  /** Whether its entry breaks a rule that no repair mends. */
  readonly isBeyondRepair: boolean;
}

/** A file as it reads: its bitmaps, or why it is refused. */
export type View =
  | { readonly error: string; readonly form?: undefined; readonly bitmaps?: undefined }
  | { readonly error?: undefined; readonly form: "full" | "draft"; readonly bitmaps: readonly ViewedBitmap[] };

/** Reads a file. */
export function look(bytes: Uint8Array): View {
  const source = bytesSource(bytes);
  let index: QdbIndex;
  try {
    index = runSync(readIndex(bytes.length, ZLIB), source);
  } catch (error) {
    if (isQdbError(error)) return { error: error.code };
    throw error;
  }
  const shared = new Set<number>();
  const mapped = runSync(loadMaps(index, index.table.entries, ZLIB), source);
  for (const { entry, problem } of l1ProblemsOf(mapped)) {
    if (problem.code === "OVERLAP") shared.add(entry.index);
  }
  const bitmaps = mapped.map((one) => lookAt(one, shared.has(one.entry.index), index, source));
  return { form: index.form, bitmaps };
}

function lookAt(mapped: MappedBitmap, isShared: boolean, index: QdbIndex, source: SyncByteSource): ViewedBitmap {
  const { entry, map } = mapped;
  const problem = mapped.findProblem();
  const seen = { name: entry.label, entry: placeless(entry.bytes) };
  const isMapped = map !== undefined;
  const isBeyondRepair = index.problems.isBeyondRepair(entry.index);
  const refused = (code: string, isInMap: boolean, alone?: Uint8Array): ViewedBitmap => ({
    ...seen,
    bits: undefined,
    error: { code, isShared, isInMap, isMapped, isBeyondRepair },
    alone,
  });
  if (isShared && problem?.code === "OVERLAP") {
    const alone = bitsOr(() => runSync(bitmapPlan(runSync(readMap(index, entry, ZLIB), source)), source).toBytes());
    return refused(problem.code, true, alone.bits);
  }
  if (problem !== undefined || map === undefined) return refused(problem?.code ?? "no map", true);
  const { bits, code } = bitsOr(() => runSync(bitmapPlan(map), source).toBytes());
  if (bits === undefined) return refused(code, false);
  return { ...seen, bits, error: undefined, alone: undefined };
}

function bitsOr(read: () => Uint8Array): { readonly bits?: Uint8Array; readonly code: string } {
  try {
    return { bits: read(), code: "" };
  } catch (error) {
    if (isQdbError(error)) return { code: error.code };
    throw error;
  }
}

/** An entry without l1_table_offset and l1_checksum (bytes 0-7 and 28-31), which say where the bits are. */
function placeless(entry: Uint8Array): Uint8Array {
  const bytes = entry.slice();
  bytes.fill(0, 0, 8);
  bytes.fill(0, 28, 32);
  return bytes;
}
