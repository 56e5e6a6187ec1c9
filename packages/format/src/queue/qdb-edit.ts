import type { RunOptions } from "../ports/drivers.ts";
import { ActionQueue } from "./action-queue.ts";
import { BitmapEdit, type EditContext } from "./bitmap-edit.ts";
import { type BitmapInit, type NewBitmapHost, newBitmap } from "./bitmap-init.ts";
import { BitmapNames, type NamedBitmap, notFound } from "./bitmap-names.ts";
import type { EditTarget } from "./edit-target.ts";

/**
 * The changes that the callback of an edit asks for. They are queued, and done in the order in which they were asked for: at the latest
 * when the callback has ended, all of them in one commit. Names follow the queue: a bitmap that was added or renamed is there under its new
 * name at once, and one that was removed is not.
 */
export class QdbEdit {
  readonly #context: EditContext;

  /** @internal */
  constructor(context: EditContext) {
    this.#context = context;
  }

  /** Whether there is a bitmap with a name, after what is queued so far. */
  has(name: string): boolean {
    return this.#context.names.get(name) !== undefined;
  }

  /** Returns the bitmap with a name. @throws {QdbError} NOT_FOUND if there is none after what is queued so far */
  bitmap(name: string): BitmapEdit {
    const bitmap = this.#context.names.get(name);
    if (bitmap === undefined) throw notFound(name);
    return bitmap;
  }

  /**
   * Adds a bitmap after the others. If its name is taken, the edit fails with ALREADY_EXISTS.
   * @throws {QdbError} USAGE for a name, size, granularity or record that the format does not allow, and after the edit has ended; LIMIT
   * above 2^32 bits; SIZE_MISMATCH if both size and bits are given and do not agree
   */
  add(init: BitmapInit): void {
    const { queue, target, names, host } = this.#context;
    const bitmap = newBitmap(init, host);
    queue.add(() => target.edits.add(bitmap));
    names.add(bitmap.name, new BitmapEdit(this.#context, bitmap.name));
  }

  /**
   * Does what is queued so far now, rather than after the callback, so that its error comes from here. The edit fails with it all the same.
   * @throws {unknown} the error of the action that fails
   */
  apply(): Promise<void> {
    return this.#context.queue.ask(() => undefined);
  }
}

/**
 * Calls `change` with a new edit, and does the actions that it asks for. Resolves with what `change` returns once they are done; nothing
 * is committed. `bitmaps` are those of the file.
 * @throws {unknown} what `change` throws; the error of the action that fails; ABORTED
 */
export async function collectEdit<T>(
  target: EditTarget,
  bitmaps: readonly NamedBitmap[],
  change: (edit: QdbEdit) => T | PromiseLike<T>,
  host: NewBitmapHost & RunOptions,
): Promise<T> {
  const queue = new ActionQueue(host);
  const names = new BitmapNames(bitmaps, (name): BitmapEdit => new BitmapEdit(context, name));
  const context: EditContext = { target, queue, names, host };
  return queue.collect(() => change(new QdbEdit(context)));
}
