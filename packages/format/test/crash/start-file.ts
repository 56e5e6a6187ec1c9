// Random files to begin with.
import { Bitmap } from "@qdb/format";
import { type BitmapContents, FLAG, imageBytes, RECORD, type Tlv, writeImage } from "@qdb/format/container";
import { utf8, ZLIB } from "../store.ts";
import { granules, pack } from "./bits.ts";
import { type PlainBitmap, PlainFile } from "./plain.ts";
import type { ViewedError } from "./view.ts";

export type Dice = () => number;

export function pick<T>(dice: Dice, list: readonly T[]): T {
  const one = list[Math.floor(dice() * list.length)];
  if (one === undefined) throw new Error("nothing to pick from");
  return one;
}

/** A whole number from 0 to below `end`. */
export function below(dice: Dice, end: number): number {
  return Math.floor(dice() * end);
}

/** What a script begins with. */
export interface StartFile {
  readonly bytes: Uint8Array;
  readonly plain: PlainFile;
  readonly clusterSize: number;
  /** Whether its length is not its own to choose. */
  readonly fixedSize: boolean;
}

const INCONSISTENT: ViewedError = {
  code: "INCONSISTENT",
  isShared: false,
  isInMap: true,
  isMapped: true,
  isBeyondRepair: false,
};
const CLUSTER_BITS = [9, 9, 9, 9, 9, 9, 10, 10, 11, 11, 12, 12, 12, 12, 13, 14, 16];

/** Bits of a bitmap: patches of dirt, whole clusters of ones and of zeros among them. */
export function randomBits(dice: Dice, count: number, clusterSize: number): Uint8Array {
  const bits = new Uint8Array(count);
  const perCluster = clusterSize * 8;
  for (let cluster = 0; cluster * perCluster < count; cluster++) {
    const part = bits.subarray(cluster * perCluster, (cluster + 1) * perCluster);
    const kind = dice();
    if (kind < 0.15) continue;
    if (kind < 0.25) part.fill(1);
    else {
      for (let patches = 1 + below(dice, 3); patches > 0; patches--) {
        const first = below(dice, part.length);
        part.fill(1, first, first + 1 + below(dice, Math.min(part.length, 300)));
      }
    }
  }
  return bits;
}

/** Size and granularity of a bitmap of up to a few clusters. */
export function randomShape(dice: Dice, clusterSize: number): { size: number; granularity: number } {
  const granularity = pick(dice, [512, 4096, 65536]);
  const perCluster = clusterSize * 8;
  const clusters = clusterSize > 4096 ? (dice() < 0.1 ? 1 : 0) : below(dice, clusterSize > 1024 ? 2 : 5);
  // At times an L1 area longer than a cluster.
  if (clusterSize === 512 && dice() < 0.03)
    return { size: (43 * perCluster + below(dice, 9000)) * 512, granularity: 512 };
  const bits = dice() < 0.04 ? 0 : clusters * perCluster + 1 + below(dice, Math.min(perCluster, 3000));
  return { size: bits === 0 ? 0 : bits * granularity - (dice() < 0.5 ? 0 : below(dice, granularity)), granularity };
}

/** A file of one to five bitmaps, in either form. */
export function startFile(dice: Dice): StartFile {
  const clusterBits = pick(dice, CLUSTER_BITS);
  const clusterSize = 2 ** clusterBits;
  const isDraft = dice() < 0.1;
  const bitmaps: PlainBitmap[] = [];
  const contents: BitmapContents[] = [];
  const count = 1 + below(dice, clusterSize > 8192 ? 2 : 5);
  let shape = randomShape(dice, clusterSize);
  for (let number = 0; number < count; number++) {
    // Bitmaps of one disk can be merged.
    if (dice() < 0.5) shape = randomShape(dice, clusterSize);
    const isInUse = dice() < 0.04;
    const bitmap: PlainBitmap = {
      name: `b${number}`,
      ...shape,
      isEnabled: dice() < 0.5,
      bits: randomBits(dice, granules(shape), clusterSize),
      damage: isInUse ? INCONSISTENT : undefined,
      isTouched: false,
    };
    bitmaps.push(bitmap);
    const records: Tlv[] = dice() < 0.5 ? [] : [{ type: RECORD.id, data: utf8("0123456789abcdef") }];
    if (dice() < 0.2) records.push({ type: 0x77, data: utf8("unknown") });
    contents.push({
      nameBytes: utf8(bitmap.name),
      flags: (bitmap.isEnabled ? FLAG.enabled : 0) | (isInUse ? FLAG.in_use : 0),
      extraData: records,
      bits: libraryBits(bitmap),
    });
  }
  const id = Uint8Array.from({ length: 16 }, () => below(dice, 256));
  const image = writeImage(
    {
      form: isDraft ? "draft" : "full",
      clusterBits,
      fileId: id,
      writerId: id,
      allOnes: !isDraft && dice() < 0.7,
      extensions: [],
      bitmaps: contents,
    },
    ZLIB,
  );
  const fixedSize = !isDraft && clusterBits <= 10 && dice() < 0.15;
  const file = imageBytes(image);
  if (!fixedSize) return { bytes: file, plain: new PlainFile(isDraft, bitmaps), clusterSize, fixedSize };
  const device = new Uint8Array(Math.ceil((2 * file.length + 49152) / 4096) * 4096);
  if (dice() < 0.5) device.fill(0xa5);
  device.set(file);
  return { bytes: device, plain: new PlainFile(isDraft, bitmaps), clusterSize, fixedSize };
}

/** A bitmap of the library that says what a plain one does. */
export function libraryBits({ bits, size, granularity }: Omit<PlainBitmap, "isTouched">): Bitmap {
  return Bitmap.fromBytes(pack(bits), { size: BigInt(size), granularity });
}
