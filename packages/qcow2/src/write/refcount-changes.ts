import { QdbError } from "@qdb/format";
import { type ChangePlan, type FileChunk, flush, type Plan, readRange, write } from "@qdb/format/container";
import { numberAt, viewOf } from "@qdb/format/internal";
import { MAX_REFCOUNT_TABLE_SIZE } from "../image/limits.ts";
import { getRefcount, REFCOUNT_TABLE_ENTRY_SIZE, type RefcountGeometry, setRefcount } from "../image/refcount-table.ts";
import type { ClusterSpace } from "./cluster-space.ts";
import type { RefcountBlocks } from "./find-free-clusters.ts";

/** A refcount table that takes the place of the one that became too short. */
export interface NewRefcountTable {
  /** File offset in bytes. */
  readonly offset: number;
  /** Length in clusters. */
  readonly clusters: number;
}

/** What a commit writes so that the clusters that it allocated are counted. */
export interface RefcountChanges {
  /** Parts of refcount blocks, new blocks, and a new table: nothing that a reader sees before the next step. */
  readonly chunks: readonly FileChunk[];
  /** Entries of the refcount table for new blocks. Empty if there is a new table. */
  readonly entries: readonly FileChunk[];
  readonly newTable: NewRefcountTable | undefined;
  /** File offset of each refcount block after the commit, new ones included. */
  readonly blocks: Float64Array;
}

/**
 * Allocates new refcount blocks, and a longer refcount table, where the allocated clusters need them, and sets the refcounts of all
 * allocated clusters to 1. Nothing may be allocated afterwards.
 * @throws {QdbError} OVERLAP if an allocated cluster is counted already; LIMIT if the table would be longer than QEMU allows; as
 * {@link ClusterSpace.allocate}
 */
export function* countAllocated(
  { geometry, offsets }: RefcountBlocks,
  tableOffset: number,
  space: ClusterSpace,
): Plan<RefcountChanges> {
  const { clusterSize } = geometry;
  const { newBlocks, newTable } = allocateBlocks({ geometry, offsets }, space);
  const blocks = withBlocks(offsets, newBlocks);
  const chunks: FileChunk[] = [];
  for (const [block, clusters] of byBlock(space.allocated(), geometry.perBlock)) {
    const offset = newBlocks.get(block);
    if (offset === undefined) chunks.push(yield* countedPart(geometry, numberAt(offsets, block), clusters));
    else {
      const bytes = new Uint8Array(clusterSize);
      for (const cluster of clusters) setRefcount(viewOf(bytes), cluster % geometry.perBlock, geometry.order, 1);
      chunks.push({ offset, bytes });
    }
  }
  if (newTable === undefined) {
    const entries = [...newBlocks].map(([block, offset]) => ({
      offset: tableOffset + block * REFCOUNT_TABLE_ENTRY_SIZE,
      bytes: u64Bytes(offset),
    }));
    return { chunks, entries, newTable, blocks };
  }
  const bytes = new Uint8Array(newTable.clusters * clusterSize);
  const view = viewOf(bytes);
  for (const [block, offset] of blocks.entries()) view.setBigUint64(block * REFCOUNT_TABLE_ENTRY_SIZE, BigInt(offset));
  chunks.push({ offset: newTable.offset, bytes });
  return { chunks, entries: [], newTable, blocks };
}

function withBlocks(offsets: Float64Array, newBlocks: ReadonlyMap<number, number>): Float64Array {
  const blocks = new Float64Array(Math.max(offsets.length, ...[...newBlocks.keys()].map((block) => block + 1)));
  blocks.set(offsets);
  for (const [block, offset] of newBlocks) blocks[block] = offset;
  return blocks;
}

/** Allocates the refcount blocks that are missing. A new block may itself need another one, and so may a new table. */
function allocateBlocks(
  { geometry, offsets }: RefcountBlocks,
  space: ClusterSpace,
): { readonly newBlocks: ReadonlyMap<number, number>; readonly newTable: NewRefcountTable | undefined } {
  const { clusterSize, perBlock } = geometry;
  const newBlocks = new Map<number, number>();
  let newTable: NewRefcountTable | undefined;
  let capacity = offsets.length;
  for (let done = 0; ; ) {
    const allocated = space.allocated();
    if (done === allocated.length) return { newBlocks, newTable };
    let last = capacity - 1;
    for (; done < allocated.length; done++) {
      const block = Math.floor(numberAt(allocated, done) / perBlock);
      last = Math.max(last, block);
      if ((offsets[block] ?? 0) === 0 && !newBlocks.has(block)) newBlocks.set(block, space.allocate(clusterSize));
    }
    if (last < capacity) continue;
    if (newTable !== undefined) throw new Error("a new refcount table is too short for its own blocks");
    // Half as long again, and a cluster more: blocks for the table itself and for its blocks fit in, and the next commits find room.
    const clusters = Math.ceil(((last + 1) * 1.5 * REFCOUNT_TABLE_ENTRY_SIZE) / clusterSize) + 1;
    if (clusters * clusterSize > MAX_REFCOUNT_TABLE_SIZE) {
      const message = `the refcount table would have ${clusters * clusterSize} bytes, QEMU reads at most ${MAX_REFCOUNT_TABLE_SIZE}; convert the image to one with larger clusters`;
      throw new QdbError("LIMIT", message, { structure: "refcount table" });
    }
    newTable = { offset: space.allocate(clusters * clusterSize), clusters };
    capacity = (clusters * clusterSize) / REFCOUNT_TABLE_ENTRY_SIZE;
  }
}

/**
 * Sets the refcounts of clusters from 1 to 0, and waits until that is on the disk. `clusters` are clusters to which nothing refers any
 * more; one with another refcount than 1 is left as it is. Returns how many were left.
 */
export function* freeClusters(blocks: RefcountBlocks, clusters: Float64Array): ChangePlan<number> {
  const { geometry, offsets } = blocks;
  let left = 0;
  for (const [block, numbers] of byBlock(clusters, geometry.perBlock)) {
    const offset = offsets[block] ?? 0;
    if (offset === 0) {
      left += numbers.length;
      continue;
    }
    const part = yield* readPart(geometry, offset, numbers);
    const view = viewOf(part.bytes);
    for (const cluster of numbers) {
      if (getRefcount(view, part.entryOf(cluster), geometry.order) === 1)
        setRefcount(view, part.entryOf(cluster), geometry.order, 0);
      else left++;
    }
    yield* write([part]);
  }
  if (clusters.length > 0) yield* flush();
  return left;
}

/** Yields the clusters of each refcount block in ascending order. */
function* byBlock(
  clusters: Float64Array,
  perBlock: number,
): Generator<readonly [block: number, clusters: readonly number[]], void> {
  const sorted = clusters.slice().sort();
  for (let at = 0, end = 0; at < sorted.length; at = end) {
    const block = Math.floor(numberAt(sorted, at) / perBlock);
    while (end < sorted.length && Math.floor(numberAt(sorted, end) / perBlock) === block) end++;
    yield [block, [...sorted.subarray(at, end)]];
  }
}

/** The part of a refcount block that has the refcounts of clusters, which are in ascending order: whole bytes. */
function* readPart(
  { order, perBlock }: RefcountGeometry,
  offset: number,
  clusters: readonly number[],
): Plan<{ readonly offset: number; readonly bytes: Uint8Array; entryOf(cluster: number): number }> {
  const entries = clusters.map((cluster) => cluster % perBlock);
  const perByte = Math.max(1, 8 / 2 ** order);
  const width = Math.max(1, 2 ** order / 8);
  const byteOf = (entry: number): number => Math.floor(entry / perByte) * width;
  const start = byteOf(entries[0] ?? Number.NaN);
  const length = byteOf(entries.at(-1) ?? Number.NaN) + width - start;
  const firstEntry = (start / width) * perByte;
  const bytes = (yield* readRange(offset + start, length)).slice();
  return { offset: offset + start, bytes, entryOf: (cluster) => (cluster % perBlock) - firstEntry };
}

/** Returns the part of a block to write so that the refcounts of clusters become 1. @throws {QdbError} OVERLAP if one is not 0 */
function* countedPart(geometry: RefcountGeometry, offset: number, clusters: readonly number[]): Plan<FileChunk> {
  const part = yield* readPart(geometry, offset, clusters);
  const view = viewOf(part.bytes);
  for (const cluster of clusters) {
    const entry = part.entryOf(cluster);
    const refcount = getRefcount(view, entry, geometry.order);
    if (refcount !== 0) {
      const message = `the cluster at ${cluster * geometry.clusterSize} has refcount ${refcount}, but looked free: something else writes to the image, or it is damaged; run qemu-img check`;
      throw new QdbError("OVERLAP", message, { structure: "refcount block", offset });
    }
    setRefcount(view, entry, geometry.order, 1);
  }
  return { offset: part.offset, bytes: part.bytes };
}

function u64Bytes(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  viewOf(bytes).setBigUint64(0, BigInt(value));
  return bytes;
}
