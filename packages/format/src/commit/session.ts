import { isQdbError, type Problem, QdbError } from "../errors.ts";
import { equalBytes } from "../layout/bytes.ts";
import { HEADER_AREA_SIZE, MAX_GENERATION } from "../limits.ts";
import { type FileState, loadMaps } from "../maps/load-maps.ts";
import { allMapped, BLOCK, endOfUse } from "../maps/reached.ts";
import { keptMirror, type QdbIndex, readIndex } from "../open/qdb-index.ts";
import { type Crc32, type Digests, crc32 as ownCrc32 } from "../ports/digest.ts";
import type { FileChunk } from "../ports/file-image.ts";
import { type ChangePlan, confirm, flush, read, readRange, truncate, write } from "../ports/plan.ts";
import { mirrorOffset } from "../records/header.ts";
import { allocateWrites, padToCluster } from "./allocate-writes.ts";
import type { BitmapChange } from "./bitmap-change.ts";
import { CHANGE, DONE, type FailureMessages, NOTHING_DONE, PACKING, type PathMessages } from "./failure-messages.ts";
import { type FileLength, freeSpaceOf } from "./free-space.ts";
import { copiedBytes } from "./mend.ts";
import { encodeNextGeneration, nextIndex, nextMapped } from "./next-generation.ts";
import { canonicalLength, movesOf } from "./packing.ts";
import { protectGoodBitmaps } from "./protect-good-bitmaps.ts";

/** What opening for writing takes. */
export interface SessionOptions {
  readonly digests: Digests;
  /** 16 random bytes, new for each session. */
  readonly writerId: Uint8Array;
  /** A repair that was asked for: a primary with bad magic is not refused. */
  readonly repair: boolean;
  /** Whether the file's length is not its own to choose, as a device's: nothing is cut then, and it cannot be too long. */
  readonly fixedSize?: boolean | undefined;
}

/** Times that a file is packed anew before it is left as it is: two always do. */
const MAX_PACKINGS = 3;
/** How much longer than its content a file may be (spec §5, Space). */
const SLACK = 64 * 1024;

/**
 * One opening of a file for writing, under its lock: the only way in which a full file changes (spec §5).
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
  /** The 4096 bytes of the primary that this session opened with or wrote last. */
  #primary: Uint8Array;
  /** The mirror's bytes as they were at opening; never read again. */
  readonly #mirror: Uint8Array;
  #fileSize: number;
  #fenced = false;
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
   * Step 1 of a commit, the lock being held: reads primary and mirror once, chooses the header, validates header, table,
   * all L1 areas, ownership.
   * @throws {QdbError} the first error of the file; BAD_MAGIC
   */
  static *open(fileSize: number, options: SessionOptions): ChangePlan<Session> {
    const index = yield* readIndex(fileSize, options.digests);
    const { bytes, unread } = index.opened.primary;
    if (index.opened.offset !== 0 && !options.repair && !hasMagic(bytes)) {
      if (unread !== undefined && bytes.length === 0) throw unreadPrimary(unread);
      throw new QdbError(
        "BAD_MAGIC",
        "the file does not begin with 51 44 42 00, but a mirror of a header stands in it; qdb check -r restores it",
        {
          structure: "header",
          offset: 0,
        },
      );
    }
    const maps = yield* loadMaps(index, index.table.entries, options.digests);
    const mirror = yield* keptMirror(index, fileSize);
    return new Session(options, { index, mapped: maps.bitmaps() }, mirror);
  }

  /** What ended the session; undefined while it goes on. */
  get poisoned(): QdbError | undefined {
    return this.#poisoned;
  }

  /** What the file says now: the generation that was opened, or committed last. */
  get state(): FileState {
    return this.#state;
  }

  /**
   * Makes certain that what was opened is on the disk, and that the path still names it: without that nothing that it says counts as
   * acknowledged, success with nothing to change neither.
   * @throws {QdbError} POISONED, PATH_CHANGED
   */
  *fence(): ChangePlan<void> {
    yield* this.#fence();
    yield* this.#confirm(NOTHING_DONE);
  }

  /** Step 2, once a session, before its first write. */
  *#fence(): ChangePlan<void> {
    if (this.#poisoned !== undefined) throw this.#poisoned;
    if (this.#fenced) return;
    yield* this.#guard("nothing was changed", function* (this: Session) {
      yield* flush();
      // The primary was bad, or equal: an earlier write of it may not have reached the disk, the mirror has. Good but
      // different: the primary is on the disk, and the mirror is a commit that never happened.
      if (equalBytes(this.#mirror, this.#state.index.opened.bytes)) {
        yield* write([{ offset: 0, bytes: this.#mirror }]);
        this.#primary = this.#mirror;
        yield* flush();
      }
    });
    this.#fenced = true;
  }

  /**
   * Commits what the file is to say: the bitmaps of the next generation, in order. When it returns, they are on the disk.
   * The file is then cut, and packed where it would stay too long; neither while a bitmap was not read good.
   * Gives what is wrong with the bitmaps that it had to make all dirty for the sake of others.
   * @throws {QdbError} POISONED, its message says whether the old or the new state is there; PATH_CHANGED; LIMIT; OVERLAP where a damaged bitmap would bring a good one into error
   */
  *commit(bitmaps: readonly BitmapChange[]): ChangePlan<readonly Problem[]> {
    const next = allMapped(this.#state.mapped)
      ? { bitmaps, madeDirty: [] }
      : yield* protectGoodBitmaps(this.#state, bitmaps, this.#length, this.#options.digests);
    yield* this.#commit(next.bitmaps, CHANGE);
    for (let packing = 0; packing < MAX_PACKINGS && this.#isTooLong(); packing++) {
      yield* this.#commit(yield* movesOf(this.#state, this.#crc32), PACKING);
    }
    yield* this.cut();
    return next.madeDirty;
  }

  /** Cuts off what lies behind the last cluster in use. Only after a commit or a fence. @throws {QdbError} POISONED, PATH_CHANGED */
  *cut(): ChangePlan<void> {
    yield* this.#cut();
    yield* this.confirm();
  }

  /** The last step before a change counts as done: who opens the path later must find it. @throws {QdbError} PATH_CHANGED; IO where it cannot be seen */
  *confirm(): ChangePlan<void> {
    yield* this.#confirm(DONE);
  }

  *#confirm(outcome: PathMessages): ChangePlan<void> {
    if (this.#poisoned !== undefined) throw this.#poisoned;
    try {
      yield* confirm();
    } catch (error) {
      if (!isQdbError(error)) throw error;
      const { code, message, where } = error;
      const what = code === "PATH_CHANGED" ? outcome.gone : outcome.unknown;
      this.#poisoned = new QdbError(code, `${message}; ${what}`, where, { cause: error });
      throw this.#poisoned;
    }
  }

  *#cut(): ChangePlan<void> {
    const { index, mapped } = this.#state;
    if (this.#options.fixedSize === true || !allMapped(mapped)) return;
    const end = endOfUse(index, mapped);
    if (this.#fileSize <= end) return;
    yield* this.#guard("the change is stored; only the space behind it was not given back", function* (this: Session) {
      yield* truncate(end);
      yield* flush();
    });
    this.#fileSize = end;
  }

  get #length(): FileLength {
    return { size: this.#fileSize, fixed: this.#options.fixedSize === true };
  }

  /** Whether the file, cut, would be longer than its content allows (spec §5, Space). */
  #isTooLong(): boolean {
    const { index, mapped } = this.#state;
    // The last generation stays as long as it is: no commit can follow to pack it.
    if (index.header.generation >= MAX_GENERATION) return false;
    return allMapped(mapped) && endOfUse(index, mapped) >= 3 * canonicalLength(index, mapped, this.#crc32) + SLACK;
  }

  /** Steps 2 to 7. */
  *#commit(bitmaps: readonly BitmapChange[], outcome: FailureMessages): ChangePlan<void> {
    const { index, mapped } = this.#state;
    if (index.form === "draft")
      throw new QdbError("NOT_SUPPORTED", "a draft file is never changed in place; it is rewritten whole");
    if (index.header.generation >= MAX_GENERATION) {
      throw new QdbError(
        "LIMIT",
        "the file's generation is 2^64-1: no commit can follow; dump it and load it into a new file",
        { structure: "header", field: "generation" },
      );
    }
    const space = yield* freeSpaceOf(this.#state, this.#length);
    const crc32 = this.#crc32;
    const placed = allocateWrites(bitmaps, space, index, crc32);
    const next = encodeNextGeneration(index, bitmaps, placed, space, { crc32, writerId: this.#options.writerId });
    yield* this.#fence();
    const fileSize = this.#fileSize;
    let end = Math.max(fileSize, index.floor);
    const store = function* (chunks: Iterable<FileChunk>): ChangePlan<void> {
      for (const chunk of chunks) {
        end = Math.max(end, chunk.offset + chunk.bytes.length);
        yield* write([chunk]);
      }
    };
    let seen: Uint8Array | undefined;
    yield* this.#guard(outcome.before, function* () {
      // Step 3: data clusters, L1 areas and table into free space, then the mirror with generation N+1.
      for (const part of placed) {
        yield* store(part.chunks?.() ?? []);
        for (const copy of part.copies ?? []) {
          const [bytes] = yield* read([{ offset: copy.from, length: index.clusterSize }]);
          if (bytes !== undefined) yield* store([{ offset: copy.to, bytes: copiedBytes(bytes, copy, crc32) }]);
        }
      }
      if (next.tableOffset > 0)
        yield* store([padToCluster({ offset: next.tableOffset, bytes: next.table }, index.clusterSize)]);
      // A file system that makes a file longer may write the block again that it ended in: none that is committed by then.
      if (end > fileSize && end % BLOCK !== 0)
        yield* store([{ offset: end, bytes: new Uint8Array(BLOCK - (end % BLOCK)) }]);
      yield* write([{ offset: mirrorOffset(index.clusterSize), bytes: next.area }]);
      // Step 4.
      yield* flush();
      // Step 5.
      seen = yield* readRange(0, HEADER_AREA_SIZE);
    });
    if (seen === undefined || !equalBytes(seen, this.#primary)) {
      this.#poisoned = new QdbError(
        "POISONED",
        "another writer committed meanwhile, the lock did not keep it out; what this one wrote may lie over it: check the file",
        { structure: "header", offset: 0 },
      );
      throw this.#poisoned;
    }
    yield* this.#guard(outcome.within, function* () {
      // Step 6 and step 7.
      yield* write([{ offset: 0, bytes: next.area }]);
      yield* flush();
    });
    this.#primary = next.area;
    this.#fileSize = end;
    const committed = nextIndex(index, next, bitmaps, end);
    // What a repair stored is held nowhere.
    if (!allMapped(mapped) || bitmaps.some(({ mend }) => mend !== undefined)) yield* this.#judge(committed);
    else this.#state = { index: committed, mapped: nextMapped(committed, bitmaps, placed, crc32) };
  }

  /**
   * Looks anew at the bitmaps of a file in which one was not read good: what it shared with others may be theirs alone now, and what it
   * named behind the end of the file may lie inside. Before anything is allocated, moved or cut.
   */
  *#judge(index: QdbIndex): ChangePlan<void> {
    yield* this.#guard("the change is stored; only looking at the bitmaps anew failed", function* (this: Session) {
      const maps = yield* loadMaps(index, index.table.entries, this.#options.digests);
      this.#state = { index, mapped: maps.bitmaps() };
    });
  }

  /** Runs steps that write; the first that fails ends the session (spec §5, Failure). */
  *#guard<T>(outcome: string, steps: (this: Session) => ChangePlan<T>): ChangePlan<T> {
    if (this.#poisoned !== undefined) throw this.#poisoned;
    try {
      return yield* steps.call(this);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      const { message } = error;
      const where = isQdbError(error) ? error.where : {};
      this.#poisoned = new QdbError("POISONED", `${message}; ${outcome}; open the file anew to go on`, where, {
        cause: error,
      });
      throw this.#poisoned;
    }
  }
}

/** Nobody knows whose file it is, but what its mirror says. */
function unreadPrimary({ code, message }: QdbError): QdbError {
  const where = { structure: "header", offset: 0 };
  return new QdbError(
    code,
    `the header cannot be read: ${message}; a mirror of one stands in the file; qdb check -r writes the header anew from it`,
    where,
  );
}

function hasMagic(bytes: Uint8Array): boolean {
  return bytes[0] === 0x51 && bytes[1] === 0x44 && bytes[2] === 0x42 && bytes[3] === 0;
}
