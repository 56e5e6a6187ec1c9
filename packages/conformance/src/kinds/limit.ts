import { type Bench, requireRefused } from "../bench/bench.ts";
import { VectorFailure } from "../bench/vector-failure.ts";
import type { Limits } from "../corpus/manifest.ts";
import { requireCheck, requireModel } from "./expectations.ts";

/** Number of times that a request is tried while its time or memory is above the limit. On a busy machine one measurement proves little. */
const TRIES = 3;

/** Tries a vector of kind `limit`: as `read` or `check`, within a limit of time and one of the growth of peak memory. */
export async function tryLimit(bench: Bench): Promise<void> {
  const { limits, expect } = bench.vector;
  if (limits === undefined) throw new Error(`${bench.vector.id}: a limit vector has no limits`);
  for (let attempt = 1; ; attempt++) {
    const timeoutMs = Math.max(bench.timeoutMs, 4 * limits.time_ms);
    // Memory that a program has kept since an earlier request would hide a part of the growth.
    await bench.restart();
    const answer = await bench.ask([limits.verb, bench.input()], { timeoutMs, measure: true });
    const ownMs = answer.ms - Math.min(answer.ms, answer.queuedMs ?? 0);
    bench.timeMs = Math.min(ownMs, bench.timeMs ?? ownMs);
    bench.memoryUnknown = answer.growth === undefined;
    if (answer.growth !== undefined)
      bench.memoryMib = Math.min(answer.growth.mib, bench.memoryMib ?? answer.growth.mib);
    if ("error" in expect) requireRefused(answer, expect.error);
    else if ("findings" in expect && "complete" in expect) requireCheck(answer, expect);
    else if ("model" in expect && limits.verb === "read") requireModel(bench, answer, expect.model);
    else throw new Error(`${bench.vector.id}: a limit of ${limits.verb} cannot expect this`);
    const exceeded = describeExceeded(bench, limits);
    if (exceeded === undefined) return;
    if (attempt === TRIES) throw new VectorFailure("fail", `${exceeded}, the best of ${TRIES} tries`);
  }
}

/** Describes the limits that the best measurements exceed; undefined if they exceed none. */
function describeExceeded({ timeMs = 0, memoryMib = 0 }: Bench, limits: Limits): string | undefined {
  const exceeded = [
    ...(timeMs <= limits.time_ms ? [] : [`it took ${Math.round(timeMs)} ms, at most ${limits.time_ms} are allowed`]),
    ...(memoryMib <= limits.memory_mib
      ? []
      : [`peak memory grew by ${memoryMib.toFixed(1)} MiB, at most ${limits.memory_mib} are allowed`]),
  ];
  return exceeded.length === 0 ? undefined : exceeded.join("; ");
}
