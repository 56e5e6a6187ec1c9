import { type Bitmap, type QdbFile, readBitmap } from "@qdb/format";
import { closing, shortSize } from "@qdb/format/internal";
import { copyExtents } from "@qdb/io-node";
import { about, diskOf, mirrorOptions, openFile } from "../files/open-qdb.ts";
import { IMAGE_FORMAT, requireRawImages } from "../files/raw-images.ts";
import { type Call, type CommandSpec, DISK_CHANGE, HEADER_DAMAGE, PROGRESS } from "../shell/command.ts";
import { insisting } from "../shell/errors.ts";

/** `qdb copy`: copies the dirty extents of one image onto another image. */
export const command: CommandSpec = {
  name: "copy",
  summary: "copy the dirty extents from one raw image onto another",
  synopsis: ["[-f raw] [--ignore-disk-change] [--ignore-header-damage] FILE BITMAP SOURCE TARGET"],
  description: [
    "Brings what BITMAP calls dirty from SOURCE onto TARGET, which exists and has the same size, and flushes it to the disk. The rest of TARGET is not touched. The bitmap stays as it is: nothing is cleared.",
    "A bitmap that remembers its disk is refused when SOURCE is another one, or has changed since; so is the copy when SOURCE changes meanwhile. Changes of a block device's content go unseen.",
  ],
  operands: { min: 4, max: 4, names: ["FILE", "BITMAP", "SOURCE", "TARGET"] },
  options: [IMAGE_FORMAT, DISK_CHANGE, HEADER_DAMAGE, ...PROGRESS],
  examples: [["qdb copy changes.qdb diff tuesday.img backup.img", "bring a copy of Monday's image up to date"]],
  run,
};

async function run(call: Call): Promise<number> {
  const [file = "", name = "", source = "", target = ""] = call.operands;
  // SOURCE is the disk to compare with, wherever the recorded one is: copyExtents compares it once it is open.
  const qdb = await openFile(file, call, { ...mirrorOptions(call), disk: "ignore" });
  return closing(qdb, async () => {
    const { entry } = await about(file, () => qdb.bitmap(name));
    requireRawImages([source, target], call);
    const disk = call.has(DISK_CHANGE.long) ? {} : { disk: diskOf(entry) };
    const progress = call.progress("copying");
    try {
      const options = { signal: call.signal, onProgress: progress.onProgress, ...disk };
      const copied = await copyExtents(() => readBits(qdb, file, name, call), source, target, options);
      call.output.line(`${shortSize(BigInt(copied))} of ${shortSize(entry.decodeFields().size)} copied and flushed`);
    } catch (error) {
      throw insisting(error);
    } finally {
      progress.end();
    }
    return 0;
  });
}

/** Reads and verifies all bits of a bitmap, before the first byte is copied. */
async function readBits(qdb: QdbFile, file: string, name: string, { signal }: Call): Promise<Bitmap> {
  return about(file, () => readBitmap(qdb.bitmap(name), { signal }));
}
