import type { CommandSpec } from "../shell/command.ts";

/** A command that is not loaded yet: what `qdb --help` prints of it, and how to load it. */
export interface LazyCommand {
  readonly name: string;
  /** Must be equal to the summary of the command; a test compares them. */
  readonly summary: string;
  /** Loads the module of the command, which exports it as `command`. */
  load(): Promise<{ readonly command: CommandSpec }>;
}

/** All commands, in the order in which `qdb --help` lists them. A module is loaded when its command is used, so that the program starts fast. */
export const COMMANDS: readonly LazyCommand[] = [
  { name: "create", summary: "make an empty QDB file", load: () => import("./create.ts") },
  {
    name: "bitmap",
    summary: "add, remove or change a bitmap of a QDB file or qcow2 image",
    load: () => import("./bitmap.ts"),
  },
  { name: "info", summary: "tell what a QDB file or a qcow2 image holds", load: () => import("./info.ts") },
  { name: "map", summary: "list the extents of a bitmap, dirty and clean", load: () => import("./map.ts") },
  { name: "check", summary: "look for damage and list every finding, or repair it", load: () => import("./check.ts") },
  { name: "dump", summary: "write a QDB file as JSON, which load takes back", load: () => import("./dump.ts") },
  { name: "load", summary: "make a QDB file from the JSON that dump writes", load: () => import("./load.ts") },
  {
    name: "import",
    summary: "turn other systems' bitmaps and maps into a QDB file",
    load: () => import("./import.ts"),
  },
  { name: "export", summary: "write a bitmap in a format of other systems", load: () => import("./export.ts") },
  { name: "diff", summary: "make a bitmap of what differs between two raw images", load: () => import("./diff.ts") },
  { name: "copy", summary: "copy the dirty extents from one raw image onto another", load: () => import("./copy.ts") },
  { name: "show", summary: "show the map of a bitmap as a picture", load: () => import("./show.ts") },
  {
    name: "conformance",
    summary: "test any program that reads or writes QDB files",
    load: () => import("./conformance.ts"),
  },
];
