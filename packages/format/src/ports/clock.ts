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
