import type { Bitmap } from "@qdb/format";
import { DEFAULT_GRANULARITY, requireName } from "@qdb/format/internal";
import { type DiffOptions, diffImages, lookAtDisk } from "@qdb/io-node";
import { granularityOf, newBitmapLine, readBitmaps } from "../files/new-bitmaps.ts";
import { IMAGE_FORMAT, requireRawImages } from "../files/raw-images.ts";
import { storeBitmaps } from "../files/store-bitmaps.ts";
import { type Call, type CommandSpec, PROGRESS } from "../shell/command.ts";

/** Default name of the new bitmap. */
const DEFAULT_NAME = "diff";

/** `qdb diff`: makes a bitmap of the differences between two disk images. */
export const command: CommandSpec = {
  name: "diff",
  summary: "make a bitmap of what differs between two raw images",
  synopsis: ["[-g SIZE] [-B NAME] [-f raw] BASE CURRENT FILE"],
  description: [
    "Reads both images and stores one bitmap in FILE, which is made when it is missing: dirty is what differs, and what only one of the images has. The bitmap is for the disk CURRENT, and remembers its path and state; of a block device that is its length only, and changes of its content go unseen. A bitmap of the name must not be there yet.",
    "An image that changes meanwhile ends the command, and nothing is stored.",
  ],
  operands: { min: 3, max: 3, names: ["BASE", "CURRENT", "FILE"] },
  options: [
    { long: "granularity", short: "g", value: "SIZE", help: "bytes a bit, a power of two (default 64K)" },
    { long: "bitmap", short: "B", value: "NAME", help: `name of the bitmap (default ${DEFAULT_NAME})` },
    IMAGE_FORMAT,
    ...PROGRESS,
  ],
  examples: [
    ["qdb diff monday.img tuesday.img changes.qdb", "what changed from Monday to Tuesday"],
    ["qdb diff -g 4K -B daily old.img /dev/vg/disk daily.qdb", "finer, under another name, of a block device"],
  ],
  run,
};

async function run(call: Call): Promise<number> {
  const [base = "", current = "", file = ""] = call.operands;
  const name = requireName(call.value("bitmap") ?? DEFAULT_NAME);
  const granularity = granularityOf(call) ?? DEFAULT_GRANULARITY;
  const stored = await storeBitmaps(file, call, "refuse", async (target) => {
    target.requireFree(name, "choose another name with -B");
    requireRawImages([base, current], call);
    const disk = lookAtDisk(current);
    const bits = await compare(base, current, { granularity, stamp: disk.diskStamp }, call);
    return readBitmaps([{ name, bits, enabled: false, ...disk }], call);
  });
  for (const bitmap of stored) call.output.line(newBitmapLine(bitmap));
  return 0;
}

async function compare(base: string, current: string, options: DiffOptions, call: Call): Promise<Bitmap> {
  const progress = call.progress("comparing");
  try {
    return await diffImages(base, current, { ...options, signal: call.signal, onProgress: progress.onProgress });
  } finally {
    progress.end();
  }
}
