// Scripts one after the other, until enough states were judged.
import type { Bend } from "./bench.ts";
import { runScript } from "./script.ts";

/** A script that came to something wrong. */
export interface Failure {
  readonly seed: number;
  readonly wrong: string;
  readonly trace: readonly string[];
}

/** What a campaign came to. */
export interface Figures {
  scripts: number;
  states: number;
  /** Time of the processor, in ms. */
  cpu: number;
  readonly counts: Map<string, number>;
  readonly failures: Failure[];
}

/** How far a campaign goes. */
export interface CampaignOptions {
  readonly firstSeed: number;
  /** States to be judged. */
  readonly states: number;
  /** Failures after which it ends. */
  readonly failures?: number;
  readonly bend?: Bend;
  /** Told now and then. */
  readonly onProgress?: (figures: Figures) => void;
}

/** Runs the scripts of seeds that follow one another. */
export async function campaign(options: CampaignOptions): Promise<Figures> {
  const { firstSeed, states, failures = 3, bend, onProgress } = options;
  const figures: Figures = { scripts: 0, states: 0, cpu: 0, counts: new Map(), failures: [] };
  const start = process.cpuUsage();
  for (let seed = firstSeed; figures.states < states && figures.failures.length < failures; seed++) {
    const outcome = await runScript(seed, bend);
    figures.scripts++;
    figures.states += outcome.states;
    for (const [what, times] of outcome.counts) figures.counts.set(what, (figures.counts.get(what) ?? 0) + times);
    if (outcome.wrong !== undefined) figures.failures.push({ seed, wrong: outcome.wrong, trace: outcome.trace });
    const { user, system } = process.cpuUsage(start);
    figures.cpu = (user + system) / 1000;
    if (seed % 200 === 0) onProgress?.(figures);
    // Timers and signals get their turn.
    await new Promise((resolve) => setImmediate(resolve));
  }
  return figures;
}

/** Failures as a reader wants them: the seed, the script, what was wrong. */
export function describeFailures({ failures }: Figures): string[] {
  return failures.map(({ seed, wrong, trace }) => [`seed ${seed}`, ...trace, `=> ${wrong}`].join("\n  "));
}

/** The counts, in order. */
export function describeCounts({ scripts, states, cpu, counts }: Figures): string {
  const rate = Math.round(states / (cpu / 1000));
  const lines = [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([what, times]) => `  ${what}: ${times}`);
  return [
    `${states} states of ${scripts} scripts, ${Math.round(cpu / 1000)} s of the processor, ${rate} a second`,
    ...lines,
  ].join("\n");
}
