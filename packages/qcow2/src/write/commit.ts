// The commit of a qcow2 image: one order of writes, in which every state that a power cut can leave opens, with the old bitmaps or the new.
import { isQdbError, type Problem, QdbError } from "@qdb/format";
import {
  type ChangePlan,
  ClusterBits,
  type ComputedClusters,
  confirm,
  type EntryContents,
  type FileChunk,
  flush,
  type KeepClusters,
  type PendingChange,
  readRange,
  type StoredBits,
  storeAllDerived,
  storeBits,
  write,
} from "@qdb/format/container";
import { equalBytes, itemAt } from "@qdb/format/internal";
import type { Qcow2Bitmap } from "../bitmaps/bitmap.ts";
import { hasSameBytes, sourceChanged } from "../files/confirm-unchanged.ts";
import { OffsetTable } from "../image/offset-table.ts";
import { refcountTableRange } from "../image/refcount-table.ts";
import { ClusterSpace } from "./cluster-space.ts";
import { type DirectoryBitmap, encodeDirectory } from "./directory.ts";
import type { EditableImage } from "./editable-image.ts";
import { HeaderArea } from "./header-area.ts";
import { countAllocated, freeClusters, type RefcountChanges } from "./refcount-changes.ts";
import { replacedClusters } from "./replaced-clusters.ts";
import { bitmapsInDoubt } from "./shared-clusters.ts";
import { BITMAP_TABLE_CODEC, type BitmapTableBuilder } from "./table-codec.ts";

/** What a commit did besides the changes that were asked for. */
export interface Qcow2CommitReport {
  /** The problems of bitmaps that became all dirty: they shared a cluster with a bitmap that was changed or removed, or with the directory. */
  readonly madeDirty: readonly Problem[];
  /** Number of clusters that nothing refers to any more and that were not freed, since it is not certain that nothing else uses them. */
  readonly leakedClusters: number;
}

/** What becomes of a bitmap. */
interface Output {
  /** The bitmap in the file; undefined for a new one. */
  readonly from: Qcow2Bitmap | undefined;
  /** New name and flags; undefined if they stay. */
  readonly entry: EntryContents | undefined;
  /** New bits; undefined if they stay. */
  readonly bits: ClusterBits | undefined;
  /** Whether its bits miss what was written to the disk, so that it gets the flag in_use. */
  readonly isOutdated: boolean;
}

/** The same, with space for the bits. */
interface StoredOutput extends Omit<Output, "bits"> {
  /** What is written for new bits; undefined if they stay. */
  readonly data: StoredBits | undefined;
  readonly granularity: number | undefined;
}

/**
 * Stores changes of bitmaps. When it ends, they are on the disk. The caller holds the locks of the image.
 *
 * Order of the writes; power can be cut between any two sectors:
 * 1. Data clusters, tables, the directory, new refcount blocks, all in free clusters, and the refcounts of these. A cut leaves leaks.
 * 2. The refcount table, if there are new blocks. A cut leaves leaks.
 * 3. The header: see {@link HeaderArea.setDirectory}.
 * 4. The refcounts of clusters that are free now. A cut leaves leaks.
 * @throws {QdbError} POISONED if a write fails: the message says which bitmaps the image has; PATH_CHANGED; SOURCE_CHANGED if another program
 * wrote to the image; OVERLAP if refcounts contradict; NOT_SUPPORTED if the header has no room; LIMIT; BAD_FIELD for a bitmap that would have to become all
 * dirty but whose size is not known
 */
export function* commitQcow2(image: EditableImage, changes: readonly PendingChange[]): ChangePlan<Qcow2CommitReport> {
  const { outputs, doubted } = outputsOf(image, changes);
  const space = new ClusterSpace(image.free, image.image.clusterSize);
  const area = new HeaderArea(image.firstCluster);
  yield* confirm();
  if (!(yield* hasSameBytes(image.evidence))) throw writtenMeanwhile();
  const autoclear = area.clearUnknownAutoclear();
  if (autoclear.length > 0) yield* guarded(UNCHANGED, () => writeAndFlush(autoclear));
  const allocate = (length: number): number => space.allocate(length);
  const store = (chunks: readonly FileChunk[]): ChangePlan<void> => guarded(UNCHANGED, () => write(chunks));
  const computed = yield* storeAllDerived(outputs, allocate, BITMAP_TABLE_CODEC.checksum, store);
  const stored = outputs.map((output) => storeOutput(output, image, allocate, computed));
  const directory = encodeDirectory(stored.map(directoryBitmap));
  const place = { count: stored.length, offset: directory.length === 0 ? 0 : allocate(directory.length) };
  const counted = yield* countAllocated(image.refcounts, refcountTableRange(image.header).offset, space);
  const seen = area.bytes;
  const { newTable } = counted;
  const tablePlace = newTable === undefined ? [] : area.setRefcountTable(newTable.offset, newTable.clusters);
  const header = area.setDirectory(stored.length === 0 ? undefined : { ...place, length: directory.length });
  yield* guarded(UNCHANGED, function* () {
    for (const { data } of stored) for (const chunk of data?.chunks() ?? []) yield* write([padded(chunk, image)]);
    if (directory.length > 0) yield* write([padded({ offset: place.offset, bytes: directory }, image)]);
    yield* writeAndFlush(counted.chunks);
    if (counted.entries.length > 0) yield* writeAndFlush(counted.entries);
  });
  yield* confirm();
  if (!equalBytes(yield* readRange(0, seen.length), seen)) throw writtenMeanwhile();
  yield* guarded("whether the image has the old bitmaps or the new ones is not known", function* () {
    if (tablePlace.length > 0) yield* writeAndFlush(tablePlace);
    for (const group of header) yield* writeAndFlush(group);
  });
  const leakedClusters = yield* guarded("the change is stored, only space was not given back", () =>
    giveBack(image, stored, counted),
  );
  yield* confirm();
  return { madeDirty: doubted, leakedClusters };
}

const UNCHANGED = "the bitmaps are as they were";

/** Returns what becomes of each bitmap, and the problems of those that become all dirty besides. @throws {QdbError} the problem of a bitmap that would, and whose size is not known */
function outputsOf(
  image: EditableImage,
  changes: readonly PendingChange[],
): { readonly outputs: readonly Output[]; readonly doubted: readonly Problem[] } {
  const kept = new Map<Qcow2Bitmap, PendingChange>();
  for (const change of changes)
    if (change.index !== undefined && change.bits === undefined) kept.set(itemAt(image.bitmaps, change.index), change);
  const replaced = new Set(image.bitmaps.filter((bitmap) => !kept.has(bitmap)));
  const inDoubt = bitmapsInDoubt(image, replaced);
  const doubted: Problem[] = [];
  const outputs = changes.map(({ index, entry, bits }): Output => {
    const from = index === undefined ? undefined : itemAt(image.bitmaps, index);
    if (from === undefined || bits !== undefined) return { from, entry, bits, isOutdated: false };
    // The image will say that its bitmaps are consistent. Only the flag in_use tells which are not.
    const isOutdated = image.image.inconsistency !== undefined;
    // QEMU cannot open an image with such a bitmap, but did not look at it before.
    const isInTheWay = isOutdated && from.storageProblem !== undefined;
    if (!inDoubt.has(from) && !isInTheWay) return { from, entry, bits, isOutdated };
    const { problem, shapeProblem, shape } = from;
    if (shapeProblem !== undefined) throw QdbError.from(shapeProblem);
    if (problem !== undefined) doubted.push(problem);
    const { clusterSize } = image.image;
    return { from, entry, bits: ClusterBits.uniform(shape, "ones", { clusterSize }), isOutdated };
  });
  return { outputs, doubted };
}

/** Allocates space for the bits of a bitmap, if they change. An unread cluster is not written: the new table refers to the stored one. */
function storeOutput(
  { bits, ...output }: Output,
  { owners }: EditableImage,
  allocate: (length: number) => number,
  computed: ComputedClusters,
): StoredOutput {
  if (bits === undefined) return { ...output, data: undefined, granularity: undefined };
  const { from } = output;
  if (bits.count === 0) {
    const message =
      "the disk of the image has 0 bytes, and QEMU opens no image with a bitmap of it; resize it first with qemu-img resize";
    throw new QdbError("NOT_SUPPORTED", message);
  }
  const keep: KeepClusters<BitmapTableBuilder> = (builder, first, end) => {
    if (from === undefined) throw new Error("an unread cluster is in no image");
    builder.copy(new OffsetTable(owners.tables.bytesOf(from.table)), first, end);
  };
  const data = storeBits(bits, BITMAP_TABLE_CODEC, allocate, keep, computed.get(bits));
  return { ...output, data, granularity: bits.granularity };
}

function directoryBitmap({ data, granularity, ...output }: StoredOutput): DirectoryBitmap {
  if (data === undefined || granularity === undefined) return output;
  return { ...output, table: { offset: data.tableOffset, count: data.count, granularity } };
}

/** Frees the clusters that nothing refers to any more. Returns the number of those that stay counted. */
function* giveBack(
  image: EditableImage,
  stored: readonly StoredOutput[],
  { newTable, blocks }: RefcountChanges,
): ChangePlan<number> {
  const { free, doubtful } = replacedClusters(image, stored, newTable !== undefined);
  const refcounts = { geometry: image.refcounts.geometry, offsets: blocks };
  return doubtful + (yield* freeClusters(refcounts, free));
}

/** Pads the end of a chunk with zeros to whole clusters. */
function padded({ offset, bytes }: FileChunk, { image: { clusterSize } }: EditableImage): FileChunk {
  if (bytes.length % clusterSize === 0) return { offset, bytes };
  const whole = new Uint8Array(Math.ceil(bytes.length / clusterSize) * clusterSize);
  whole.set(bytes);
  return { offset, bytes: whole };
}

function* writeAndFlush(chunks: readonly FileChunk[]): ChangePlan<void> {
  yield* write(chunks);
  yield* flush();
}

/**
 * Runs steps that change the image. `state` says in an error what the image has then.
 * @throws {QdbError} POISONED; LOCKED and SOURCE_CHANGED as the store throws them before it has written anything
 */
function* guarded<T>(state: string, steps: () => ChangePlan<T>): ChangePlan<T> {
  try {
    return yield* steps();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    if (state === UNCHANGED && isQdbError(error, "LOCKED", "SOURCE_CHANGED")) throw error;
    const where = isQdbError(error) ? error.where : {};
    throw new QdbError("POISONED", `${error.message}; ${state}`, where, { cause: error });
  }
}

function writtenMeanwhile(): QdbError {
  return sourceChanged("another program wrote to the image meanwhile");
}
