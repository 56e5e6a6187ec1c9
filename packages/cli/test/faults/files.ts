// The files that the cases begin with, made by hand from a model, and the models themselves.
import { be, edit, file, type HandCluster, type HandFile, join, tlv, utf8 } from "../../../format/test/hand.ts";
import { Model, type ModelAction } from "../bitmap-model.ts";
import { seededRandom } from "../peers.ts";
import { type CommentedBitmap, digestOf } from "./reader.ts";

/** Bytes a bit of every bitmap here. */
export const GRANULARITY = 512;
/** 20,480 bits: five clusters of 512 bytes, or one of 4096. */
export const SIZE = 10 * 2 ** 20;
/** Bits of a data cluster of 512 bytes. */
export const CLUSTER = 4096;

/** Runs of dirty bits all over the disk, or over its first part; two of the five clusters are all clean and all dirty. */
function scattered(seed: number, part = 1): boolean[] {
  const random = seededRandom(seed);
  const bits = new Array<boolean>(SIZE / GRANULARITY).fill(false);
  const end = bits.length * part;
  for (let at = random(100); at < end; at += 50 + random(900)) bits.fill(true, at, Math.min(at + 1 + random(60), end));
  bits.fill(false, CLUSTER, 2 * CLUSTER);
  if (part === 1) bits.fill(true, 3 * CLUSTER, 4 * CLUSTER);
  return bits;
}

function bitmap(name: string, bits: boolean[], more: Partial<CommentedBitmap> = {}): CommentedBitmap {
  return { name, size: SIZE, granularity: GRANULARITY, bits, isEnabled: false, isInUse: false, point: 0, ...more };
}

/** What most cases begin with. */
export const BITMAPS: readonly CommentedBitmap[] = [
  bitmap("daily", scattered(1), { isEnabled: true, comment: "mine" }),
  bitmap("other", scattered(2, 0.5)),
  bitmap("frozen", scattered(3), { successor: "next", comment: "for the backup" }),
  bitmap("next", scattered(4, 0.25), { isEnabled: true }),
  bitmap("in use", scattered(5, 0.5), { isEnabled: true, isInUse: true }),
  bitmap("bystander", scattered(6), { comment: "not to be touched" }),
];

/** Those whose bits can be used. */
export const USABLE: readonly CommentedBitmap[] = BITMAPS.filter(({ isInUse }) => !isInUse);

/** Bitmaps of another file, as sources. */
export const SOURCES: readonly CommentedBitmap[] = [bitmap("source", scattered(7))];

/** The bitmaps after actions on one of them, by the plain model. */
export function after(
  actions: readonly ModelAction[],
  name = "daily",
  { from = BITMAPS, others }: { from?: readonly CommentedBitmap[]; others?: readonly CommentedBitmap[] } = {},
): readonly CommentedBitmap[] {
  const model = new Model(from);
  model.run(name, actions, { size: SIZE, granularity: 65536 }, others === undefined ? undefined : new Model(others));
  return model.bitmaps;
}

/** Bits as bytes, least significant bit first. */
export function bytesOfBits(bits: readonly boolean[], length = Math.ceil(bits.length / 8)): Uint8Array {
  const bytes = new Uint8Array(length);
  for (const [at, dirty] of bits.entries()) if (dirty) bytes[at >> 3] = (bytes[at >> 3] ?? 0) | (1 << (at & 7));
  return bytes;
}

/** How a file is made of bitmaps. */
export interface Form {
  readonly clusterBits?: number;
  readonly draft?: boolean;
  /** Changes the description before it becomes bytes. */
  readonly change?: (spec: HandFile) => HandFile;
}

/** The bytes of a file of these bitmaps. */
export function fileOf(
  bitmaps: readonly CommentedBitmap[],
  { clusterBits = 9, draft = false, change }: Form = {},
): Uint8Array {
  const spec: HandFile = {
    clusterBits,
    draft,
    ...(draft ? {} : { header: { incompatible: 1n } }),
    bitmaps: bitmaps.map(({ name, size, granularity, bits, isEnabled, isInUse, successor, comment }) => ({
      name,
      size: BigInt(size),
      granularity,
      flags: (isEnabled ? 1 : 0) | (isInUse ? 2 : 0) | (successor === undefined ? 0 : 4),
      extra: join(
        ...(comment === undefined ? [] : [tlv(6, utf8(comment))]),
        ...(successor === undefined ? [] : [tlv(8, utf8(successor))]),
      ),
      clusters: clustersOf(bits, 2 ** clusterBits, draft),
    })),
  };
  return file(change === undefined ? spec : change(spec));
}

function clustersOf(bits: readonly boolean[], cluster: number, draft: boolean): HandCluster[] {
  return Array.from({ length: Math.ceil(bits.length / (8 * cluster)) }, (_, index) => {
    const part = bits.slice(index * 8 * cluster, (index + 1) * 8 * cluster);
    if (!part.includes(true)) return "zeros";
    return !draft && !part.includes(false) ? "ones" : bytesOfBits(part, cluster);
  });
}

/** A copy with a bit of one byte flipped. */
export function flipped(bytes: Uint8Array, at: number): Uint8Array {
  return edit(bytes, [at, be((bytes[at] ?? 0) ^ 0x40, 1)]);
}

/** A description with other clusters of one bitmap. */
export function withCluster(name: string, at: number, cluster: HandCluster): (spec: HandFile) => HandFile {
  return (spec) => ({
    ...spec,
    bitmaps: (spec.bitmaps ?? []).map((one) =>
      one.name === name ? { ...one, clusters: (one.clusters ?? []).with(at, cluster) } : one,
    ),
  });
}

/** The digest of bytes that a file will have. */
export const digest: (bytes: Uint8Array) => string = digestOf;
