import type { Bitmap } from "./bitmap/bitmap.ts";
import type { BitmapShape } from "./bitmap/shape.ts";
import { type CheckSummary, checkPlan, type Finding } from "./check/check.ts";
import { FileFindings } from "./check/file-findings.ts";
import { RepairFindings } from "./check/repair-findings.ts";
import { repairBytes } from "./commit/cluster-repair.ts";
import { type Growth, growthOf } from "./commit/growth.ts";
import { repairPlan } from "./commit/repair.ts";
import { Session } from "./commit/session.ts";
import { writeImage } from "./commit/write-image.ts";
import { Edits } from "./edit/edits.ts";
import { isQdbError, type Problem, QdbError } from "./errors.ts";
import { DEFAULT_MAX_REPAIR_BYTES, type Limits } from "./limits.ts";
import type { FileState } from "./maps/load-maps.ts";
import type { MirrorOptions } from "./open/header-source.ts";
import type { Digests } from "./ports/digest.ts";
import { run, runSync } from "./ports/drivers.ts";
import { type ChangePlan, mapPut, type Plan } from "./ports/plan.ts";
import type { AnyStore } from "./ports/store.ts";

/** What an editor needs. */
export interface EditorOptions extends Limits, MirrorOptions {
  readonly digests?: Digests;
  /** 16 random bytes at each call: the writer id, and ids of bitmaps. */
  readonly randomId: () => Uint8Array;
  /** A repair that was asked for: a primary with bad magic is not refused. */
  readonly repair?: boolean;
}

/** What a commit left behind beside its changes. */
export interface CommitReport {
  /**
   * What is wrong with damaged bitmaps that became all dirty: those of a draft, since nothing told which of their bits are right, and those
   * whose references would have brought a good bitmap into error.
   */
  readonly madeDirty: readonly Problem[];
  /** Why the file grows with every commit and is not cut; undefined when it does not. */
  readonly growth: Growth | undefined;
}

/** What a repair came to. */
export interface RepairReport extends Pick<RepairFindings, "before" | "after" | "findings"> {
  readonly summary: CheckSummary;
  /** Whether something was put right. */
  readonly written: boolean;
  /** Why the file grows with every commit and is not cut; undefined when it does not. */
  readonly growth: Growth | undefined;
}

/** What a check came to. */
interface Seen {
  readonly findings: FileFindings;
  readonly summary: CheckSummary;
  /** Whether anything can be put right. */
  readonly isRepairable: boolean;
  /** Whether that is a leak at most. */
  readonly isLeakOnly: boolean;
}

/**
 * A QDB file open for changes. Who makes one holds the file's lock (spec §5, step 1). Changes gather in `edits`, and reach the
 * disk in one commit, all of them or none. A draft file is rewritten whole, in full form.
 */
export class QdbEditor {
  readonly #store: AnyStore;
  readonly #options: EditorOptions;
  #session: Session;
  #edits: Edits;
  /** Whether a change of this editor is on the disk. */
  #hasStored = false;

  private constructor(store: AnyStore, options: EditorOptions, session: Session) {
    this.#store = store;
    this.#options = options;
    this.#session = session;
    this.#edits = this.#newEdits();
  }

  /** Opens a file for changes. @throws {QdbError} the first error of the file; BAD_MAGIC */
  static async open(store: AnyStore, options: EditorOptions): Promise<QdbEditor> {
    return new QdbEditor(store, options, await openSession(store, options));
  }

  /** What the file says: the generation that was opened, or committed last. */
  get state(): FileState {
    return this.#session.state;
  }

  /** The changes that the next commit makes. After a failed action start over from a new editor: a part of it may be in them. */
  get edits(): Edits {
    return this.#edits;
  }

  /** Runs a plan of `edits` that reads. @throws {QdbError} what it throws */
  async read<T>(plan: Plan<T>): Promise<T> {
    return run(plan, this.#store);
  }

  /** The bits of a bitmap with the changes so far, to be read only. @throws {QdbError} as {@link Edits.bits} */
  async bits(name: string): Promise<Bitmap> {
    return this.read(this.#edits.bits(name));
  }

  /** Size and granularity of a bitmap. @throws {QdbError} NOT_FOUND */
  shape(name: string): BitmapShape {
    return this.#edits.shape(name);
  }

  /** Changes the bits of a bitmap; `removes` says whether dirt may go. @throws {QdbError} as {@link Edits.change} */
  async change(name: string, change: (bits: Bitmap) => Bitmap, removes: boolean): Promise<void> {
    await this.read(this.#edits.change(name, change, removes));
  }

  /**
   * Brings the changes to the disk. When it resolves they are there; without any change, what was opened is known to be.
   * @throws {QdbError} POISONED, the message says which state the file is in; PATH_CHANGED where the path names another file by now; the rule that a change would break; NOT_SUPPORTED
   */
  async commit(): Promise<CommitReport> {
    const changes = this.#edits.findChanges();
    if (changes === undefined) {
      await runChange(this.#session.fence(), this.#store);
      this.#edits = this.#newEdits();
      return { madeDirty: [], growth: undefined };
    }
    let madeDirty: readonly Problem[];
    if (this.state.index.form === "draft") {
      madeDirty = this.#edits.doubted();
      await this.#rewrite();
    } else {
      madeDirty = await runChange(this.#session.commit(changes), this.#store);
    }
    this.#hasStored = true;
    this.#edits = this.#newEdits();
    return { madeDirty, growth: growthOf(this.state) };
  }

  /**
   * Puts right what can be put right without losing a dirty bit, by a commit (spec §7.3): a bad header copy, what cannot be trusted
   * becomes dirty, tails and padding become zero, leaks are cut off. Where there is nothing to put right, nothing changes, but what
   * was found is known to be on the disk when this resolves. However many bitmaps are damaged, and however large they are, memory stays
   * in the bounds of spec §7.4.
   * @throws {QdbError} POISONED, PATH_CHANGED; LIMIT where more than `maxRepairBytes` would be stored, and then nothing was
   */
  async repair(): Promise<RepairReport> {
    if (this.#session.poisoned !== undefined) throw this.#session.poisoned;
    await this.#store.refresh?.();
    const before = await this.#check();
    if (!before.isRepairable) {
      await runChange(this.#session.fence(), this.#store);
      // At the last generation nothing can be committed, but the fence restores a damaged primary.
      if (before.summary.headerSource !== "mirror") return this.#report(before, before, false);
    } else if (before.isLeakOnly) {
      await runChange(this.#session.fence(), this.#store);
      await runChange(this.#session.cut(), this.#store);
    } else {
      await this.#mend();
    }
    this.#hasStored = true;
    this.#edits = this.#newEdits();
    return this.#afterStoring(async () => {
      await this.#store.refresh?.();
      return this.#report(before, await this.#check(), true);
    });
  }

  /** @throws {QdbError} LIMIT where more would be stored than allowed */
  async #mend(): Promise<void> {
    const { digests, maxRepairBytes = DEFAULT_MAX_REPAIR_BYTES } = this.#options;
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

  /** Closes the store, and with it the lock. @throws {QdbError} what the store throws; the message says whether a change is stored all the same */
  async close(): Promise<void> {
    await this.#afterStoring(async () => this.#store.close?.());
  }

  /** Does work; where it fails, and a change of this editor is on the disk by then, the error says so. */
  async #afterStoring<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!this.#hasStored || !isQdbError(error)) throw error;
      throw new QdbError(error.code, `${error.message}; the change is stored`, error.where, { cause: error });
    }
  }

  /** Looks at everything. What is found is not held, but found again when it is asked for. */
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

  async #rewrite(): Promise<void> {
    const ids = { fileId: this.#options.randomId(), writerId: this.#options.randomId() };
    const contents = await this.read(this.#edits.contents("full", ids));
    const image = writeImage(contents, this.#options.digests);
    if ("replaceSync" in this.#store && this.#store.replaceSync !== undefined) this.#store.replaceSync(image);
    else if ("replace" in this.#store && this.#store.replace !== undefined) await this.#store.replace(image);
    else
      throw new QdbError(
        "NOT_SUPPORTED",
        "a draft file is changed by rewriting it whole, which cannot be done here; write its JSON form into a new file",
      );
    // Another file stands there now.
    this.#hasStored = true;
    await this.#afterStoring(async () => {
      await this.#store.refresh?.();
      this.#session = await openSession(this.#store, this.#options);
    });
    await runChange(this.#session.confirm(), this.#store);
  }

  #newEdits(): Edits {
    const { maxBitmapBytes, acceptMirror = false, randomId } = this.#options;
    const bounds = maxBitmapBytes === undefined ? {} : { maxBitmapBytes };
    return new Edits(this.state, { newId: randomId, acceptMirror, ...bounds });
  }
}

async function openSession(store: AnyStore, options: EditorOptions): Promise<Session> {
  const { digests = {}, randomId, repair = false } = options;
  return runChange(
    Session.open(store.size, { digests, writerId: randomId(), repair, fixedSize: store.fixedSize }),
    store,
  );
}

/** Runs a plan that writes. On a synchronous store no other call comes in between. */
async function runChange<T>(plan: ChangePlan<T>, store: AnyStore): Promise<T> {
  return "readSync" in store ? runSync(plan, store) : run(plan, store);
}
