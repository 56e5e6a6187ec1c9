// Measures a running program and the processes that it started, by files of Linux's /proc. Other systems give no values.
import { readFileSync, writeFileSync } from "node:fs";

/** Growth of peak memory, in MiB. */
export interface Growth {
  readonly mib: number;
}

/**
 * The time in which a program or the runner could run, but waited for a processor that other processes used (proc(5): schedstat). It is
 * subtracted from the time of a request, since it depends on the load of the machine only.
 */
export class QueueTime {
  readonly #pid: number | undefined;
  readonly #before: number;

  private constructor(pid: number | undefined, before: number) {
    this.#pid = pid;
    this.#before = before;
  }

  /** Starts a measurement. */
  static begin(pid: number | undefined): QueueTime {
    return new QueueTime(pid, queued(pid));
  }

  /** Returns the milliseconds since `begin`; 0 if the system does not tell. */
  end(): number {
    return Math.max(0, queued(this.#pid) - this.#before);
  }
}

/** Returns the milliseconds that the main threads of a program, of its descendants and of the runner have waited for a processor so far. */
function queued(pid: number | undefined): number {
  if (process.platform !== "linux" || pid === undefined) return 0;
  try {
    const waits = [process.pid, ...familyOf(pid)].map((member) =>
      Number(readFileSync(`/proc/${member}/schedstat`, "utf8").split(" ")[1]),
    );
    return waits.reduce((sum, wait) => sum + wait, 0) / 1e6;
  } catch {
    return 0;
  }
}

/** The growth of the peak memory of a program and its descendants (proc(5): clear_refs, VmHWM). */
export class PeakMemory {
  readonly #pid: number;
  readonly #before: number;

  private constructor(pid: number, before: number) {
    this.#pid = pid;
    this.#before = before;
  }

  /** Starts a measurement. Returns undefined if the system cannot tell. */
  static begin(pid: number | undefined): PeakMemory | undefined {
    if (process.platform !== "linux" || pid === undefined) return undefined;
    try {
      let before = 0;
      for (const member of familyOf(pid)) {
        // Writing 5 sets the peak to the memory that is in use now.
        writeFileSync(`/proc/${member}/clear_refs`, "5");
        before += peakOf(member);
      }
      return new PeakMemory(pid, before);
    } catch {
      return undefined;
    }
  }

  /** Returns the growth since `begin`; undefined if the program has ended. */
  end(): Growth | undefined {
    try {
      const after = familyOf(this.#pid).reduce((sum, member) => sum + peakOf(member), 0);
      return { mib: Math.max(0, after - this.#before) / 1024 };
    } catch {
      return undefined;
    }
  }
}

/** Returns the ids of a process and of all its descendants. */
function familyOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
  return [pid, ...children.flatMap(familyOf)];
}

/** Returns the peak memory of a process in KiB. */
function peakOf(pid: number): number {
  const line = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(line?.[1] ?? 0);
}
