import { readFileSync, writeFileSync } from "node:fs";

/** How far peak memory grew, in MiB. */
export interface Growth {
  readonly mib: number;
}

/** How long a program, and the runner beside it, could run and got no processor (Linux: schedstat): that says nothing about them. */
export class QueueTime {
  readonly #pid: number | undefined;
  readonly #before: number;

  private constructor(pid: number | undefined, before: number) {
    this.#pid = pid;
    this.#before = before;
  }

  /** Begins to measure. */
  static begin(pid: number | undefined): QueueTime {
    return new QueueTime(pid, queued(pid));
  }

  /** Milliseconds since; 0 where the system does not tell. */
  end(): number {
    return Math.max(0, queued(this.#pid) - this.#before);
  }
}

/** Milliseconds in which the first threads of a program, of what it started and of the runner waited for a processor. */
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

/** The peak memory of a program and what it started, as Linux keeps it (proc(5): clear_refs, VmHWM). */
export class PeakMemory {
  readonly #pid: number;
  readonly #before: number;

  private constructor(pid: number, before: number) {
    this.#pid = pid;
    this.#before = before;
  }

  /** Begins to measure; undefined where the system cannot tell. */
  static begin(pid: number | undefined): PeakMemory | undefined {
    if (process.platform !== "linux" || pid === undefined) return undefined;
    try {
      let before = 0;
      for (const member of familyOf(pid)) {
        // 5 makes the peak what is in use now.
        writeFileSync(`/proc/${member}/clear_refs`, "5");
        before += peakOf(member);
      }
      return new PeakMemory(pid, before);
    } catch {
      return undefined;
    }
  }

  /** What came on top since; undefined when the program is gone. */
  end(): Growth | undefined {
    try {
      const after = familyOf(this.#pid).reduce((sum, member) => sum + peakOf(member), 0);
      return { mib: Math.max(0, after - this.#before) / 1024 };
    } catch {
      return undefined;
    }
  }
}

/** A process and all that descend from it. */
function familyOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
  return [pid, ...children.flatMap(familyOf)];
}

/** KiB. */
function peakOf(pid: number): number {
  const line = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(line?.[1] ?? 0);
}
