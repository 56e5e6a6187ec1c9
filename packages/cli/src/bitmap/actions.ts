import { type BitmapEdit, QdbError, quote } from "@qdb/format";
import type { UnnamedBitmapInit } from "@qdb/format/container";
import { requireName } from "@qdb/format/internal";
import { lookAtDisk } from "@qdb/io-node";
import { granularityOf, parseGranularity } from "../files/new-bitmaps.ts";
import { requireRaw } from "../files/raw-images.ts";
import type { Call, OptionSpec } from "../shell/command.ts";
import { parseSize } from "../shell/size.ts";
import { type Combination, combine, type OpenBitmap } from "./open-bitmap.ts";

/** A parsed action of the command line: queues what it does. @throws {QdbError} if the action is refused; then nothing is committed */
export type Action = (target: OpenBitmap) => void | Promise<void>;

/** An option that stands for an action. */
export interface ActionSpec {
  readonly option: OptionSpec;
  /** Parses the value of the option, before any file is opened. @throws {QdbError} USAGE */
  parse(value: string, call: Call): Action;
}

/** Returns an action on the bitmap. */
function on(change: (bitmap: BitmapEdit) => void): Action {
  return ({ edit, name }) => change(edit.bitmap(name));
}

/** Makes the specification of an action without a value. */
function plain(long: string, help: string, change: (bitmap: BitmapEdit) => void): ActionSpec {
  return { option: { long, repeatable: true, help }, parse: () => on(change) };
}

/** Makes the specification of an action that combines the bitmap with a source bitmap. */
function combination(how: Combination, help: string): ActionSpec {
  return {
    option: { long: how, value: "SRC", repeatable: true, help },
    parse: (source) => (target) => combine(target, source, how),
  };
}

/** All actions, in the order of the help. */
export const ACTIONS: readonly ActionSpec[] = [
  {
    option: { long: "add", repeatable: true, help: "add BITMAP, clean and enabled; needs --size or --disk" },
    parse(_, call) {
      const init = newBitmapOf(call);
      return ({ edit, name, diskSize }) => edit.add({ ...init(diskSize), name });
    },
  },
  plain("remove", "remove BITMAP, whatever state it is in", (bitmap) => bitmap.remove()),
  plain("clear", "make all of it clean", (bitmap) => bitmap.clear()),
  plain("enable", "let it collect from the first write on", (bitmap) => bitmap.enable()),
  plain("disable", "let it collect no longer", (bitmap) => bitmap.disable()),
  combination("merge", "add what SRC calls dirty (OR)"),
  combination("intersect", "keep what SRC calls dirty too (AND)"),
  combination("subtract", "drop what SRC calls dirty (AND NOT)"),
  combination("xor", "keep what exactly one of the two calls dirty; both of one granularity"),
  plain("invert", "make dirty clean and clean dirty", (bitmap) => bitmap.invert()),
  {
    option: { long: "mark", value: "OFFSET+LENGTH", repeatable: true, help: "make a range dirty, rounded outward" },
    parse(value) {
      const range = parseRange(value, "--mark");
      return on((bitmap) => bitmap.mark(range));
    },
  },
  {
    option: { long: "unmark", value: "OFFSET+LENGTH", repeatable: true, help: "make a range clean, rounded inward" },
    parse(value) {
      const range = parseRange(value, "--unmark");
      return on((bitmap) => bitmap.unmark(range));
    },
  },
  plain("mark-all", "make all of it dirty: the one way back for an inconsistent bitmap", (bitmap) => bitmap.markAll()),
  {
    option: {
      long: "salvage",
      help: "of a qcow2 image, where a crash left BITMAP in use: dirty is what it had stored, and what differs from the backup of --base; both disks are read in full",
    },
    parse(_, { value: optionOf }) {
      const base = optionOf("base");
      if (base === undefined) throw new QdbError("USAGE", "--salvage needs --base IMAGE, the last backup, restored");
      return async ({ edit, name, differenceFrom }) => {
        if (differenceFrom === undefined)
          throw new QdbError("NOT_SUPPORTED", "--salvage is for qcow2 images, which have the disk; use --mark-all");
        const { granularity } = await edit.bitmap(name).facts();
        edit.bitmap(name).recover(await differenceFrom(base, granularity));
      };
    },
  },
  {
    option: { long: "rename", value: "NEW", repeatable: true, help: "call it NEW; the actions that follow are on NEW" },
    parse(value) {
      const name = requireName(value);
      return (target) => {
        target.edit.bitmap(target.name).rename(name);
        target.name = name;
      };
    },
  },
  {
    option: { long: "resize", value: "SIZE", repeatable: true, help: "fit it to a disk of SIZE; what is new is dirty" },
    parse(value, { value: optionOf }) {
      const size = parseSize(value, "--resize");
      const newArea = optionOf("new-area") === "clean" ? "clean" : "dirty";
      return on((bitmap) => bitmap.resize(size, { newArea }));
    },
  },
  {
    option: { long: "regranulate", value: "G", repeatable: true, help: "G bytes a bit; rounding only adds dirt" },
    parse(value) {
      const granularity = parseGranularity(value, "--regranulate");
      return on((bitmap) => bitmap.regranulate(granularity));
    },
  },
  {
    option: {
      long: "freeze",
      value: "NEW",
      repeatable: true,
      help: "keep it as it is for a backup; NEW, which is made, collects from now on",
    },
    parse(value) {
      const successor = requireName(value);
      return on((bitmap) => bitmap.freeze(successor));
    },
  },
  {
    option: {
      long: "release",
      value: "OUTCOME",
      choices: ["done", "failed"],
      repeatable: true,
      help: "end a freeze. done: the backup is complete, BITMAP goes; failed: its dirt goes into the one that collects",
    },
    parse(value) {
      const outcome = value === "done" ? "done" : "failed";
      return on((bitmap) => bitmap.release(outcome));
    },
  },
];

/**
 * Returns what makes the bitmap that --add creates, of the length of the disk of an image. For a QDB file the size must be given, even if
 * other bitmaps of the file have one.
 * @throws {QdbError} USAGE; as {@link lookAtDisk}
 */
function newBitmapOf(call: Call): (diskSize: bigint | undefined) => UnnamedBitmapInit {
  const granularity = granularityOf(call);
  const size = call.value("size");
  const disk = call.value("disk");
  if (size !== undefined && disk !== undefined) throw needsSize();
  if (size !== undefined) {
    const bytes = parseSize(size, "--size");
    return () => ({ size: bytes, granularity });
  }
  if (disk === undefined) {
    return (diskSize) => {
      if (diskSize === undefined) throw needsSize();
      return { size: diskSize, granularity };
    };
  }
  requireRaw(disk, "name the raw disk, or give its size with --size");
  const found = lookAtDisk(disk);
  return () => ({ ...found, granularity });
}

function needsSize(): QdbError {
  const message = "--add needs the size of the disk: either --size or --disk; try: qdb bitmap --help";
  return new QdbError("USAGE", message);
}

/** Parses `OFFSET+LENGTH`, in bytes. Whether the range lies inside the disk is checked when it is used. @throws {QdbError} USAGE */
function parseRange(text: string, option: string): { readonly offset: bigint; readonly length: bigint } {
  const [offset, length, ...more] = text.split("+");
  if (offset === undefined || length === undefined || more.length > 0) {
    throw new QdbError("USAGE", `${option} ${quote(text)} is no range: write OFFSET+LENGTH, as in 1G+64K`);
  }
  return { offset: parseSize(offset, option), length: parseSize(length, option) };
}
