// Makes bitmaps and drops them, in a process of its own, and prints the most memory that it had, in MiB. Arguments: how, and whether they are
// freed, and how many.
import { Bitmap } from "../src/index.ts";
import { slotUse } from "../src/kernels/slots.ts";

const BYTES = 32 * 2 ** 20;
const [how, end, count] = process.argv.slice(2);
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

/** Waits until the slots of bitmaps that nobody holds any more are given back; a clone that is held keeps its own. */
async function collect(): Promise<void> {
  const { gc } = globalThis as { gc?: () => void };
  const shape = { size: 2n ** 19n * 512n, granularity: 512 };
  const bytes = noise.subarray(0, 2 ** 16);
  const held = Bitmap.fromBytes(bytes, shape).clone();
  for (let turn = 0; turn < 100; turn++)
    Bitmap.fromBytes(bytes, shape)
      .clone()
      .markBits({ first: turn, end: turn + 9 });
  const { used } = slotUse();
  for (let turn = 0; turn < 200 && slotUse().used !== 1; turn++) {
    gc?.();
    await new Promise<void>((resolve) => setTimeout(resolve, 10));
  }
  const others = Array.from({ length: 50 }, () => Bitmap.dirty(shape));
  for (const other of others) other.unmark({ offset: 0, length: 512 });
  if (used !== 201 || slotUse().used !== 51)
    throw new Error(`${used} slots were used, and ${slotUse().used} after a while`);
  if (Buffer.compare(held.toBytes(), bytes) !== 0) throw new Error("a slot was given away that a bitmap holds");
}

if (how === "collect") await collect();
if (how === "open") open();
for (let turn = 0; (how === "loop" || how === "microtasks") && turn < Number(count); turn++) {
  if (how === "microtasks") await undefined;
  make();
}
process.stdout.write(String(process.resourceUsage().maxRSS / 1024));
