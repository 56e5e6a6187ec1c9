// The actions of a call of `qdb bitmap`, for a file of either format.
import { QdbError } from "@qdb/format";
import { closing } from "@qdb/format/internal";
import type { Call } from "../shell/command.ts";
import { ofOtherFiles } from "../shell/errors.ts";
import { ACTIONS, type Action } from "./actions.ts";
import type { OpenBitmap } from "./open-bitmap.ts";
import { openSourceFile, type SourceFile } from "./source-file.ts";

/** Options that only have a meaning together with an action, each with the actions that it belongs to. */
const GOES_WITH: readonly (readonly [option: string, actions: readonly string[]])[] = [
  ["granularity", ["add"]],
  ["size", ["add"]],
  ["disk", ["add"]],
  ["new-area", ["resize"]],
  ["base", ["salvage"]],
  ["source-file", ["merge", "intersect", "subtract", "xor"]],
];

/** Does actions on a bitmap, in order, and stops at the first one that fails. Nothing is committed here. @throws {QdbError} the error of that action; as opening the file of the sources */
export async function applyActions(
  actions: readonly Action[],
  target: Pick<OpenBitmap, "edit" | "name" | "diskSize" | "differenceFrom">,
  call: Call,
): Promise<void> {
  const path = call.value("source-file");
  const apply = async (sources: SourceFile | undefined): Promise<void> => {
    const opened = { ...target, sources };
    for (const action of actions) {
      await action(opened);
      // An action that fails is reported before one that cannot be queued after it.
      await opened.edit.apply();
    }
  };
  if (path === undefined) return apply(undefined);
  const sources = await ofOtherFiles(() => openSourceFile(path, call));
  await closing({ close: () => ofOtherFiles(() => sources.close()) }, () => apply(sources));
}

/**
 * Returns the actions of the call, in the order given.
 * @throws {QdbError} USAGE for no action, or for an option that no action of the call uses; for --disk as {@link lookAtDisk}
 */
export function actionsOf(call: Call): Action[] {
  const actions = call.given.flatMap(({ long, value }) => {
    const action = ACTIONS.find(({ option }) => option.long === long);
    return action === undefined ? [] : [action.parse(value ?? "", call)];
  });
  if (actions.length === 0) throw new QdbError("USAGE", "say what to do with the bitmap; try: qdb bitmap --help");
  for (const [option, goesWith] of GOES_WITH) {
    if (!call.has(option) || goesWith.some((action) => call.has(action))) continue;
    const list = goesWith.map((action) => `--${action}`).join(", ");
    throw new QdbError("USAGE", `--${option} goes with ${list} only; try: qdb bitmap --help`);
  }
  return actions;
}
