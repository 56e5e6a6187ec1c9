// One commit of a script: random actions, or a repair, or nothing.
import type { QdbEditor } from "@qdb/format/container";
import { ACTIONS, type Action, actionOf } from "./actions.ts";
import type { Bench } from "./bench.ts";
import { type PlainFile, Refusal } from "./plain.ts";
import { below, pick } from "./start-file.ts";
import type { View } from "./view.ts";

/** What one commit is to do. */
export interface Step {
  readonly text: string;
  readonly kind: "edits" | "repair" | "nothing";
  readonly actions: readonly Action[];
  /** What the file is to say then; of a step that is to be refused the code. */
  readonly expected: PlainFile | string;
  /** The code with which it may be refused too, before anything else. */
  readonly mayRefuse?: string | undefined;
}

/** A repair of a file. */
export function repairOf(plain: PlainFile): Step {
  return { text: "repair", kind: "repair", actions: [], expected: plain.clone() };
}

/** A random step. */
export function stepOf({ dice, clusterSize, newName }: Bench, plain: PlainFile): Step {
  const chance = dice();
  if (chance < 0.1) return repairOf(plain);
  if (chance < 0.15) return { text: "commit nothing", kind: "nothing", actions: [], expected: plain.clone() };
  const file = plain.clone();
  const actions: Action[] = [];
  const step = (expected: PlainFile | string): Step => ({
    text: actions.map(({ text }) => text).join(", "),
    kind: "edits",
    actions,
    expected,
    mayRefuse: file.mayRefuse,
  });
  for (let left = dice() < 0.7 ? 1 : 2 + below(dice, 4); left > 0; ) {
    const action = actionOf(pick(dice, ACTIONS), { dice, file, clusterSize, newName });
    if (action === undefined) continue;
    left--;
    actions.push(action);
    try {
      action.plainly(file);
    } catch (error) {
      if (error instanceof Refusal) return step(error.code);
      throw error;
    }
  }
  return step(file);
}

/** Does a step. @throws {QdbError} as the library does */
export async function perform(bench: Bench, editor: QdbEditor, { kind, actions }: Step, ids: number): Promise<void> {
  bench.setIds(ids);
  if (kind === "repair") await editor.repair();
  else {
    for (const action of actions) await action.perform(editor);
    await editor.commit();
  }
}

/** What a repair left in error that it is to mend. */
export function leftBroken({ form, bitmaps = [] }: View): string | undefined {
  if (form === "draft") return undefined;
  const left = bitmaps.find(
    ({ error }) => error !== undefined && error.code !== "INCONSISTENT" && !error.isBeyondRepair,
  );
  return left === undefined ? undefined : `${left.name} is still in error: ${left.error?.code}`;
}

/** Looks whether a step was refused as it had to be, and nothing was written. */
export function judgeRefusal(bench: Bench, step: Step, code: string, plain: PlainFile, changes: number): void {
  const isBeyondRepair = plain.bitmaps.some(({ damage }) => damage?.isBeyondRepair === true);
  if (code === step.mayRefuse) {
    bench.count("refused: damaged data that has to be read");
  } else if (typeof step.expected === "string") {
    bench.judge(code === step.expected ? undefined : `it is refused with ${code}, ${step.expected} was due`, step.text);
    bench.count("refused: by the rules");
  } else if (code === "OVERLAP" && isBeyondRepair && step.kind !== "nothing") {
    // It would become an owner of what a good one has, and cannot be made dirty (QDB-CMT-090): it has to be removed.
    // That a removal of it always helps is tried in still-possible.ts.
    bench.count("refused: beside a bitmap beyond repair");
  } else if (plain.isDraft && isBeyondRepair && step.kind === "edits")
    bench.count("refused: a draft that cannot be carried over");
  else bench.judge(`it is refused with ${code}`, step.text);
  bench.judge(changes === 0 ? undefined : "the file was written to", `${step.text}, which was refused`);
}
