import { type Bitmap, QdbError, quote, type StoredBitmap } from "@qdb/format";
import { copyExtents, diskStamp, stampDiffers } from "@qdb/io-node";
import { type Call, type CommandSpec, DISK_CHANGE, PROGRESS } from "../command.ts";
import { IMAGE_FORMAT, requireRawImages } from "../images.ts";
import { about, knownRecords, openFile, requireSameDisk } from "../open.ts";
import { shortSize } from "../size.ts";

/** `qdb copy`: the dirty extents from one image onto another. */
export const command: CommandSpec = {
  name: "copy",
  summary: "copy the dirty extents from one raw image onto another",
  synopsis: ["[-f raw] [--ignore-disk-change] FILE BITMAP SOURCE TARGET"],
  description: [
    "Brings what BITMAP calls dirty from SOURCE onto TARGET, which exists and has the same size, and flushes it to the disk. The rest of TARGET is not touched. The bitmap stays as it is: nothing is cleared.",
    "A bitmap that remembers its disk is refused when SOURCE is another one, or has changed since.",
  ],
  operands: { min: 4, max: 4, names: ["FILE", "BITMAP", "SOURCE", "TARGET"] },
  options: [IMAGE_FORMAT, DISK_CHANGE, ...PROGRESS],
  examples: [["qdb copy changes.qdb diff tuesday.img backup.img", "bring a copy of Monday's image up to date"]],
  run,
};

async function run(call: Call): Promise<number> {
  const [file = "", name = "", source = "", target = ""] = call.operands;
  const bits = await readBits(file, name, source, call);
  requireRawImages([source, target], call);
  for (const image of [source, target]) requireSize(image, bits);
  const progress = call.progress("copying");
  try {
    const copied = await copyExtents(bits, source, target, { signal: call.signal, onProgress: progress.onProgress });
    call.output.line(`${shortSize(BigInt(copied))} of ${shortSize(bits.size)} copied and flushed`);
  } finally {
    progress.end();
  }
  return 0;
}

/** All bits, checked to the last one before the first byte is copied. */
async function readBits(file: string, name: string, source: string, call: Call): Promise<Bitmap> {
  const qdb = await openFile(file, call);
  try {
    return await about(file, async () => {
      const bitmap = qdb.bitmap(name);
      if (!call.has(DISK_CHANGE.long)) requireSource(bitmap, source, call);
      return bitmap.read({ signal: call.signal });
    });
  } finally {
    await qdb.close();
  }
}

/** Refuses a source that is not the disk that the bitmap was stored for, as it was then. @throws {QdbError} WRONG_DISK */
function requireSource(bitmap: StoredBitmap, source: string, call: Call): void {
  const { stamp } = knownRecords(bitmap.entry);
  if (stamp === undefined) {
    requireSameDisk(bitmap.entry, call);
  } else if (stampDiffers(stamp, source)) {
    throw new QdbError(
      "WRONG_DISK",
      `${quote(source)} is another disk than the one that the bitmap was stored for, or has changed since: writes may be missing from the bitmap; make a new one, or insist with --${DISK_CHANGE.long}`,
      { bitmap: bitmap.entry.label },
    );
  }
}

/** An empty bitmap copies nothing, and would let images of any size pass. @throws {QdbError} SIZE_MISMATCH */
function requireSize(image: string, bits: Bitmap): void {
  const { length } = diskStamp(image);
  if (length === bits.size) return;
  throw new QdbError(
    "SIZE_MISMATCH",
    `${quote(image)} has ${length} bytes, the bitmap is for a disk of ${bits.size}; nothing was copied`,
  );
}
