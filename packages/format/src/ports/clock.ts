/** Time, for who pauses. */
export interface Clock {
  /** Milliseconds since some moment. */
  now(): number;
  /** Resolves when so many milliseconds have passed. */
  wait(ms: number): Promise<void>;
}

/** The host's own time. */
export const hostClock: Clock = {
  now: () => performance.now(),
  wait: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
};
