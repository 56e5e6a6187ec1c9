/** A clock and a timer. */
export interface Clock {
  /** Returns the number of milliseconds since an arbitrary but fixed moment. */
  now(): number;
  /** Resolves after `ms` milliseconds. */
  wait(ms: number): Promise<void>;
  /** Returns after `ms` milliseconds: for synchronous calls. The default blocks the thread. */
  waitSync?(ms: number): void;
}

/** The clock of the host. */
export const hostClock: Clock = {
  now: () => performance.now(),
  wait: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
};

/** Blocks the thread for `ms` milliseconds. */
export function waitSync(ms: number): void {
  const end = performance.now() + ms;
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  } catch {
    // The main thread of a page cannot sleep, and not every page has SharedArrayBuffer.
  }
  while (performance.now() < end);
}

/** Gives other work in the event loop a turn. In a browser, which has no `setImmediate`, `setTimeout` would take four milliseconds. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === "function") return void setImmediate(resolve);
    const { port1, port2 } = new MessageChannel();
    port1.addEventListener("message", () => {
      port1.close();
      resolve();
    });
    port1.start();
    port2.postMessage(undefined);
  });
}
