import { isQdbError, type Problem, QdbError } from "../errors.ts";
import { equalBytes } from "../layout/bytes.ts";
import { HEADER_AREA_SIZE, MAX_GENERATION } from "../limits.ts";
import { endOfUse } from "../maps/generation-space.ts";
import { type FileState, loadMaps } from "../maps/load-maps.ts";
import { areAllMapped } from "../maps/mapped-bitmap.ts";
import { keptMirror, type QdbIndex, readIndex } from "../open/qdb-index.ts";
import { type Crc32, crc32 as ownCrc32 } from "../ports/digest.ts";
import type { FileChunk } from "../ports/file-image.ts";
import { type ChangePlan, confirm, dropErrors, flush, readRange, truncate, write } from "../ports/plan.ts";
import { mirrorOffset } from "../records/header.ts";
import type { BitmapChange } from "./bitmap-change.ts";
import {
  CHANGE,
  type FailureMessages,
  NOTHING_CHANGED,
  PACKING,
  type PathMessages,
  STORED,
} from "./failure-messages.ts";
import { type FileLength, freeSpaceOf } from "./free-space.ts";
import { nextIndex, nextMapped } from "./next-generation.ts";
import { canonicalLength, packingPlan } from "./packing.ts";
import { type PreparedCommit, prepareCommit } from "./prepare-commit.ts";
import { protectGoodBitmaps } from "./protect-good-bitmaps.ts";
import { refuseCommit, refuseForeignPrimary } from "./refusals.ts";
import type { SessionOptions } from "./session-options.ts";
import { writeIntoFreeSpace } from "./write-generation.ts";

/** Maximum number of times that a file is packed after one commit. Two are always enough. */
const MAX_PACKINGS = 3;
/** Number of bytes by which a file may be longer than three times its canonical length (spec §5, Space). */
const SLACK = 64 * 1024;

/**
 * A file that is open for writing, under its lock. Every change of a file in full form goes through a session (spec §5).
 *
 * I1: the primary is only overwritten with bytes that the mirror holds and an fsync has covered since.
 *
 * I2: the mirror is only overwritten while the primary is known to be on the disk, and with a higher generation than the primary's
 * (creation excepted; repair too is a commit).
 */
export class Session {
  readonly #options: SessionOptions;
  readonly #crc32: Crc32;
  #state: FileState;
  /** The 4096 bytes of the primary as this session read them or, after a commit, wrote them. */
  #primary: Uint8Array;
  /**
   * The bytes of the mirror when the file was opened. The mirror is not read again: a page for which an fsync failed can leave the cache,
   * and a new read would then return older bytes.
   */
  readonly #mirror: Uint8Array;
  #fileSize: number;
  #isFenced = false;
  /** The error that ended the session; every later call throws it. */
  #poisoned: QdbError | undefined;

  private constructor(options: SessionOptions, state: FileState, mirror: Uint8Array) {
    this.#options = options;
    this.#crc32 = options.digests.crc32 ?? ownCrc32;
    this.#state = state;
    this.#primary = state.index.opened.primary.bytes;
    this.#mirror = mirror;
    this.#fileSize = state.index.fileSize;
  }

  /**
   * Step 1 of a commit. The caller holds the lock. Reads primary and mirror once, chooses the header, and validates header, table, all L1
   * areas and the ownership of clusters.
   * @throws {QdbError} the code of the first problem of header or table; BAD_MAGIC if only a repair may open the file. A damaged bitmap is
   * no error here
   */
  static *open(fileSize: number, options: SessionOptions): ChangePlan<Session> {
    const index = yield* readIndex(fileSize, options.digests);
    if (!options.repair) refuseForeignPrimary(index);
    const mapped = yield* loadMaps(index, index.table.entries, options.digests);
    const mirror = yield* keptMirror(index, fileSize);
    return new Session(options, { index, mapped }, mirror);
  }

  /** The error that ended the session; undefined while the session can be used. */
  get poisoned(): QdbError | undefined {
    return this.#poisoned;
  }

  /** The generation that was opened or, after a commit, the generation that was committed last. */
  get state(): FileState {
    return this.#state;
  }

  /**
   * Ensures that the generation that was opened is on the disk, and that the path still names the file. Needed before success is reported,
   * even if nothing changes.
   * @throws {QdbError} POISONED if an fsync or write fails; PATH_CHANGED if the path names another file or none; IO if the path cannot be
   * examined
   */
  *fence(): ChangePlan<void> {
    yield* this.#fence();
    yield* this.#confirm(NOTHING_CHANGED);
  }

  /** Step 2, the fence. Done once in a session, before its first write. */
  *#fence(): ChangePlan<void> {
    if (this.#poisoned !== undefined) throw this.#poisoned;
    if (this.#isFenced) return;
    yield* this.#guard("nothing was changed", () => this.#flushOpenedState());
    this.#isFenced = true;
  }

  *#flushOpenedState(): ChangePlan<void> {
    yield* flush();
    // If the mirror has the same bytes as the header that was opened, the last write of the primary may not have reached the disk, so the
    // primary is written again. If the mirror has other bytes, they are from a commit that never wrote the primary; the mirror was only
    // overwritten while the primary was on the disk (I2).
    if (!equalBytes(this.#mirror, this.#state.index.opened.bytes)) return;
    yield* write([{ offset: 0, bytes: this.#mirror }]);
    this.#primary = this.#mirror;
    yield* flush();
  }

  /**
   * Commits a new generation with one bitmap for each change, in this order. When the call returns, the generation is on the disk. Unless a
   * bitmap is damaged, the file is then packed if it is too long, and cut after its last used cluster. Returns the problems of damaged
   * bitmaps that became all dirty because they would have damaged a good one.
   * @throws {QdbError} POISONED, with a message that says whether the old or the new state is on the disk; PATH_CHANGED if the path names
   * another file or none; NOT_SUPPORTED for a draft; LIMIT if there is not enough free space, or no further generation; OVERLAP if a
   * damaged bitmap would bring a good one into error; else the code of the rule that a changed entry breaks
   */
  *commit(given: readonly BitmapChange[]): ChangePlan<readonly Problem[]> {
    const { changes, madeDirty } = areAllMapped(this.#state.mapped)
      ? { changes: given, madeDirty: [] }
      : yield* protectGoodBitmaps(this.#state, given, this.#length(), this.#options.digests);
    yield* this.#commit(changes, CHANGE);
    for (let packing = 0; packing < MAX_PACKINGS && this.#isTooLong(); packing++) {
      yield* this.#commit(yield* packingPlan(this.#state, this.#crc32), PACKING);
    }
    yield* this.cut();
    return madeDirty;
  }

  /**
   * Cuts the file after its last used cluster. Call it only after a commit or a fence.
   * @throws {QdbError} POISONED if that fails; PATH_CHANGED if the path names another file or none
   */
  *cut(): ChangePlan<void> {
    yield* this.#cut();
    yield* this.confirm();
  }

  /**
   * Checks that the path still names the file. This is the last step before a change is reported as done.
   * @throws {QdbError} PATH_CHANGED if the path names another file or none; IO if the path cannot be examined
   */
  *confirm(): ChangePlan<void> {
    yield* this.#confirm(STORED);
  }

  *#confirm(messages: PathMessages): ChangePlan<void> {
    if (this.#poisoned !== undefined) throw this.#poisoned;
    try {
      yield* confirm();
    } catch (error) {
      if (!isQdbError(error)) throw error;
      const { code, message, where } = error;
      const state = code === "PATH_CHANGED" ? messages.changed : messages.unknown;
      this.#poisoned = new QdbError(code, `${message}; ${state}`, where, { cause: error });
      throw this.#poisoned;
    }
  }

  /** `state` says in an error what the file holds. */
  *#cut(state = "the change is stored"): ChangePlan<void> {
    const { index, mapped } = this.#state;
    if (this.#options.fixedSize === true || !areAllMapped(mapped)) return;
    const end = endOfUse(index, mapped);
    if (this.#fileSize <= end) return;
    yield* this.#guard(`${state}; only the space after it was not given back`, function* () {
      yield* truncate(end);
      yield* flush();
    });
    this.#fileSize = end;
  }

  #length(): FileLength {
    return { size: this.#fileSize, fixed: this.#options.fixedSize === true };
  }

  /** Whether the file, after being cut, would still be longer than its contents allow (spec §5, Space). */
  #isTooLong(): boolean {
    const { index, mapped } = this.#state;
    // The last possible generation cannot be followed by the commit that packing needs.
    if (index.header.generation >= MAX_GENERATION) return false;
    return areAllMapped(mapped) && endOfUse(index, mapped) >= 3 * canonicalLength(index, mapped, this.#crc32) + SLACK;
  }

  /** Steps 2 to 7 of a commit. */
  *#commit(given: readonly BitmapChange[], messages: FailureMessages): ChangePlan<void> {
    const { index, mapped } = this.#state;
    refuseCommit(index);
    const crc32 = this.#crc32;
    const sizeBefore = this.#fileSize;
    const prepared = yield* this.#prepare(given, messages);
    if (prepared === undefined) return yield* this.#fence();
    const { changes, writes, next } = prepared;
    // Step 2.
    yield* this.#fence();
    const { clusterSize, floor } = index;
    const context = { clusterSize, floor, sizeBefore, fileSize: this.#fileSize, crc32 };
    let end = this.#fileSize;
    const primary = yield* this.#guard(messages.beforePrimary, function* () {
      // Step 3: write data clusters, L1 areas and table into free space, then the mirror with generation N+1.
      end = yield* writeIntoFreeSpace(writes, next, context);
      yield* write([{ offset: mirrorOffset(clusterSize), bytes: next.headerArea }]);
      // Step 4: everything that the new header refers to is on the disk afterwards.
      yield* flush();
      // Step 5: read the primary again.
      return yield* readRange(0, HEADER_AREA_SIZE);
    });
    this.#refuseOtherWriter(primary);
    yield* this.#guard(messages.fromPrimaryOn, function* () {
      // Steps 6 and 7: write the primary and wait until it is on the disk.
      yield* write([{ offset: 0, bytes: next.headerArea }]);
      yield* flush();
    });
    this.#primary = next.headerArea;
    this.#fileSize = end;
    const committed = nextIndex(index, next, changes, end);
    // The L1 area of a bitmap that became all dirty is not held in memory, so the maps are read from the file.
    const isReadAgain = !areAllMapped(mapped) || changes.some(({ repair }) => repair !== undefined);
    if (isReadAgain) yield* this.#readMapsAgain(committed);
    else this.#state = { index: committed, mapped: nextMapped(committed, changes, writes, crc32) };
  }

  /** Steps 2 and 3 for clusters that have to be computed, and all that can be refused. Whatever fails, the file has the old state. */
  *#prepare(given: readonly BitmapChange[], messages: FailureMessages): ChangePlan<PreparedCommit | undefined> {
    const { writerId } = this.#options;
    const space = yield* freeSpaceOf(this.#state, this.#length());
    const store = (chunks: readonly FileChunk[]): ChangePlan<void> => this.#storeEarly(chunks, messages);
    try {
      return yield* prepareCommit(this.#state, given, { space, store, crc32: this.#crc32, writerId });
    } catch (error) {
      // The caller has to know why there was no commit, and not whether the file could be cut.
      if (this.#isFenced) yield* dropErrors(this.#cut("nothing was changed"));
      throw error;
    }
  }

  /** Step 3 for computed clusters: writes them into free space, after step 2. */
  *#storeEarly(chunks: readonly FileChunk[], messages: FailureMessages): ChangePlan<void> {
    yield* this.#fence();
    yield* this.#guard(messages.beforePrimary, () => write(chunks));
    for (const { offset, bytes } of chunks) this.#fileSize = Math.max(this.#fileSize, offset + bytes.length);
  }

  /** Step 5: ends the session if the primary has other bytes than this session read or wrote last. @throws {QdbError} POISONED */
  #refuseOtherWriter(primary: Uint8Array): void {
    if (equalBytes(primary, this.#primary)) return;
    this.#poisoned = new QdbError(
      "POISONED",
      "another writer committed meanwhile, the lock did not keep it out; what this one wrote may lie over it: check the file",
      { structure: "header", offset: 0 },
    );
    throw this.#poisoned;
  }

  /**
   * Reads and validates all L1 areas again after a commit to a file with a damaged bitmap, or after a repair. This comes before any other
   * allocation, move or cut: a cluster that had two owners may have one now, and an L1 area or cluster that was past the end of the file
   * may be inside it.
   */
  *#readMapsAgain(index: QdbIndex): ChangePlan<void> {
    const { digests } = this.#options;
    const mapped = yield* this.#guard("the change is stored; only looking at the bitmaps anew failed", () =>
      loadMaps(index, index.table.entries, digests),
    );
    this.#state = { index, mapped };
  }

  /**
   * Runs steps that change the file. Any failure ends the session (spec §5, Failure). `state` is added to the error message and says what
   * the file holds then.
   * @throws {QdbError} POISONED
   */
  *#guard<T>(state: string, steps: () => ChangePlan<T>): ChangePlan<T> {
    if (this.#poisoned !== undefined) throw this.#poisoned;
    try {
      return yield* steps();
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      const where = isQdbError(error) ? error.where : {};
      const message = `${error.message}; ${state}; open the file anew to go on`;
      this.#poisoned = new QdbError("POISONED", message, where, { cause: error });
      throw this.#poisoned;
    }
  }
}
