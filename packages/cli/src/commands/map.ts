import type { StoredBitmap } from "@qdb/format";
import { closing, ExtentPrinter } from "@qdb/format/internal";
import { about, diskOptions, openFile } from "../files/open-qdb.ts";
import { type Call, type CommandSpec, DISK_CHANGE, OUTPUT } from "../shell/command.ts";
import { parseSize } from "../shell/size.ts";

/** Maximum number of bytes of bits that are held in memory until all are verified (spec §7.4). Those of a larger map are read twice instead. */
const MAX_HELD_BYTES = 8 * 1024 * 1024;

/** Maximum size of the pieces that are printed, in bytes. */
const PIECE_BYTES = 2 * 1024 * 1024;

/** `qdb map`: prints the extents of a bitmap. */
export const command: CommandSpec = {
  name: "map",
  summary: "list the extents of a bitmap, dirty and clean",
  synopsis: ["[--start-offset=N] [--max-length=N] [--output=human|json] FILE BITMAP"],
  description: [
    "Lists the extents of a bitmap in ascending order, dirty and clean in turn, covering the disk: offset and length in bytes, type (1 dirty, 0 clean), description. Text and JSON are those of nbdinfo --map.",
    "Nothing is printed before the bits to be printed are known to be good.",
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
    ["qdb map --output=json --start-offset=1G --max-length=64M backup.qdb daily", "A part of it, as JSON."],
  ],
  async run(call) {
    const [path = "", name = ""] = call.operands;
    const start = sizeOption(call, "start-offset") ?? 0n;
    const maxLength = sizeOption(call, "max-length");
    const file = await openFile(path, call, { acceptMirror: true, ...diskOptions(call) });
    await closing(file, () => about(path, () => print(file.bitmap(name), start, maxLength, call)));
    return 0;
  },
};

function sizeOption(call: Call, long: string): bigint | undefined {
  const text = call.value(long);
  return text === undefined ? undefined : parseSize(text, `--${long}`);
}

async function print(bitmap: StoredBitmap, from: bigint, maxLength: bigint | undefined, call: Call): Promise<void> {
  const { size } = bitmap;
  const start = from < size ? from : size;
  const end = maxLength === undefined || start + maxLength > size ? size : start + maxLength;
  const printer = new ExtentPrinter((bytes) => call.output.bytes(bytes), bitmap, {
    format: call.json ? "json" : "human",
    start,
    end,
    pieceBytes: PIECE_BYTES,
  });
  // Nothing is printed before all bits are verified: a later cluster can be damaged, and text that was printed cannot be taken back.
  const within = { offset: start, length: end - start };
  const options = { within, signal: call.signal, holdBytes: MAX_HELD_BYTES, verifyFirst: true };
  for await (const batch of bitmap.batches(options)) printer.push(batch);
  printer.finish();
}
