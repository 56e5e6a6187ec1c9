import { QdbError } from "@qdb/format";
import { closing } from "@qdb/format/internal";
import { ACTIONS, type Action } from "../bitmap/actions.ts";
import type { OpenBitmap } from "../bitmap/open-bitmap.ts";
import { openSourceFile, type SourceFile } from "../bitmap/source-file.ts";
import { diskOptions, editFile, mirrorOptions, requireFile } from "../files/open-qdb.ts";
import { type Call, type CommandSpec, DISK_CHANGE, HEADER_DAMAGE } from "../shell/command.ts";
import { ofOtherFiles } from "../shell/errors.ts";

/** Options that only have a meaning together with an action, each with the actions that it belongs to. */
const GOES_WITH: readonly (readonly [option: string, actions: readonly string[]])[] = [
  ["granularity", ["add"]],
  ["size", ["add"]],
  ["disk", ["add"]],
  ["new-area", ["resize"]],
  ["source-file", ["merge", "intersect", "subtract", "xor"]],
];

/** `qdb bitmap`: changes one bitmap in one commit. */
export const command: CommandSpec = {
  name: "bitmap",
  summary: "add, remove or change a bitmap of a QDB file",
  synopsis: ["ACTION... [-g SIZE] [--size=SIZE|--disk=IMAGE] [-b FILE] FILE BITMAP"],
  description: [
    "Applies actions to BITMAP in the order given, and commits them once: all of them or none. Prints nothing when they are done. A second writer is refused at once, while any number of readers may read.",
    "SRC is a bitmap of FILE itself, or of the file of -b, which may be QDB or qcow2. It must be of the same disk size; if granularities differ, rounding never loses dirt: --merge and --intersect round SRC outward, --subtract inward.",
    "A draft file is rewritten whole, in full form.",
    "Exit code 1 with PATH_CHANGED: FILE was removed, moved or replaced meanwhile; the changes are stored in the file that was opened, which nobody finds under this path.",
  ],
  operands: { min: 2, max: 2, names: ["FILE", "BITMAP"] },
  options: [
    ...ACTIONS.map(({ option }) => option),
    { long: "granularity", short: "g", value: "SIZE", help: "with --add: bytes a bit, a power of two (default 64K)" },
    { long: "size", value: "SIZE", help: "with --add: length of the disk" },
    {
      long: "disk",
      value: "IMAGE",
      help: "with --add: the length of this raw image; it and its state are remembered, of a block device that is its length only, and changes of its content go unseen",
    },
    {
      long: "new-area",
      value: "STATE",
      choices: ["dirty", "clean"],
      help: "with --resize; clean is your word that no byte there changed since the bitmap began",
    },
    { long: "source-file", short: "b", value: "FILE", help: "the file that every SRC is in" },
    DISK_CHANGE,
    HEADER_DAMAGE,
  ],
  examples: [
    ["qdb bitmap --add -g 64K --disk vm.img vm.qdb daily", "a new bitmap for a disk"],
    ["qdb bitmap --merge monday --merge tuesday -b old.qcow2 vm.qdb daily", "what QEMU collected is added"],
    ["qdb bitmap --freeze daily-2 vm.qdb daily", "keep daily for a backup; daily-2 collects from now on"],
    ["qdb bitmap --release=done vm.qdb daily", "the backup is complete"],
  ],
  run,
};

async function run(call: Call): Promise<number> {
  const [path = "", name = ""] = call.operands;
  requireFile(path);
  const actions = actionsOf(call);
  const options = { ...mirrorOptions(call), ...diskOptions(call) };
  await editFile(path, call, (edit) => applyAll(actions, { edit, name }, call), options);
  return 0;
}

async function applyAll(
  actions: readonly Action[],
  target: Pick<OpenBitmap, "edit" | "name">,
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
function actionsOf(call: Call): Action[] {
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
