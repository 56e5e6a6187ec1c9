import { ACTIONS } from "../bitmap/actions.ts";
import { actionsOf, applyActions } from "../bitmap/run-actions.ts";
import { byMagic } from "../files/bitmap-file.ts";
import { diskOptions, editFile, mirrorOptions, requireFile } from "../files/open-qdb.ts";
import { type Call, type CommandSpec, DISK_CHANGE, HEADER_DAMAGE, PROGRESS } from "../shell/command.ts";

/** `qdb bitmap`: changes one bitmap in one commit. */
export const command: CommandSpec = {
  name: "bitmap",
  summary: "add, remove or change a bitmap of a QDB file or qcow2 image",
  synopsis: ["ACTION... [-g SIZE] [--size=SIZE|--disk=IMAGE] [-b FILE] FILE BITMAP"],
  description: [
    "Applies actions to BITMAP in the order given, and commits them once: all of them or none. Prints nothing when they are done. A second writer is refused at once, while any number of readers may read.",
    "SRC is a bitmap of FILE itself, or of the file of -b, which may be QDB or qcow2. It must be of the same disk size; if granularities differ, rounding never loses dirt: --merge and --intersect round SRC outward, --subtract inward.",
    "A draft file is rewritten whole, in full form.",
    "FILE may be a qcow2 image that no program has open: QEMU is kept out meanwhile by its own locks, if the package koffi is installed, and looked for otherwise. --add takes the length of the image's disk. A qcow2 image has no frozen bitmaps and records nothing of a disk, and its bitmaps cannot be resized. Data of the guest is never touched; an image that is damaged or marked dirty is refused.",
    "Exit code 1 with PATH_CHANGED: FILE was removed, moved or replaced meanwhile; the changes are stored in the file that was opened, which nobody finds under this path.",
  ],
  operands: { min: 2, max: 2, names: ["FILE", "BITMAP"] },
  options: [
    ...ACTIONS.map(({ option }) => option),
    { long: "granularity", short: "g", value: "SIZE", help: "with --add: bytes a bit, a power of two (default 64K)" },
    { long: "size", value: "SIZE", help: "with --add: length of the disk; not for a qcow2 image" },
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
    { long: "base", value: "IMAGE", help: "with --salvage: the last backup, restored; raw or qcow2" },
    { long: "source-file", short: "b", value: "FILE", help: "the file that every SRC is in" },
    DISK_CHANGE,
    HEADER_DAMAGE,
    ...PROGRESS,
  ],
  examples: [
    ["qdb bitmap --add -g 64K --disk vm.img vm.qdb daily", "a new bitmap for a disk"],
    ["qdb bitmap --merge monday --merge tuesday -b old.qcow2 vm.qdb daily", "what QEMU collected is added"],
    ["qdb bitmap --freeze daily-2 vm.qdb daily", "keep daily for a backup; daily-2 collects from now on"],
    ["qdb bitmap --release=done vm.qdb daily", "the backup is complete"],
    ["qdb bitmap --mark-all vm.qcow2 daily", "after a crash of QEMU: it can be used again, and all of it is dirty"],
    ["qdb bitmap --salvage --base restored.raw vm.qcow2 daily", "the same, but only what changed since is dirty"],
  ],
  run,
};

async function run(call: Call): Promise<number> {
  const [path = "", name = ""] = call.operands;
  requireFile(path);
  const actions = actionsOf(call);
  const options = { ...mirrorOptions(call), ...diskOptions(call) };
  await byMagic(path, {
    qdb: () =>
      editFile(
        path,
        call,
        (edit) => applyActions(actions, { edit, name, diskSize: undefined, differenceFrom: undefined }, call),
        options,
      ),
    async qcow2() {
      // It has all that it needs in a file of its own, and parses the actions anew.
      const { changeImage } = await import("../bitmap/edit-image-file.ts");
      await changeImage(path, name, call);
    },
  });
  return 0;
}
