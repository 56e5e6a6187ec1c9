// Starting over beside a writer (spec §5, Readers).
import { QdbError } from "../errors.ts";
import { type Clock, hostClock } from "../ports/clock.ts";

/** Times that a reader starts over at least, and for how long in ms, before it gives up. */
const MIN_RESTARTS = 8;
const PATIENCE_MS = 10_000;
/** The longest pause between two attempts, in ms. */
const MAX_PAUSE_MS = 256;

/**
 * Begins once for each attempt, the first at once and each other one after a pause, which grows from 1 ms on. Ends when a reader has to give
 * up: with {@link busy}. Quick attempts go on for ten seconds, slow ones for eight restarts.
 */
export async function* attempts({ clock = hostClock }: { readonly clock?: Clock }): AsyncGenerator<void, void> {
  const start = clock.now();
  for (let restarts = 0; restarts <= MIN_RESTARTS || clock.now() - start < PATIENCE_MS; restarts++) {
    if (restarts > 0) await clock.wait(Math.min(2 ** (restarts - 1), MAX_PAUSE_MS));
    yield;
  }
}

/** What ends a call whose attempts are used up. */
export function busy(): QdbError {
  return new QdbError("LOCKED", "the file changed each time that it was read; try again when its writer is less busy");
}

/** What ends a call that has put something out already. */
export function sourceChanged(): QdbError {
  return new QdbError(
    "SOURCE_CHANGED",
    "a writer committed to the file while it was read, and a part of the old state is out already; start again",
  );
}
