// A QDB file as a container of edits.
import { Bitmap } from "./bitmap/bitmap.ts";
import { ClusterBits } from "./bits/cluster-bits.ts";
import { readClusterBits } from "./bits/read-cluster-bits.ts";
import type { BitmapChange } from "./commit/bitmap-change.ts";
import type { BitmapContents, FileContents } from "./commit/file-contents.ts";
import type { PendingChange } from "./edit/container.ts";
import type { EditOptions } from "./edit/edit-options.ts";
import { Edits } from "./edit/edits.ts";
import { itemAt } from "./elements.ts";
import { type Problem, QdbError } from "./errors.ts";
import type { Limits } from "./limits.ts";
import type { FileState } from "./maps/load-maps.ts";
import type { MappedBitmap } from "./maps/mapped-bitmap.ts";
import { type MirrorOptions, refuseMirror } from "./open/header-source.ts";
import type { Plan } from "./ports/plan.ts";
import type { Form } from "./records/header.ts";

/** Begins edits of the bitmaps of a QDB file. `state` is the generation that the next commit follows. */
export function editsOf({ index, mapped }: FileState, options: EditOptions & MirrorOptions): Edits {
  const refuseSource = (label: string): void => refuseMirror(index, options, label);
  return new Edits({ bitmaps: mapped, clusterSize: index.clusterSize, lacks: {}, refuseSource }, options);
}

/** Returns what a commit does with each bitmap. */
export function bitmapChanges({ mapped }: FileState, changes: readonly PendingChange[]): readonly BitmapChange[] {
  return changes.map(({ index, ...change }) =>
    index === undefined ? change : { ...change, from: itemAt(mapped, index) },
  );
}

/** Returns the problems of the bitmaps that {@link wholeContents} makes all dirty because no checksum tells which of their bits are right. */
export function doubtedBitmaps({ mapped }: FileState, changes: readonly PendingChange[]): readonly Problem[] {
  return changes.flatMap((change) => {
    const doubt = doubtOf(change, mapped);
    return doubt === undefined ? [] : [doubt];
  });
}

function doubtOf({ index, bits }: PendingChange, mapped: readonly MappedBitmap[]): Problem | undefined {
  return index === undefined || bits !== undefined ? undefined : itemAt(mapped, index).findDoubt();
}

/** Form and ids of a file that is written whole. The ids have 16 bytes each; a draft does not use them. */
export interface WholeFileOptions extends Limits {
  readonly form: Form;
  readonly fileId: Uint8Array;
  readonly writerId: Uint8Array;
}

/**
 * Returns the contents of the file with changes, or without any, for writing the file whole.
 * @throws {QdbError} the code of the first problem of a bitmap that cannot be written; BAD_CHECKSUM; LIMIT
 */
export function* wholeContents(
  { index, mapped }: FileState,
  changes: readonly PendingChange[] | undefined,
  options: WholeFileOptions,
): Plan<FileContents> {
  const { form, fileId, writerId } = options;
  const bitmaps: BitmapContents[] = [];
  for (const change of changes ?? mapped.map((_, at) => ({ index: at })))
    bitmaps.push(yield* contentsOf(change, mapped, options));
  const allOnes = form === "full" && (index.form === "draft" || index.allOnes);
  const { extensions } = index;
  return { form, clusterBits: index.header.clusterBits, fileId, writerId, allOnes, extensions, bitmaps };
}

/** Returns the contents of a bitmap. A bitmap whose bits are in doubt is all dirty. @throws {QdbError} as {@link wholeContents} */
function* contentsOf(change: PendingChange, mapped: readonly MappedBitmap[], limits: Limits): Plan<BitmapContents> {
  const from = change.index === undefined ? undefined : itemAt(mapped, change.index);
  const entry = change.entry ?? from?.parseEntry();
  if (entry === undefined) throw problemOf(from, "the extra data is no row of records");
  if (doubtOf(change, mapped) !== undefined && from !== undefined) return { ...entry, bits: Bitmap.dirty(from.shape) };
  return { ...entry, bits: yield* readClusterBits(change.bits ?? bitsAsStored(from, limits), label(from), limits) };
}

/** Returns the bits of a bitmap, even of an inconsistent one. @throws {QdbError} the code of its first problem */
function bitsAsStored(from: MappedBitmap | undefined, limits: Limits): ClusterBits {
  const problem = from?.findProblem();
  if (from?.map === undefined || (problem !== undefined && problem.code !== "INCONSISTENT"))
    throw problemOf(from, "the bitmap has no usable L1 area");
  return ClusterBits.over(from.map, limits);
}

function label(from: MappedBitmap | undefined): string {
  return from?.label ?? "a new bitmap";
}

function problemOf(from: MappedBitmap | undefined, message: string): QdbError {
  const problem = from?.findProblem();
  return problem === undefined ? new QdbError("BAD_FIELD", message, { bitmap: label(from) }) : QdbError.from(problem);
}
