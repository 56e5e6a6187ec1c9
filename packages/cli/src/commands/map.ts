import { printExtents } from "@qdb/format/internal";
import { readBitmapBits } from "../files/bitmap-file.ts";
import { writeOutput } from "../files/new-output.ts";
import { diskOptions } from "../files/open-qdb.ts";
import { type Call, type CommandSpec, DISK_CHANGE, IMAGES, NO_DISK, OUTPUT } from "../shell/command.ts";
import { parseSize } from "../shell/size.ts";

/** `qdb map`: prints the extents of a bitmap. */
export const command: CommandSpec = {
  name: "map",
  summary: "list the extents of a bitmap, dirty and clean",
  synopsis: ["[--start-offset=N] [--max-length=N] [--output=human|json] FILE BITMAP"],
  description: [
    "Lists the extents of a bitmap in ascending order, dirty and clean in turn, covering the disk: offset and length in bytes, type (1 dirty, 0 clean), description. Text and JSON are those of nbdinfo --map.",
    "Nothing is printed before the bits to be printed are known to be good.",
    IMAGES,
    NO_DISK,
  ],
  operands: { min: 2, max: 2, names: ["FILE", "BITMAP"] },
  options: [
    { long: "start-offset", value: "N", help: "begin at this byte of the disk" },
    { long: "max-length", value: "N", help: "print this many bytes of the disk at most" },
    DISK_CHANGE,
    OUTPUT,
  ],
  examples: [
    ["qdb map backup.qdb daily", "Every extent of the bitmap daily."],
    ["qdb map vm.qcow2 daily", "The same of a bitmap of a qcow2 image."],
    ["qdb map --output=json --start-offset=1G --max-length=64M backup.qdb daily", "A part of it, as JSON."],
  ],
  async run(call) {
    const [path = "", name = ""] = call.operands;
    const start = sizeOption(call, "start-offset") ?? 0n;
    const maxLength = sizeOption(call, "max-length");
    const format = call.json ? "json" : "human";
    const options = { format, start, maxLength, signal: call.signal } as const;
    await readBitmapBits(
      path,
      name,
      call,
      (bits) => writeOutput("-", (put) => printExtents(bits, put, options), call),
      { acceptMirror: true, ...diskOptions(call) },
    );
    return 0;
  },
};

function sizeOption(call: Call, long: string): bigint | undefined {
  const text = call.value(long);
  return text === undefined ? undefined : parseSize(text, `--${long}`);
}
