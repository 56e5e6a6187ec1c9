import { isQdbError, type Problem, QdbError } from "../errors.ts";
import { equalBytes } from "../layout/bytes.ts";
import { HEADER_AREA_SIZE, MAX_GENERATION } from "../limits.ts";
import { endOfUse } from "../maps/generation-space.ts";
import { type FileState, loadMaps } from "../maps/load-maps.ts";
import { areAllMapped } from "../maps/mapped-bitmap.ts";
import { keptMirror, type QdbIndex, readIndex } from "../open/qdb-index.ts";
import { type Crc32, type Digests, crc32 as ownCrc32 } from "../ports/digest.ts";
import { type ChangePlan, confirm, flush, readRange, truncate, write } from "../ports/plan.ts";
import { mirrorOffset } from "../records/header.ts";
import { allocateWrites } from "./allocate-writes.ts";
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
import { encodeNextGeneration, nextIndex, nextMapped } from "./next-generation.ts";
import { canonicalLength, packingPlan } from "./packing.ts";
import { protectGoodBitmaps } from "./protect-good-bitmaps.ts";
import { refuseCommit, refuseForeignPrimary } from "./refusals.ts";
import { writeIntoFreeSpace } from "./write-generation.ts";

/** What a session needs from its host. */
export interface SessionOptions {
  readonly digests: Digests;
  /** 16 random bytes, new for each session. */
  readonly writerId: Uint8Array;
  /** Whether a repair was asked for: then a primary without magic is accepted if a mirror is found. */
  readonly repair: boolean;
  /** Whether the length of the file is fixed, as that of a device: then it is never cut or packed. */
  readonly fixedSize?: boolean | undefined;
}

/** Most times that a file is packed after a commit. Two always suffice. */
const MAX_PACKINGS = 3;
/** Bytes that a file may have beyond three times its canonical length (spec §5, Space). */
const SLACK = 64 * 1024;

/**
 * A file that is open for writing, under its lock. All changes of a full file go through a session (spec §5).
 *
 * I1: the primary is only overwritten with bytes that the mirror holds and an fsync has covered since.
 *
 * I2: the mirror is only overwritten while the primary is known to be on the disk, and with a higher generation than the
 * primary's (creation excepted; repair too is a commit).
 */
export class Session {
  readonly #options: SessionOptions;
  readonly #crc32: Crc32;
  #state: FileState;
  /** The 4096 bytes of the primary as this session read them, or as it wrote them last. */
  #primary: Uint8Array;
  /** The bytes of the mirror as they were when the file was opened; never read again. */
  readonly #mirror: Uint8Array;
  #fileSize: number;
  #isFenced = false;
  /** The error that ended the session. */
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
   * Step 1 of a commit; the caller holds the lock. Reads primary and mirror once, chooses the header, and validates header, table, all
   * L1 areas and the ownership of clusters.
   * @throws {QdbError} the first error of the file; BAD_MAGIC
   */
  static *open(fileSize: number, options: SessionOptions): ChangePlan<Session> {
    const index = yield* readIndex(fileSize, options.digests);
    if (!options.repair) refuseForeignPrimary(index);
    const mapped = yield* loadMaps(index, index.table.entries, options.digests);
    const mirror = yield* keptMirror(index, fileSize);
    return new Session(options, { index, mapped }, mirror);
  }

  /** The error that ended the session; undefined while it goes on. */
  get poisoned(): QdbError | undefined {
    return this.#poisoned;
  }

  /** The generation that was opened or, after a commit, the one committed last. */
  get state(): FileState {
    return this.#state;
  }

  /**
   * Ensures that the state that was opened is on the disk, and that the path still names the file. Needed before success is reported
   * even if there is nothing to change.
   * @throws {QdbError} POISONED, PATH_CHANGED
   */
  *fence(): ChangePlan<void> {
    yield* this.#fence();
    yield* this.#confirm(NOTHING_CHANGED);
  }

  /** Step 2: once a session, before its first write. */
  *#fence(): ChangePlan<void> {
    if (this.#poisoned !== undefined) throw this.#poisoned;
    if (this.#isFenced) return;
    yield* this.#guard("nothing was changed", () => this.#flushOpenedState());
    this.#isFenced = true;
  }

  *#flushOpenedState(): ChangePlan<void> {
    yield* flush();
    // If the mirror has the bytes of the header that was opened, an earlier write of the primary may not have reached the disk, so it
    // is written again. If it has others, they are a commit that did not happen, and the primary is on the disk (I2).
    if (!equalBytes(this.#mirror, this.#state.index.opened.bytes)) return;
    yield* write([{ offset: 0, bytes: this.#mirror }]);
    this.#primary = this.#mirror;
    yield* flush();
  }

  /**
   * Commits the bitmaps of the next generation, in order. When it returns, they are on the disk. Unless a bitmap is damaged, the file
   * is then packed if it is too long, and cut behind its last used cluster. Returns the problems of damaged bitmaps that became all
   * dirty to keep good ones good.
   * @throws {QdbError} POISONED, the message says whether the old or the new state is on the disk; PATH_CHANGED; LIMIT; OVERLAP if a damaged bitmap would bring a good one into error
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

  /** Cuts the file behind its last used cluster. Only after a commit or a fence. @throws {QdbError} POISONED, PATH_CHANGED */
  *cut(): ChangePlan<void> {
    yield* this.#cut();
    yield* this.confirm();
  }

  /** Checks that the path still names the file: the last step before a change counts as done. @throws {QdbError} PATH_CHANGED; IO if the path cannot be looked at */
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

  *#cut(): ChangePlan<void> {
    const { index, mapped } = this.#state;
    if (this.#options.fixedSize === true || !areAllMapped(mapped)) return;
    const end = endOfUse(index, mapped);
    if (this.#fileSize <= end) return;
    yield* this.#guard("the change is stored; only the space behind it was not given back", function* () {
      yield* truncate(end);
      yield* flush();
    });
    this.#fileSize = end;
  }

  #length(): FileLength {
    return { size: this.#fileSize, fixed: this.#options.fixedSize === true };
  }

  /** Whether the file, cut, would be longer than its contents allow (spec §5, Space). */
  #isTooLong(): boolean {
    const { index, mapped } = this.#state;
    // No commit can follow the last generation.
    if (index.header.generation >= MAX_GENERATION) return false;
    return areAllMapped(mapped) && endOfUse(index, mapped) >= 3 * canonicalLength(index, mapped, this.#crc32) + SLACK;
  }

  /** Steps 2 to 7. */
  *#commit(changes: readonly BitmapChange[], messages: FailureMessages): ChangePlan<void> {
    const { index, mapped } = this.#state;
    refuseCommit(index);
    const crc32 = this.#crc32;
    const space = yield* freeSpaceOf(this.#state, this.#length());
    const writes = allocateWrites(changes, space, index, crc32);
    const { writerId } = this.#options;
    const next = encodeNextGeneration(index, changes, writes, space, { crc32, writerId });
    // Step 2.
    yield* this.#fence();
    const { clusterSize, floor } = index;
    const context = { clusterSize, floor, fileSize: this.#fileSize, crc32 };
    let end = this.#fileSize;
    const seen = yield* this.#guard(messages.beforePrimary, function* () {
      // Step 3: data clusters, L1 areas and table into free space, then the mirror with generation N+1.
      end = yield* writeIntoFreeSpace(writes, next, context);
      yield* write([{ offset: mirrorOffset(clusterSize), bytes: next.headerArea }]);
      // Step 4.
      yield* flush();
      // Step 5.
      return yield* readRange(0, HEADER_AREA_SIZE);
    });
    this.#refuseOtherWriter(seen);
    yield* this.#guard(messages.fromPrimaryOn, function* () {
      // Steps 6 and 7.
      yield* write([{ offset: 0, bytes: next.headerArea }]);
      yield* flush();
    });
    this.#primary = next.headerArea;
    this.#fileSize = end;
    const committed = nextIndex(index, next, changes, end);
    // A repair does not hold what it wrote.
    const isReadAgain = !areAllMapped(mapped) || changes.some(({ repair }) => repair !== undefined);
    if (isReadAgain) yield* this.#readMapsAgain(committed);
    else this.#state = { index: committed, mapped: nextMapped(committed, changes, writes, crc32) };
  }

  /** @throws {QdbError} POISONED if the primary is not the one that this session knows */
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
   * Reads and validates all L1 areas again after a commit of a file with a damaged bitmap, before anything else is allocated, moved or
   * cut. A cluster that it shared may have one owner now, and what it referred to behind the end may lie inside the file.
   */
  *#readMapsAgain(index: QdbIndex): ChangePlan<void> {
    const { digests } = this.#options;
    const mapped = yield* this.#guard("the change is stored; only looking at the bitmaps anew failed", () =>
      loadMaps(index, index.table.entries, digests),
    );
    this.#state = { index, mapped };
  }

  /** Runs steps that write. A failure ends the session (spec §5, Failure); `state` says in the message what the file holds then. */
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
