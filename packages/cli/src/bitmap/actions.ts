import { Bitmap, type BitmapShape, QdbError, quote } from "@qdb/format";
import { DEFAULT_GRANULARITY } from "@qdb/format/internal";
import { lookAtDisk } from "@qdb/io-node";
import {
  granularityOf,
  type NewBitmap,
  parseGranularity,
  requireBitmapName,
  storedForm,
} from "../files/new-bitmaps.ts";
import { diskRecords, requireRaw } from "../files/raw-images.ts";
import type { Call, OptionSpec } from "../shell/command.ts";
import { parseSize } from "../shell/size.ts";
import { type Combination, change, combine, edit, type OpenBitmap } from "./open-bitmap.ts";

/** A parsed action of the command line. @throws {QdbError} if the action is refused; then nothing is committed */
export type Action = (target: OpenBitmap) => Promise<void>;

/** An option that stands for an action. */
export interface ActionSpec {
  readonly option: OptionSpec;
  /** Parses the value of the option, before any file is opened. @throws {QdbError} USAGE */
  parse(value: string, call: Call): Action;
}

/** Makes the specification of an action without a value. */
function plain(long: string, help: string, action: Action): ActionSpec {
  return { option: { long, repeatable: true, help }, parse: () => action };
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
      const { shape, records } = newShape(call);
      return (target) => {
        const name = requireBitmapName(target.name);
        const bitmap = { name, bits: Bitmap.clean(shape), isEnabled: true, isInUse: false, records };
        return edit(target, (edits) => edits.add(storedForm(bitmap)));
      };
    },
  },
  plain("remove", "remove BITMAP, whatever state it is in", (target) =>
    edit(target, (edits) => edits.remove(target.name)),
  ),
  plain("clear", "make all of it clean", (target) => change(target, (edits, name) => edits.clear(name))),
  plain("enable", "let it collect from the first write on", (target) =>
    edit(target, (edits) => edits.setEnabled(target.name, true)),
  ),
  plain("disable", "let it collect no longer", (target) =>
    edit(target, (edits) => edits.setEnabled(target.name, false)),
  ),
  combination("merge", "add what SRC calls dirty (OR)"),
  combination("intersect", "keep what SRC calls dirty too (AND)"),
  combination("subtract", "drop what SRC calls dirty (AND NOT)"),
  combination("xor", "keep what exactly one of the two calls dirty; both of one granularity"),
  plain("invert", "make dirty clean and clean dirty", (target) => change(target, (edits, name) => edits.invert(name))),
  {
    option: { long: "mark", value: "OFFSET+LENGTH", repeatable: true, help: "make a range dirty, rounded outward" },
    parse(value) {
      const range = parseRange(value, "--mark");
      return (target) => change(target, (edits, name) => edits.mark(name, range));
    },
  },
  {
    option: { long: "unmark", value: "OFFSET+LENGTH", repeatable: true, help: "make a range clean, rounded inward" },
    parse(value) {
      const range = parseRange(value, "--unmark");
      return (target) => change(target, (edits, name) => edits.unmark(name, range));
    },
  },
  plain("mark-all", "make all of it dirty: the one way back for an inconsistent bitmap", (target) =>
    edit(target, (edits) => edits.markAll(target.name)),
  ),
  {
    option: { long: "rename", value: "NEW", repeatable: true, help: "call it NEW; the actions that follow are on NEW" },
    parse(value) {
      const name = requireBitmapName(value);
      return async (target) => {
        await edit(target, (edits) => edits.rename(target.name, name));
        target.name = name;
      };
    },
  },
  {
    option: { long: "resize", value: "SIZE", repeatable: true, help: "fit it to a disk of SIZE; what is new is dirty" },
    parse(value, { value: optionOf }) {
      const size = parseSize(value, "--resize");
      const newArea = optionOf("new-area") === "clean" ? "clean" : "dirty";
      return (target) => change(target, (edits, name) => edits.resize(name, size, newArea));
    },
  },
  {
    option: { long: "regranulate", value: "G", repeatable: true, help: "G bytes a bit; rounding only adds dirt" },
    parse(value) {
      const granularity = parseGranularity(value, "--regranulate");
      return (target) => change(target, (edits, name) => edits.regranulate(name, granularity));
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
      const successor = requireBitmapName(value);
      return (target) => edit(target, (edits) => edits.freeze(target.name, successor, BigInt(Date.now()) * 1_000_000n));
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
      return (target) => change(target, (edits, name) => edits.release(name, outcome));
    },
  },
];

/** Returns shape and records of the bitmap that --add creates. The size must be given, even if other bitmaps of the file have one. @throws {QdbError} USAGE; as {@link lookAtDisk} */
function newShape(call: Call): { readonly shape: BitmapShape; readonly records: NewBitmap["records"] } {
  const granularity = granularityOf(call) ?? DEFAULT_GRANULARITY;
  const size = call.value("size");
  const disk = call.value("disk");
  if (size !== undefined && disk === undefined) {
    return { shape: { size: parseSize(size, "--size"), granularity }, records: [] };
  }
  if (disk === undefined || size !== undefined) {
    throw new QdbError("USAGE", "--add needs the size of the disk: either --size or --disk; try: qdb bitmap --help");
  }
  requireRaw(disk, "name the raw disk, or give its size with --size");
  const seen = lookAtDisk(disk);
  return { shape: { size: seen.stamp.length, granularity }, records: diskRecords(seen) };
}

/** Parses `OFFSET+LENGTH`, in bytes. Whether the range lies inside the disk is checked when it is used. @throws {QdbError} USAGE */
function parseRange(text: string, option: string): { readonly offset: bigint; readonly length: bigint } {
  const [offset, length, ...more] = text.split("+");
  if (offset === undefined || length === undefined || more.length > 0) {
    throw new QdbError("USAGE", `${option} ${quote(text)} is no range: write OFFSET+LENGTH, as in 1G+64K`);
  }
  return { offset: parseSize(offset, option), length: parseSize(length, option) };
}
