/** A clock and a timer. */
export interface Clock {
  /** Returns the number of milliseconds since an arbitrary but fixed moment. */
  now(): number;
  /** Resolves after `ms` milliseconds. */
  wait(ms: number): Promise<void>;
}

/** The clock of the host. */
export const hostClock: Clock = {
  now: () => performance.now(),
  wait: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
};

/** Gives other work in the event loop a turn. It uses `setImmediate` if the host has it: `setTimeout` takes at least a millisecond. */
export function turn(): Promise<void> {
  return typeof setImmediate === "function" ? new Promise((resolve) => setImmediate(resolve)) : hostClock.wait(0);
}
