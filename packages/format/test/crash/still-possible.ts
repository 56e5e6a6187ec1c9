// A file stays writable: a healthy bitmap can be marked, one added, a damaged one removed or made dirty, and all repaired.
import { actionOf } from "./actions.ts";
import { type Bench, codeOf } from "./bench.ts";
import { equal } from "./bits.ts";
import { isResult } from "./judge.ts";
import type { PlainBitmap } from "./plain.ts";
import { judgeRefusal, leftBroken, perform, repairOf, type Step } from "./step.ts";

/** Tries these edits, each on a copy of the file as it is. */
export async function stillPossible(bench: Bench): Promise<void> {
  if (!bench.isSettled) return;
  const { plain } = bench.state;
  const healthy = plain.bitmaps.filter(({ damage, size }) => damage === undefined && size > 0);
  const damaged = plain.bitmaps.filter(({ damage, name }) => damage !== undefined && !plain.isSuccessor(name));
  await tryOut(bench, "mark", healthy);
  await tryOut(bench, "add", []);
  await tryOut(bench, "remove", damaged);
  await tryOut(
    bench,
    "mark all",
    damaged.filter(({ damage }) => damage?.code !== "UNSUPPORTED_FEATURE"),
  );
  const repaired = (await tryStep(bench, repairOf(plain))) ?? (await repairWithoutHopeless(bench));
  if (repaired === undefined) return;
  const disk = bench.diskOf(repaired);
  const { written } = await (await bench.open(disk, { repair: true })).repair();
  const isSame = !written && equal(disk.cached, repaired);
  bench.judge(isSame ? undefined : "it changes the file", "a second repair");
}

/**
 * Repairs a copy of the file from which the bitmaps that no repair mends were removed. Gives the file that it comes to; undefined
 * where there is none of them that can be removed, or no space.
 */
async function repairWithoutHopeless(bench: Bench): Promise<Uint8Array | undefined> {
  const { plain } = bench.state;
  const hopeless = plain.bitmaps.filter(({ damage }) => damage?.isBeyondRepair === true);
  if (bench.fixedSize || hopeless.length === 0 || hopeless.some(({ name }) => plain.isSuccessor(name)))
    return undefined;
  const disk = bench.diskOf(bench.disk.bytes);
  const text = "a repair behind the removal of what it cannot mend";
  const removed = await codeOf(async () => {
    const editor = await bench.open(disk, { repair: true });
    for (const { name } of hopeless) editor.edits.remove(name);
    await editor.commit();
  });
  bench.judge(removed === undefined ? undefined : `the removal is refused with ${removed}`, text);
  const code = await codeOf(async () => (await bench.open(disk, { repair: true })).repair());
  bench.judge(code === undefined ? undefined : `it is refused with ${code}`, text);
  bench.judge(leftBroken(bench.look(disk.cached)), text);
  bench.count("repaired after a removal");
  return disk.bytes;
}

/** Tries an action on one of the bitmaps given. */
async function tryOut(bench: Bench, name: string, bitmaps: PlainBitmap[]): Promise<void> {
  const { dice, clusterSize, newName, state } = bench;
  const file = Object.assign(state.plain.clone(), { bitmaps });
  const action = actionOf(name, { dice, file, clusterSize, newName });
  if (action === undefined) return;
  const expected = state.plain.clone();
  action.plainly(expected);
  await tryStep(bench, { text: action.text, kind: "edits", actions: [action], expected });
}

/** Gives the file that it comes to; undefined where it was refused as it must be. */
async function tryStep(bench: Bench, step: Step): Promise<Uint8Array | undefined> {
  const { state } = bench;
  const disk = bench.diskOf(bench.disk.bytes);
  const text = `${step.text}, tried afterwards`;
  const ids = bench.newIds();
  const code = await codeOf(async () => perform(bench, await bench.open(disk, { repair: true }), step, ids));
  if (bench.fixedSize && (code === "POISONED" || code === "LIMIT")) {
    bench.count("failed: device is full");
    return undefined;
  }
  if (code !== undefined) {
    judgeRefusal(bench, { ...step, text }, code, state.plain, disk.changes);
    return undefined;
  }
  const seen = bench.look(disk.cached);
  if (typeof step.expected !== "string") bench.judge(isResult(step.expected, state.view, seen, false), text);
  if (step.kind === "repair") bench.judge(leftBroken(seen), text);
  bench.count("tried afterwards");
  return disk.bytes;
}
