// How often a reader starts over when a writer commits to the file while it reads (spec §5, Readers).
import { QdbError } from "../errors.ts";
import { type Clock, hostClock } from "../ports/clock.ts";

/** A reader gives up once it has both started over this many times and tried for this many milliseconds. */
const MIN_RESTARTS = 8;
const PATIENCE_MS = 10_000;
/** The longest pause between two attempts, in milliseconds. */
const MAX_PAUSE_MS = 256;

/**
 * Yields once for each attempt to read a file: the first time at once, then after pauses that grow from 1 ms to 256 ms. Ends when the
 * reader has started over eight times and ten seconds have passed. The reader then throws {@link busy}.
 */
export async function* attempts({ clock = hostClock }: { readonly clock?: Clock }): AsyncGenerator<void, void> {
  const start = clock.now();
  for (let restarts = 0; restarts <= MIN_RESTARTS || clock.now() - start < PATIENCE_MS; restarts++) {
    if (restarts > 0) await clock.wait(Math.min(2 ** (restarts - 1), MAX_PAUSE_MS));
    yield;
  }
}

/** Makes the error (LOCKED) of a call that has no attempts left. */
export function busy(): QdbError {
  return new QdbError("LOCKED", "the file changed each time that it was read; try again when its writer is less busy");
}

/** Makes the error (SOURCE_CHANGED) of a call that cannot start over, since its caller has received a part of the output. */
export function sourceChanged(): QdbError {
  return new QdbError(
    "SOURCE_CHANGED",
    "a writer committed to the file while it was read, and a part of the old state is out already; start again",
  );
}
