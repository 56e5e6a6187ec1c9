// Makes bitmaps and drops them, in a process of its own, and prints the most memory that it had, in MiB. Arguments: how, and whether they are
// freed.
import { Bitmap } from "../src/index.ts";

const BYTES = 32 * 2 ** 20;
const [how, end] = process.argv.slice(2);
// The second byte is 0x9e, so that bit 9 is the first dirty one.
const noise = new Uint8Array(BYTES).map((_, at) => Math.imul(at, 2_654_435_761) >>> 24);

function make(): void {
  const bitmap = Bitmap.fromBytes(noise, { size: BigInt(BYTES * 8) * 65536n, granularity: 65536 });
  if (bitmap.nextDirty() !== 9) throw new Error("bits are missing");
  if (end === "freed") bitmap.free();
}

/** Opens as many bitmaps as a file can have, each with a dirty bit of its own. */
function open(): void {
  const all = Array.from({ length: 65_535 }, (_, at) => {
    const bitmap = Bitmap.clean({ size: 512n * 65_536n, granularity: 512 });
    bitmap.markBits({ first: at, end: at + 1 });
    return bitmap;
  });
  if (all.some((bitmap, at) => bitmap.nextDirty() !== at || bitmap.count() !== 1)) throw new Error("bits are wrong");
}

if (how === "open") open();
for (let turn = 0; how !== "open" && turn < 1000; turn++) {
  if (how === "microtasks") await undefined;
  make();
}
process.stdout.write(String(process.resourceUsage().maxRSS / 1024));
