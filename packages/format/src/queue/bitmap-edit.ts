import type { Bitmap } from "../bitmap/bitmap.ts";
import type { Combination } from "../bitmap/combination.ts";
import type { DiskRange } from "../bitmap/shape.ts";
import type { EditSource } from "../edit/edit-options.ts";
import type { Edits } from "../edit/edits.ts";
import { exactInteger } from "../integers.ts";
import type { Plan } from "../ports/plan.ts";
import { type BitmapSession, type DiskStamp, encodeRecord } from "../records/extra-data.ts";
import type { ActionQueue } from "./action-queue.ts";
import { copyRange, copySession, copySource, copyStamp, requireOutcome } from "./arguments.ts";
import {
  type BitmapRecords,
  type NewBitmapHost,
  newBitmap,
  recordsOfFields,
  requireName,
  timeOf,
  type UnnamedBitmapInit,
} from "./bitmap-init.ts";
import { type BitmapNames, notFound } from "./bitmap-names.ts";
import { combineWith } from "./combine-with.ts";
import { type BitmapFacts, dirtyBytesOf, type EditTarget, factsOf } from "./edit-target.ts";

/** What the bitmaps of one edit share. @internal */
export interface EditContext {
  readonly target: EditTarget;
  readonly queue: ActionQueue;
  readonly names: BitmapNames<BitmapEdit>;
  readonly host: NewBitmapHost;
}

/**
 * A bitmap of a file that is being edited. Each method adds an action to the queue and returns; the actions are done in order, at the
 * latest when the callback of the edit has ended. If an action fails, the edit fails with its error, and nothing is changed: NOT_FOUND,
 * USAGE for what the state of the bitmap does not allow (for example, dirt is never removed from a frozen bitmap), the code of the bitmap's
 * first problem if it is damaged, INCONSISTENT if its bits may be outdated, LIMIT if its bits take more memory than allowed.
 *
 * A method throws at once, and adds nothing, if its arguments can never be right (USAGE), if the bitmap or a source that it names is not
 * there any more (NOT_FOUND), and after the edit has ended (USAGE).
 */
export class BitmapEdit {
  readonly #context: EditContext;
  #name: string;

  /** @internal */
  constructor(context: EditContext, name: string) {
    this.#context = context;
    this.#name = name;
  }

  /** The name, with the renames that are queued so far; `hex:` and its bytes in hex if it is not UTF-8. */
  get name(): string {
    return this.#name;
  }

  /**
   * Returns a copy of the bits, with all changes that are queued so far. Later changes of the copy have no effect on the file.
   * @throws {QdbError} the error of a queued action that fails; the code of the bitmap's first problem; LIMIT; WRONG_DISK or IO if the host
   * refuses the bits because of their disk; BAD_CHECKSUM if the header was read from the mirror and `acceptMirror` is not set
   */
  read(): Promise<Bitmap> {
    const { target, queue } = this.#context;
    const name = this.#current();
    return queue.ask(() => target.bits(name));
  }

  /**
   * Returns size, granularity, flags and records, with all changes that are queued so far. No bits are read.
   * @throws {QdbError} the error of a queued action that fails; the code of the bitmap's first problem if its records cannot be parsed
   */
  facts(): Promise<BitmapFacts> {
    const { target, queue } = this.#context;
    const name = this.#current();
    return queue.ask(() => factsOf(target.edits, name));
  }

  /** Returns the number of dirty bytes of the disk, with all changes queued so far. Holds no bits in memory. @throws {QdbError} as {@link read} */
  dirtyBytes(): Promise<bigint> {
    const { target, queue } = this.#context;
    const name = this.#current();
    return queue.ask(async () => target.read(dirtyBytesOf(await target.source(name))));
  }

  /** Marks every bit dirty that a range of the disk, in bytes, touches. A range that does not lie inside the disk is USAGE. */
  mark(range: DiskRange): void {
    const exact = copyRange(range);
    this.#plan((edits, name) => edits.mark(name, exact));
  }

  /** Marks every bit clean whose granule lies inside a range of the disk, in bytes. A range that does not lie inside the disk is USAGE. */
  unmark(range: DiskRange): void {
    const exact = copyRange(range);
    this.#plan((edits, name) => edits.unmark(name, exact));
  }

  /** Makes every bit dirty. A bitmap whose bits may be outdated (INCONSISTENT) can be used again after that; its session has ended. */
  markAll(): void {
    this.#edit((edits, name) => edits.markAll(name));
  }

  /**
   * Makes every bit clean, also bits that were marked after another call had read the bitmap. After a backup, clear no more than what was
   * backed up: read and clear in one edit, or {@link subtract} the bits that were backed up. A frozen bitmap is USAGE.
   *
   * The disk stamp stays as it is. A program that itself marks what it writes to the disk sets the stamp when it has written:
   * `set({ diskStamp })`, with what `lookAtDisk` of `@qdb/io-node` returns.
   */
  clear(): void {
    this.#plan((edits, name) => edits.clear(name));
  }

  /** Makes dirty bits clean and clean bits dirty. */
  invert(): void {
    this.#plan((edits, name) => edits.invert(name));
  }

  /** Adds the dirty bits of a source (OR): bits, or a bitmap of the file by its name. Another granularity is rounded outward, another disk size is SIZE_MISMATCH. */
  merge(source: EditSource | string): void {
    this.#combine("merge", source);
  }

  /** Keeps the bits that are dirty in a source too (AND). Rounds the source outward if its granularity is another one; see {@link merge}. */
  intersect(source: EditSource | string): void {
    this.#combine("intersect", source);
  }

  /** Clears the bits that are dirty in a source (AND NOT). Rounds the source inward if its granularity is another one; see {@link merge}. */
  subtract(source: EditSource | string): void {
    this.#combine("subtract", source);
  }

  /** Keeps the bits that are dirty in exactly one of bitmap and source (XOR). A source of another granularity is USAGE; see {@link merge}. */
  xor(source: EditSource | string): void {
    this.#combine("xor", source);
  }

  /** Changes the granularity, in bytes a bit: a power of two, 512..2^31. Rounding only makes more bytes dirty. More than 2^32 bits are LIMIT. */
  regranulate(granularity: number): void {
    this.#plan((edits, name) => edits.regranulate(name, granularity));
  }

  /**
   * Adapts the bitmap to a disk of `size` bytes. The area that is added is dirty. `newArea: "clean"` is the caller's word that no byte there
   * was written since the bitmap began. A frozen bitmap and its successor cannot be resized (USAGE); more than 2^32 bits are LIMIT.
   */
  resize(
    size: number | bigint,
    { newArea = "dirty" }: { readonly newArea?: "dirty" | "clean" | undefined } = {},
  ): void {
    const bytes = exactInteger(size, "size");
    this.#plan((edits, name) => edits.resize(name, bytes, newArea));
  }

  /** Lets writers of the disk collect into the bitmap from the first write on. A frozen bitmap is USAGE. */
  enable(): void {
    this.#edit((edits, name) => edits.setEnabled(name, true));
  }

  /** Lets writers of the disk collect into the bitmap no longer. */
  disable(): void {
    this.#edit((edits, name) => edits.setEnabled(name, false));
  }

  /** Sets records of the bitmap: the fields that are given. */
  set(fields: BitmapRecords): void {
    const records = recordsOfFields(fields);
    records.forEach(encodeRecord);
    this.#edit((edits, name) => {
      for (const record of records) edits.setRecord(name, record);
    });
  }

  /**
   * Gives the bitmap another name: 1 to 1023 bytes of UTF-8. A frozen bitmap whose successor it is follows. A name that is taken is
   * ALREADY_EXISTS, and a bitmap in a session is USAGE.
   */
  rename(name: string): void {
    const to = requireName(name);
    const { names } = this.#context;
    this.#edit((edits, from) => edits.rename(from, to));
    // If the name is taken, the action fails.
    if (names.get(to) !== undefined) return;
    names.remove(this.#name);
    names.add(to, this);
    this.#name = to;
  }

  /**
   * Puts a new bitmap of the same name in its place, whatever state it is in. A frozen bitmap and its successor are USAGE.
   * @throws {QdbError} as `QdbEdit.add`
   */
  replace(init: UnnamedBitmapInit): void {
    const bitmap = newBitmap({ ...init, name: this.#current() }, this.#context.host);
    this.#edit((edits) => edits.replace(bitmap));
  }

  /** Removes the bitmap, whatever state it is in. The successor of a frozen bitmap is USAGE. */
  remove(): void {
    this.#edit((edits, name) => edits.remove(name));
    this.#context.names.remove(this.#name);
  }

  /**
   * Freezes the bitmap for a backup: it stays as it is, and a new bitmap, its successor, collects writes from now on. A frozen bitmap and a
   * successor are USAGE; a name that is taken is ALREADY_EXISTS.
   *
   * A bitmap is frozen until {@link release}, also after a crash. If the program finds one frozen when it starts, the backup did not end:
   * release it as `failed`, then back up again.
   * @example
   * await editQdb("vm.qdb", async (edit) => {
   *   // The last backup did not end: what it was to copy is to be copied by this one.
   *   if ((await edit.bitmap("daily").facts()).frozen) {
   *     edit.bitmap("daily").release("failed");
   *     edit.bitmap("next").rename("daily");
   *   }
   *   edit.bitmap("daily").freeze("next");
   * });
   * await backUp("daily"); // reads the frozen bitmap; a collector can write to "next" meanwhile
   * await editQdb("vm.qdb", (edit) => {
   *   edit.bitmap("daily").release("done");
   *   edit.bitmap("next").rename("daily");
   * });
   */
  freeze(successor: string): void {
    const { names, host } = this.#context;
    const to = requireName(successor);
    const created = timeOf(host);
    this.#edit((edits, name) => edits.freeze(name, to, created));
    names.add(to, new BitmapEdit(this.#context, to));
  }

  /**
   * Ends a freeze: the frozen bitmap is removed. `done`: the backup is complete. `failed`: what was dirty is dirty in the successor too, so
   * that the next backup copies it. A bitmap that is not frozen is USAGE.
   */
  release(outcome: "done" | "failed"): void {
    requireOutcome(outcome);
    this.#plan((edits, name) => edits.release(name, outcome));
    this.#context.names.remove(this.#name);
  }

  /**
   * Begins a session: until it ends, another program collects for the bitmap in a file of its own, the shell, and the bits cannot be used
   * (`inUse`). The edit has to be committed before anything collects in the shell. A bitmap that is frozen or not enabled is USAGE, one in
   * use is INCONSISTENT.
   */
  beginSession(session: BitmapSession): void {
    const exact = copySession(session);
    this.#edit((edits, name) => edits.beginSession(name, exact));
  }

  /**
   * Ends a session: what is dirty in the file or in the bits of the shell is dirty, and the bitmap can be used again, with the same ids.
   * `diskStamp` takes the place of the disk stamp. A bitmap that is not in use is USAGE, one in use for another session or for none
   * INCONSISTENT, and bits of another disk size are SIZE_MISMATCH. To end a session whose shell is lost, {@link markAll}.
   */
  endSession(
    session: BitmapSession,
    collected: Bitmap,
    { diskStamp }: { readonly diskStamp?: DiskStamp | undefined } = {},
  ): void {
    const exact = copySession(session);
    const stamp = diskStamp && copyStamp(diskStamp);
    const bits = collected.clone();
    this.#plan((edits, name) => edits.endSession(name, exact, bits, stamp));
  }

  /** Makes a bitmap usable whose bits may be outdated: what is dirty in the file or in `missed` is dirty. See `Edits.recover`. */
  recover(missed: Bitmap): void {
    const bits = missed.clone();
    this.#plan((edits, name) => edits.recover(name, bits));
  }

  /** Returns the name. @throws {QdbError} NOT_FOUND if the bitmap was removed */
  #current(): string {
    if (this.#context.names.get(this.#name) !== this) throw notFound(this.#name);
    return this.#name;
  }

  /** Adds an action that reads nothing. */
  #edit(action: (edits: Edits, name: string) => void): void {
    const { target, queue } = this.#context;
    const name = this.#current();
    queue.add(() => action(target.edits, name));
  }

  /** Adds an action that may read from the file. */
  #plan(action: (edits: Edits, name: string) => Plan<void>): void {
    const { target, queue } = this.#context;
    const name = this.#current();
    queue.add(() => target.read(action(target.edits, name)));
  }

  #combine(how: Combination, source: EditSource | string): void {
    const { target, queue, names } = this.#context;
    const name = this.#current();
    const exact = copySource(source, names);
    queue.add(() => combineWith(target, how, name, exact));
  }
}
