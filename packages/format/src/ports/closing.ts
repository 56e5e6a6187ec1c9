// Closing what is open. Of two errors the first one is thrown: it says why the work failed.

/** Something open whose `close` may be asynchronous, such as a source of bytes. */
export interface Closable {
  close(): void | PromiseLike<void>;
}

/** Something open whose `close` is synchronous, such as a file descriptor. */
export interface SyncClosable {
  close(): void;
}

/**
 * Runs work on something open, and closes it in any case.
 * @throws {unknown} what `work` throws, and then an error of closing is dropped; else what closing throws
 */
export async function closing<T>(opened: Closable, work: () => T | PromiseLike<T>): Promise<T> {
  const result = await closingOnError(opened, work);
  await opened.close();
  return result;
}

/** Does the same as {@link closing} without a turn of the event loop. @throws {unknown} as {@link closing} */
export function closingSync<T>(opened: SyncClosable, work: () => T): T {
  const result = closingOnErrorSync(opened, work);
  opened.close();
  return result;
}

/** Runs work on something open, and closes it if the work fails. @throws {unknown} what `work` throws; an error of closing is dropped */
export async function closingOnError<T>(opened: Closable, work: () => T | PromiseLike<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    try {
      await opened.close();
    } catch {
      // The error of the work is the one to throw.
    }
    throw error;
  }
}

/** Does the same as {@link closingOnError} without a turn of the event loop. @throws {unknown} as {@link closingOnError} */
export function closingOnErrorSync<T>(opened: SyncClosable, work: () => T): T {
  try {
    return work();
  } catch (error) {
    try {
      opened.close();
    } catch {
      // The error of the work is the one to throw.
    }
    throw error;
  }
}
