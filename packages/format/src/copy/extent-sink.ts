import type { AbortSignalLike } from "../ports/abort-signal.ts";

/**
 * Receives the bytes of dirty extents from `transferExtents`: an image file, an HTTP upload, a store of chunks. A `Store` is one.
 *
 * `write` stores all of `bytes`, or throws. It returns nothing, or a promise of nothing, once they are stored: what a call such as `fetch`
 * or `FileHandle.write` returns has to be looked at in `write` itself, since it can tell a failure. The bytes are the sink's to keep, but not
 * to change.
 */
export interface ExtentSink {
  /** Stores the bytes that the disk has at `offset`. The signal is that of the caller. */
  write(
    offset: number,
    bytes: Uint8Array,
    options: { readonly signal?: AbortSignalLike | undefined },
  ): void | PromiseLike<void>;
  /** Called once, after the last write, if nothing has failed. It resolves when all bytes are stored for good (fsync, end of an upload). */
  flush?(): void | PromiseLike<void>;
}
