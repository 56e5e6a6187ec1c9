import type { Bitmap } from "./bitmap/bitmap.ts";
import type { BitmapShape } from "./bitmap/shape.ts";
import { type CheckSummary, checkPlan } from "./check/check.ts";
import { FileFindings } from "./check/file-findings.ts";
import type { Finding } from "./check/findings.ts";
import { RepairFindings } from "./check/repair-findings.ts";
import { repairBytes } from "./commit/cluster-repair.ts";
import { type Growth, growthOf } from "./commit/growth.ts";
import { repairPlan } from "./commit/repair.ts";
import { Session } from "./commit/session.ts";
import { writeImage } from "./commit/write-image.ts";
import type { PendingChange } from "./edit/container.ts";
import type { EditSource } from "./edit/edit-options.ts";
import type { Edits } from "./edit/edits.ts";
import { isQdbError, type Problem, QdbError } from "./errors.ts";
import { type Limits, maxRepairBytesOf } from "./limits.ts";
import type { FileState } from "./maps/load-maps.ts";
import type { BitsOptions } from "./open/before-bits.ts";
import type { MirrorOptions } from "./open/header-source.ts";
import type { Digests } from "./ports/digest.ts";
import { run, runSync } from "./ports/drivers.ts";
import { type ChangePlan, mapPut, type Plan } from "./ports/plan.ts";
import type { AnyStore } from "./ports/store.ts";
import { bitmapChanges, doubtedBitmaps, editsOf, wholeContents } from "./qdb-container.ts";

/** Options of an editor. */
export interface EditorOptions extends Limits, MirrorOptions, BitsOptions {
  readonly digests?: Digests | undefined;
  /** Returns 16 random bytes at each call: for the writer id, the file id and ids of bitmaps. */
  readonly randomId: () => Uint8Array;
  /** Whether a repair was asked for: then a primary without magic is accepted if a mirror is found. */
  readonly repair?: boolean | undefined;
  /**
   * Whether a merge and its like read bits when they are committed, once, and not in the action too. Damage of the bits ends the commit
   * then, before it changes anything, with the error that the action would have had.
   */
  readonly readsLater?: boolean | undefined;
}

/** The result of a commit. */
export interface CommitReport {
  /**
   * The problems of damaged bitmaps that became all dirty: those of a draft, which has no checksums to tell which bits are right, and
   * those that refer to clusters of a good bitmap, which would have been in error after the commit.
   */
  readonly madeDirty: readonly Problem[];
  /** Why the file grows with every commit and is not cut; undefined if it does not. */
  readonly growth: Growth | undefined;
}

/** The result of a repair. */
export interface RepairReport extends Pick<RepairFindings, "before" | "after" | "findings"> {
  readonly summary: CheckSummary;
  /** Whether something was repaired. */
  readonly written: boolean;
  /** Why the file grows with every commit and is not cut; undefined if it does not. */
  readonly growth: Growth | undefined;
}

/** The result of a check of the file, before or after a repair. */
interface Seen {
  readonly findings: FileFindings;
  readonly summary: CheckSummary;
  /** Whether anything can be repaired. */
  readonly isRepairable: boolean;
  /** Whether leaks are all that can be repaired. */
  readonly isLeakOnly: boolean;
}

/**
 * A QDB file that is open for changes. The caller holds the lock of the file (spec §5, step 1). Changes are collected in `edits`, and
 * one commit writes all of them or none. A draft file is rewritten whole, in full form.
 */
export class QdbEditor {
  readonly #store: AnyStore;
  readonly #options: EditorOptions;
  #session: Session;
  /** Made at the first access, since the list of pending bitmaps takes memory that a repair needs for other things (spec §7.4). */
  #edits: Edits | undefined;
  /** Whether this editor stored a change on the disk. */
  #hasStored = false;

  private constructor(store: AnyStore, options: EditorOptions, session: Session) {
    this.#store = store;
    this.#options = options;
    this.#session = session;
  }

  /** Opens a file for changes. @throws {QdbError} the first error of the file; BAD_MAGIC */
  static async open(store: AnyStore, options: EditorOptions): Promise<QdbEditor> {
    return new QdbEditor(store, options, await openSession(store, options));
  }

  /** The generation that was opened or, after a commit, the one committed last. */
  get state(): FileState {
    return this.#session.state;
  }

  /** The changes that the next commit makes. An action that failed has changed none of them. */
  get edits(): Edits {
    this.#edits ??= this.#newEdits();
    return this.#edits;
  }

  /** Runs a reading plan of `edits`. @throws {QdbError} what the plan throws */
  async read<T>(plan: Plan<T>): Promise<T> {
    return run(plan, this.#store);
  }

  /**
   * Returns a copy of the bits of a bitmap with the changes so far, such as those of the source of a merge. `beforeBits` is
   * called after they are read and before they are returned; `change` does not call it, since a bitmap that is changed is no source.
   * @throws {QdbError} as {@link Edits.bits}, and what `beforeBits` throws
   */
  async bits(name: string): Promise<Bitmap> {
    const bits = await this.read(this.edits.bits(name));
    await this.#options.beforeBits?.({ label: name, records: this.edits.records(name) });
    return bits;
  }

  /**
   * Returns the bits of a bitmap with the changes so far as the source of a merge or the like. They are read as they are needed; actions
   * that follow have no effect on them. `beforeBits` is called before they are returned.
   * @throws {QdbError} as {@link Edits.source}, and what `beforeBits` throws
   */
  async source(name: string): Promise<EditSource> {
    const source = this.edits.source(name);
    await this.#options.beforeBits?.({ label: name, records: this.edits.records(name) });
    return source;
  }

  /** Returns size and granularity of a bitmap, with the changes so far. @throws {QdbError} NOT_FOUND */
  shape(name: string): BitmapShape {
    return this.edits.shape(name);
  }

  /** Changes the bits of a bitmap by a callback, which gets a copy of them. @throws {QdbError} as {@link Edits.change} */
  async change(name: string, callback: (bits: Bitmap) => Bitmap): Promise<void> {
    await this.read(this.edits.change(name, callback));
  }

  /**
   * Commits the changes. When it resolves, they are on the disk; if there are none, the state that was opened is.
   * @throws {QdbError} POISONED, the message says which state the file is in; PATH_CHANGED if the path names another file by now; the code of the rule that a change would break; NOT_SUPPORTED
   */
  async commit(): Promise<CommitReport> {
    if (this.#session.poisoned !== undefined) throw this.#session.poisoned;
    const pending = this.#edits === undefined ? undefined : await this.read(this.#edits.findChanges());
    if (pending === undefined) {
      await runChange(this.#session.fence(), this.#store);
      this.#edits = undefined;
      return { madeDirty: [], growth: undefined };
    }
    let madeDirty: readonly Problem[];
    if (this.state.index.form === "draft") {
      madeDirty = doubtedBitmaps(this.state, pending);
      await this.#rewrite(pending);
    } else {
      madeDirty = await runChange(this.#session.commit(bitmapChanges(this.state, pending)), this.#store);
    }
    this.#hasStored = true;
    this.#edits = undefined;
    return { madeDirty, growth: growthOf(this.state) };
  }

  /**
   * Repairs the file by a commit, without losing a dirty bit (spec §7.3): a damaged copy of the header is written again, bits that cannot be
   * trusted become dirty, bits past the end of a bitmap and padding become zero, and leaks are cut off. If there is nothing to repair, the file is
   * not changed, but its state is on the disk when this resolves. Memory stays in the bounds of spec §7.4, however many bitmaps are
   * damaged.
   * @throws {QdbError} POISONED, the message says which state the file is in; PATH_CHANGED if the path names another file by now; LIMIT if more than `maxRepairBytes` would be written: then nothing is written
   */
  async repair(): Promise<RepairReport> {
    if (this.#session.poisoned !== undefined) throw this.#session.poisoned;
    await this.#store.refresh?.();
    const before = await this.#check();
    if (!before.isRepairable) {
      await runChange(this.#session.fence(), this.#store);
      // No commit can follow the last generation, but the fence restored a damaged primary.
      if (before.summary.headerSource !== "mirror") return this.#report(before, before, false);
    } else if (before.isLeakOnly) {
      await runChange(this.#session.fence(), this.#store);
      await runChange(this.#session.cut(), this.#store);
    } else {
      await this.#commitRepair();
    }
    this.#hasStored = true;
    this.#edits = undefined;
    return this.#afterStoring(async () => {
      await this.#store.refresh?.();
      return this.#report(before, await this.#check(), true);
    });
  }

  /** Commits a repair of all bitmaps that can be repaired. @throws {QdbError} as {@link repair} */
  async #commitRepair(): Promise<void> {
    const { digests } = this.#options;
    const maxRepairBytes = maxRepairBytesOf(this.#options);
    const next = await run(repairPlan(this.state, digests), this.#store);
    const needed = repairBytes(next, this.state.index);
    if (needed > maxRepairBytes) {
      throw new QdbError(
        "LIMIT",
        `the damaged bitmaps take ${needed} bytes when they are all dirty, at most ${maxRepairBytes} are allowed; remove some of them first`,
      );
    }
    await runChange(this.#session.commit(next), this.#store);
  }

  #report(before: Seen, after: Seen, written: boolean): RepairReport {
    const growth = written ? growthOf(this.state) : undefined;
    return Object.assign(new RepairFindings(before.findings, after.findings), {
      summary: after.summary,
      written,
      growth,
    });
  }

  /** Closes the store, which releases its lock. @throws {QdbError} what the store throws; if this editor stored a change, the message says so */
  async close(): Promise<void> {
    await this.#afterStoring(async () => this.#store.close?.());
  }

  /** Does work that may follow a commit. If it fails and this editor stored a change, the error says so. */
  async #afterStoring<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!this.#hasStored || !isQdbError(error)) throw error;
      throw new QdbError(error.code, `${error.message}; the change is stored`, error.where, { cause: error });
    }
  }

  /** Checks the file. Keeps no list of findings: they are found again when they are read. */
  async #check(): Promise<Seen> {
    const keptFindings = new FileFindings();
    const { fixedSize } = this.#store;
    let isRepairable = false;
    let isLeakOnly = true;
    const plan = mapPut<CheckSummary, Finding, never>(
      checkPlan(this.#store.size, this.#options.digests, { fixedSize, keptFindings }),
      ({ repairable, code }) => {
        if (!repairable) return undefined;
        isRepairable = true;
        isLeakOnly &&= code === "LEAK";
        return undefined;
      },
    );
    const summary = await run(plan, this.#store);
    return { findings: keptFindings, summary, isRepairable, isLeakOnly };
  }

  async #rewrite(changes: readonly PendingChange[]): Promise<void> {
    const ids = { fileId: this.#options.randomId(), writerId: this.#options.randomId() };
    const contents = await this.read(wholeContents(this.state, changes, { ...this.#options, form: "full", ...ids }));
    const image = writeImage(contents, this.#options.digests);
    if ("replaceSync" in this.#store && this.#store.replaceSync !== undefined) this.#store.replaceSync(image);
    else if ("replace" in this.#store && this.#store.replace !== undefined) await this.#store.replace(image);
    else
      throw new QdbError(
        "NOT_SUPPORTED",
        "a draft file is changed by rewriting it whole, which cannot be done here; write its JSON form into a new file",
      );
    // From here on the new file is in place, even if opening it fails.
    this.#hasStored = true;
    await this.#afterStoring(async () => {
      await this.#store.refresh?.();
      this.#session = await openSession(this.#store, this.#options);
    });
    await runChange(this.#session.confirm(), this.#store);
  }

  #newEdits(): Edits {
    const { maxBitmapBytes, acceptMirror = false, randomId, readsLater } = this.#options;
    const bounds = maxBitmapBytes === undefined ? {} : { maxBitmapBytes };
    return editsOf(this.state, { newId: randomId, acceptMirror, readsLater, ...bounds });
  }
}

async function openSession(store: AnyStore, options: EditorOptions): Promise<Session> {
  const { digests = {}, randomId, repair = false } = options;
  return runChange(
    Session.open(store.size, { digests, writerId: randomId(), repair, fixedSize: store.fixedSize }),
    store,
  );
}

/** Runs a plan that writes. On a synchronous store no other call runs in between. */
async function runChange<T>(plan: ChangePlan<T>, store: AnyStore): Promise<T> {
  return "readSync" in store ? runSync(plan, store) : run(plan, store);
}
