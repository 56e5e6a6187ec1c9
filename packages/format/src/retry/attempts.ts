// How often a reader starts over when a writer commits to the file while it reads (spec §5, Readers).
import { QdbError } from "../errors.ts";
import { type Clock, hostClock } from "../ports/clock.ts";
import { ASYNC, runTask, type Task, type Timing, wait } from "../ports/task.ts";

/** A reader gives up once it has both started over this many times and tried for this many milliseconds. */
const MIN_RESTARTS = 8;
const PATIENCE_MS = 10_000;
/** The longest pause between two attempts, in milliseconds. */
const MAX_PAUSE_MS = 256;

/** The attempts of a reader. Between two of them are pauses that grow from 1 ms to 256 ms. */
export class Attempts {
  readonly #timing: Timing;
  readonly #clock: Clock;
  readonly #start: number;
  #count = 0;

  constructor(timing: Timing, { clock = hostClock }: { readonly clock?: Clock | undefined }) {
    this.#timing = timing;
    this.#clock = clock;
    this.#start = clock.now();
  }

  /**
   * Waits until the next attempt is due. Returns false if there is none: the reader has started over eight times, and ten seconds have
   * passed. The reader then throws {@link busy}.
   */
  *next(): Task<boolean> {
    const restarts = this.#count++;
    if (restarts > MIN_RESTARTS && this.#clock.now() - this.#start >= PATIENCE_MS) return false;
    if (restarts > 0) yield* wait(this.#timing.pause(this.#clock, Math.min(2 ** (restarts - 1), MAX_PAUSE_MS)));
    return true;
  }
}

/** Yields once for each of the {@link Attempts} to read a file. */
export async function* attempts(options: { readonly clock?: Clock | undefined }): AsyncGenerator<void, void> {
  const all = new Attempts(ASYNC, options);
  while (await runTask(all.next())) yield;
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
