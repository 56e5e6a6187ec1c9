import { type ComputedClusters, storeAllDerived } from "../bits/store-derived.ts";
import type { FileState } from "../maps/load-maps.ts";
import type { Crc32 } from "../ports/digest.ts";
import type { FileChunk } from "../ports/file-image.ts";
import type { ChangePlan } from "../ports/plan.ts";
import { allocateWrites } from "./allocate-writes.ts";
import type { BitmapChange } from "./bitmap-change.ts";
import type { BitmapWrites } from "./bitmap-writes.ts";
import type { FreeSpace } from "./free-space.ts";
import { encodeNextGeneration, type NextGeneration } from "./next-generation.ts";

/** What a commit writes, and the changes for which it does. */
export interface PreparedCommit {
  readonly changes: readonly BitmapChange[];
  readonly writes: readonly BitmapWrites[];
  readonly next: NextGeneration;
}

/** What {@link prepareCommit} needs. */
export interface PrepareOptions {
  readonly space: FreeSpace;
  readonly crc32: Crc32;
  readonly writerId: Uint8Array;
  /** Writes chunks into free space. */
  store(chunks: readonly FileChunk[]): ChangePlan<void>;
}

/**
 * Allocates space for all that a commit writes, and encodes it. Clusters that have to be computed are stored at once. Returns undefined if
 * nothing changes.
 * @throws {QdbError} BAD_CHECKSUM if a cluster from which another is computed does not match its checksum; LIMIT if there is not enough free
 * space; the code of the rule that a changed entry breaks; what `store` throws
 */
export function* prepareCommit(
  { index, mapped }: FileState,
  given: readonly BitmapChange[],
  { space, crc32, writerId, store }: PrepareOptions,
): ChangePlan<PreparedCommit | undefined> {
  const allocate = (length: number): number => space.allocate(length);
  const computed = yield* storeAllDerived(given, allocate, crc32, store);
  const changes = given.map((change) => withoutSame(change, computed));
  if (computed.size > 0 && isUnchanged(changes, mapped.length)) return undefined;
  const writes = allocateWrites(changes, space, index, crc32, computed);
  return { changes, writes, next: encodeNextGeneration(index, changes, writes, space, { crc32, writerId }) };
}

/** Returns a change without its bits if they turned out to be those of the file, once their clusters were computed. */
function withoutSame(change: BitmapChange, computed: ComputedClusters): BitmapChange {
  const { bits, ...rest } = change;
  if (bits === undefined || computed.get(bits)?.isChanged !== false) return change;
  return bits.isChangedFrom(change.from?.map, true) ? change : rest;
}

/** Whether changes leave a file with `count` bitmaps as it is. */
function isUnchanged(changes: readonly BitmapChange[], count: number): boolean {
  const isKept = ({ from, entry, bits, repair, move }: BitmapChange, at: number): boolean =>
    from?.entry.index === at && (entry ?? bits ?? repair ?? move) === undefined;
  return changes.length === count && changes.every(isKept);
}
