import { QdbError } from "@qdb/format";
import type { Clock } from "@qdb/format/container";
import { Passing } from "./request.ts";

/** How often and when a request that failed is sent again. */
export interface RetryOptions {
  /** How often a request is sent again (default 4) after a failure that may pass: no connection, 429, 503, a body that ends early. */
  readonly retries?: number | undefined;
  /** The clock for the pauses. Default: that of the host. */
  readonly clock?: Clock | undefined;
}

const RETRIES = 4;
/** The first pause in milliseconds. Each one is twice as long as the one before. */
const FIRST_PAUSE_MS = 250;
const MAX_PAUSE_MS = 30_000;

const hostClock: Clock = {
  now: () => performance.now(),
  wait: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
};

/**
 * Does work again as long as it fails in a way that may pass, after pauses of 250 ms, 500 ms and so on, or those that the server asks for.
 * @throws {QdbError} IO when there are no tries left, or the server asks for a pause of more than 30 seconds
 * @throws {unknown} what `work` throws besides; the reason of `signal` if it is aborted during a pause
 */
export async function withRetries<T>(
  work: () => Promise<T>,
  { retries = RETRIES, clock = hostClock }: RetryOptions,
  signal: AbortSignal,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Passing)) throw error;
      const asked = (error.seconds ?? 0) * 1000;
      if (tries > retries || asked > MAX_PAUSE_MS) {
        const pause = asked > MAX_PAUSE_MS ? `, asking for a pause of ${error.seconds} s` : "";
        const times = tries === 1 ? "" : `, ${tries} times`;
        throw new QdbError("IO", `${error.message}${pause}${times}; open the file anew to go on`, {}, { cause: error });
      }
      await abortable(clock.wait(Math.max(asked, Math.min(FIRST_PAUSE_MS * 2 ** (tries - 1), MAX_PAUSE_MS))), signal);
    }
  }
}

/** Waits for a promise, or until the signal is aborted. */
async function abortable(waiting: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  let stop: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop);
  });
  try {
    await Promise.race([waiting, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
