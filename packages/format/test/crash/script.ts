// A random script: a file, its damage, sessions of edits on a disk that fails and loses power, and a verdict on every state.
import { Bench, type Bend, codeOf, type Outcome, Wrong } from "./bench.ts";
import { equal, pack, unpack } from "./bits.ts";
import { damage } from "./damage.ts";
import { settled } from "./judge.ts";
import { headersOf, RawFile } from "./raw-file.ts";
import { session } from "./session.ts";
import { below } from "./start-file.ts";
import { stillPossible } from "./still-possible.ts";
import { look } from "./view.ts";

/** Runs the script of a seed up to the first thing that is wrong. */
export async function runScript(seed: number, bend?: Bend): Promise<Outcome> {
  const bench = new Bench(seed, bend);
  const { dice, outcome } = bench;
  try {
    for (let old = below(dice, 4); old > 0; old--) await session(bench, false);
    for (let turn = 2 + below(dice, 5); turn > 0; turn--) {
      while (dice() < 0.4 && bench.state.view.error === undefined) befall(bench);
      if (bench.state.view.error !== undefined) {
        await staysAsItIs(bench);
        break;
      }
      await session(bench, true);
      await stillPossible(bench);
      await goOn(bench);
    }
  } catch (error) {
    if (!(error instanceof Wrong)) throw error;
    outcome.wrong = error.message;
  }
  return outcome;
}

/** Damages the file, where it is in one state, and that with a good primary: a header that is lost must not meet a second one. */
function befall(bench: Bench): void {
  const { plain } = bench.state;
  const before = bench.disk.bytes;
  if (!bench.isSettled || headersOf(before) === "mirror") return;
  const done = damage(bench.dice, before, headersOf(before) === "equal", bench.fixedSize);
  if (done === undefined) return;
  bench.log(`damage: ${done.what}`);
  bench.count(`damage: ${done.kind}`);
  const view = look(done.bytes);
  const next = plain.clone();
  const raw = view.error === undefined ? rawOf(done.bytes, bench.clusterSize) : undefined;
  const twins = raw?.twins();
  for (const [at, bitmap] of next.bitmaps.entries()) {
    const entry = raw?.entries[at];
    const seen = view.bitmaps?.[at];
    if (raw === undefined || entry === undefined || seen === undefined) continue;
    // What checksums prove over what was forged, it says; without checksums, nothing else can be known.
    const forged = (done.forged ?? []).filter(({ name }) => name === bitmap.name);
    const proven = forged.length > 0 || plain.isDraft ? raw.proven(entry) : undefined;
    if (proven !== undefined) bitmap.bits = unpack(proven, bitmap.bits.length);
    else for (const { cluster } of forged) bitmap.bits = without(bitmap.bits, cluster, bench.clusterSize);
    const isLost = seen.bits !== undefined && !equal(seen.bits, pack(bitmap.bits));
    bench.judge(isLost ? `${bitmap.name} has other bits` : undefined, "after damage");
    bitmap.damage = seen.error;
    bitmap.isTwin = twins?.has(bitmap.name);
  }
  bench.disk = bench.diskOf(done.bytes);
  bench.states = [{ view, plain: next }];
}

/** Bits without those of a cluster, or without any: what a forged reference leads to is not what was there. */
function without(bits: Uint8Array, cluster: number | undefined, clusterSize: number): Uint8Array {
  if (cluster === undefined) return new Uint8Array(bits.length);
  const perCluster = clusterSize * 8;
  return bits.slice().fill(0, cluster * perCluster, (cluster + 1) * perCluster);
}

function rawOf(bytes: Uint8Array, clusterSize: number): RawFile {
  return new RawFile(bytes, headersOf(bytes) === "mirror" ? Math.max(4096, clusterSize) : 0);
}

/** A file that is refused is refused for writing too, and nothing is written to it. */
async function staysAsItIs(bench: Bench): Promise<void> {
  const { error } = bench.state.view;
  const code = await codeOf(() => bench.open(bench.disk, { repair: bench.dice() < 0.5 }));
  bench.judge(
    code === error ? undefined : `opening for writing ends with ${code}`,
    `a file that is refused with ${error}`,
  );
  bench.judge(bench.disk.changes === 0 ? undefined : "it was written to", `a file that is refused with ${error}`);
  bench.count("refused: the file");
}

/** The script goes on with the same disk, or with what a power cut left. */
async function goOn(bench: Bench): Promise<void> {
  const { wreck } = bench;
  if (wreck === undefined || bench.dice() < 0.6) return;
  bench.log("the power is cut");
  bench.count("went on after a power cut");
  bench.disk = bench.diskOf(wreck.bytes);
  const view = look(wreck.bytes);
  bench.states = [{ view, plain: settled(wreck.plain, view) }];
  if (bench.dice() < 0.5) await stillPossible(bench);
}
