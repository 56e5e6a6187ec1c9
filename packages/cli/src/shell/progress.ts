import type { Progress } from "@qdb/format/container";
import type { SingleBar } from "cli-progress";
import { jsonLine } from "./json.ts";
import { complain } from "./output.ts";
import { isTerminal } from "./terminal.ts";

/** Shows the progress of long work. */
export interface ProgressReporter {
  /** Receives the amount of work that is done and the total, in the same unit. Can be passed on without `this`. */
  readonly onProgress: Progress;
  /** Ends the display. It must be called after an error too. */
  end(): void;
}

/**
 * How progress is shown. `bar`: a bar on standard error, once the work takes long. `forced`: a bar from the start. `json`: one JSON object
 * on each line of standard error. `none`: not at all.
 */
export type ProgressMode = "bar" | "forced" | "json" | "none";

/** Minimum time between two reports, in milliseconds. */
const INTERVAL_MS = 100;
/** Time after which a bar is shown without `--progress`, in milliseconds. */
const PATIENCE_MS = 300;

type BarLibrary = Pick<typeof import("cli-progress"), "SingleBar" | "Presets">;

/** Loads the library for bars when the first bar is shown, because most calls show none. */
async function loadBars(): Promise<BarLibrary> {
  return (await import("cli-progress")).default;
}

/** Returns a function that starts to show the progress of work, in the given mode. Its parameter is the name of the work. */
export async function progressStarter(mode: ProgressMode): Promise<(label: string) => ProgressReporter> {
  switch (mode) {
    case "none":
      return () => ({ onProgress: () => undefined, end: () => undefined });
    case "json":
      return jsonProgress;
    case "bar":
      return (label) => new BarProgress(label);
    case "forced": {
      const library = await loadBars();
      return (label) => new BarProgress(label, library);
    }
  }
}

/** Limits reports to ten in a second. The last report is always passed on. */
function throttled(report: (done: number, total: number) => void): Progress {
  let next = 0;
  return (done, total) => {
    const now = performance.now();
    if (now < next && done < total) return;
    next = now + INTERVAL_MS;
    report(done, total);
  };
}

function jsonProgress(label: string): ProgressReporter {
  let last = "";
  const report = (done: number, total: number): void => {
    const percent = total === 0 ? 100 : Math.floor((1000 * done) / total) / 10;
    const line = jsonLine({ progress: label, done, total, percent });
    if (line !== last) complain(line);
    last = line;
  };
  return { onProgress: throttled(report), end: () => undefined };
}

class BarProgress implements ProgressReporter {
  readonly onProgress: Progress = throttled((done, total) => this.#report(done, total));
  readonly #label: string;
  readonly #since = performance.now();
  #bar: SingleBar | undefined;
  #isLoading = false;
  #hasEnded = false;

  constructor(label: string, library?: BarLibrary) {
    this.#label = label;
    if (library !== undefined) this.#start(library, false);
  }

  end(): void {
    this.#hasEnded = true;
    this.#bar?.stop();
  }

  #report(done: number, total: number): void {
    if (this.#bar !== undefined) {
      this.#bar.setTotal(Math.max(1, total));
      this.#bar.update(total === 0 ? 1 : done);
    } else if (!this.#isLoading && performance.now() - this.#since > PATIENCE_MS) {
      this.#isLoading = true;
      void loadBars().then((library) => {
        if (!this.#hasEnded) this.#start(library, true);
      });
    }
  }

  /** Starts the bar. With `clearOnComplete` it is removed at the end, as a bar without `--progress` is. */
  #start(library: BarLibrary, clearOnComplete: boolean): void {
    const hideCursor = isTerminal(2);
    // If standard error is closed, the work goes on without a bar.
    process.stderr.on("error", () => undefined);
    const format = `${this.#label} [{bar}] {percentage} %, {eta_formatted} left`;
    const options = { format, stream: process.stderr, hideCursor, noTTYOutput: true, clearOnComplete };
    this.#bar = new library.SingleBar(options, library.Presets.legacy);
    this.#bar.start(1, 0);
  }
}
