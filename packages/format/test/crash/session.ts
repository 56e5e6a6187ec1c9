// One opening of a file for writing: up to three commits, each with every state that a power cut can leave of it.
import { isQdbError } from "@qdb/format";
import type { QdbEditor } from "@qdb/format/container";
import { type Bench, codeOf, type OpenOptions } from "./bench.ts";
import type { Disk, Epoch } from "./disk.ts";
import { isIn, isResult, type State, settled, stateOf } from "./judge.ts";
import type { PlainFile } from "./plain.ts";
import { headersOf } from "./raw-file.ts";
import { below } from "./start-file.ts";
import { judgeRefusal, leftBroken, perform, type Step, stepOf } from "./step.ts";

/** A handle, and the state that it opened. */
interface Opened {
  readonly editor: QdbEditor;
  readonly state: State;
  readonly options: OpenOptions;
}

/** A session. `mayFail`: operations of the disk may. */
export async function session(bench: Bench, mayFail: boolean): Promise<void> {
  bench.wreck = undefined;
  let opened = await open(bench);
  for (let left = 1 + below(bench.dice, 3); opened !== undefined && left > 0; left--) {
    opened = await commit(bench, opened, mayFail);
  }
}

/** Opens the file; undefined where that is refused as it must be. */
async function open(bench: Bench): Promise<Opened | undefined> {
  const options = { repair: bench.dice() < 0.5, acceptMirror: bench.dice() < 0.5 };
  for (;;) {
    const state = bench.present();
    state.plain.isDoubtful = !options.acceptMirror && headersOf(bench.disk.cached) === "mirror";
    bench.newIds();
    let editor: QdbEditor;
    try {
      editor = await bench.open(bench.disk, options);
    } catch (error) {
      if (!isQdbError(error)) throw error;
      // A torn primary can have lost its magic: only a repair that was asked for takes the mirror then.
      const hasMagic = Buffer.from(bench.disk.cached.subarray(0, 4)).toString("latin1") === "QDB\0";
      if (error.code !== "BAD_MAGIC" || options.repair || hasMagic)
        bench.judge(`it is refused with ${error.code}: ${error.message}`, "opening for writing");
      bench.count("refused: without magic");
      return undefined;
    }
    // A page can leave the cache between two looks.
    if (bench.present().view === state.view) return { editor, state, options };
  }
}

/** One commit. Gives the handle to go on with. */
async function commit(bench: Bench, opened: Opened, mayFail: boolean): Promise<Opened | undefined> {
  const { disk, dice } = bench;
  const { editor, state } = opened;
  const step = stepOf(bench, state.plain);
  const ids = bench.newIds();
  const wasStale = disk.isStale;
  const fault = mayFail && dice() < 0.15 ? { after: below(dice, 12), share: dice() } : undefined;
  bench.log(`${step.text}${fault === undefined ? "" : `, operation ${fault.after} fails`}`);
  const twin = fault === undefined ? undefined : await twinOf(bench, opened, step, ids);
  const changes = disk.changes;
  disk.failAt(fault);
  const code = await codeOf(() => perform(bench, editor, step, ids));
  const hasFailed = disk.failed;
  disk.failAt(undefined);
  if (code === undefined) {
    if (hasFailed) bench.judge("it was acknowledged", `${step.text}, in which an operation failed`);
    return acknowledged(bench, opened, step, wasStale);
  }
  // A device can be full, and a page that left the cache is damage like any other.
  const isFull = bench.fixedSize && (code === "POISONED" || code === "LIMIT");
  if (hasFailed || wasStale || isFull)
    failed(bench, opened, twin, isFull && !hasFailed ? "device is full" : "commit failed");
  else judgeRefusal(bench, step, code, state.plain, disk.changes - changes);
  // A part of the step may be in the edits.
  return undefined;
}

/** The commit is done: the file says what it is to say, and nothing takes it back. */
function acknowledged(bench: Bench, opened: Opened, step: Step, isLoose: boolean): Opened | undefined {
  const { expected } = step;
  if (typeof expected === "string") {
    bench.judge(`it is done, ${expected} was due`, step.text);
    return undefined;
  }
  const seen = bench.look(bench.disk.cached);
  bench.judge(isResult(expected, opened.state.view, seen, isLoose), step.text);
  if (step.kind === "repair") bench.judge(leftBroken(seen), step.text);
  bench.count(`done: ${step.kind}`);
  for (const { name } of step.actions) bench.count(`action: ${name}`);
  const state = { view: seen, plain: settled(expected, seen) };
  explore(bench, bench.disk.epochs(), state, true);
  bench.states = [state];
  // Where a reference pointed behind the file's end there may be space now, and a header that was read through the mirror may be
  // whole: what of that the handle knows is its own affair.
  return opened.state.plain.isDoubtful || hasOtherDamage(expected, state.plain) ? undefined : { ...opened, state };
}

/** The handle has ended: the file is in its old state, or in the new one. */
function failed(bench: Bench, { state }: Opened, twin: State | undefined, what: string): void {
  bench.count(`failed: ${what}`);
  bench.states = explore(bench, bench.disk.epochs(), twin ?? state, false);
  bench.present();
}

/** What a step comes to where nothing fails, found on a copy. */
async function twinOf(bench: Bench, opened: Opened, step: Step, ids: number): Promise<State | undefined> {
  const { expected } = step;
  if (typeof expected === "string") return undefined;
  const disk: Disk = bench.diskOf(bench.disk.bytes);
  const code = await codeOf(async () => perform(bench, await bench.open(disk, opened.options), step, ids));
  if (code !== undefined) return undefined;
  const view = bench.look(disk.cached);
  bench.judge(isResult(expected, opened.state.view, view, bench.disk.isStale), step.text);
  return { view, plain: settled(expected, view) };
}

/**
 * Judges what power cuts leave of a commit: one of the states before it or the one after it, but none older than what a flush
 * has covered. Gives the states that are left, the newest first.
 */
function explore(bench: Bench, epochs: readonly Epoch[], after: State, isDone: boolean): readonly State[] {
  let allowed = [after, ...bench.states];
  for (const [number, epoch] of epochs.entries()) {
    if (isDone && number === epochs.length - 1) allowed = [after];
    for (const bytes of bench.cuts.of(epoch)) {
      const view = bench.lookOnce(bytes);
      const state = stateOf(allowed, view);
      if (state === undefined) {
        const why = allowed.map((one) => isIn(one, view)).join("; or ");
        bench.judge(why, `a power cut before flush ${number + 1} of ${epochs.length}`);
      } else if (bench.dice() < 0.02) bench.wreck = { ...state, bytes: bytes.slice() };
    }
    if (epoch.covered === undefined) continue;
    const view = bench.lookOnce(epoch.covered);
    const stored = allowed.findLastIndex((one) => isIn(one, view) === undefined);
    if (stored >= 0) allowed = allowed.slice(0, stored + 1);
  }
  return allowed;
}

/** Whether a bitmap that is in error is so for another reason than the one expected, or not any more. */
function hasOtherDamage(expected: PlainFile, now: PlainFile): boolean {
  return expected.bitmaps.some(
    ({ damage }, at) => damage !== undefined && now.bitmaps[at]?.damage?.code !== damage.code,
  );
}
