// What befalls a file between two edits: blocks cut off, zeroed, flipped or misdirected; and references that no checksum gives away.
import { crc32 } from "node:zlib";
import { equal } from "./bits.ts";
import { type RawEntry, RawFile } from "./raw-file.ts";
import { below, type Dice, pick } from "./start-file.ts";

/** What was done. */
export interface Damaged {
  readonly what: string;
  readonly bytes: Uint8Array;
  /** What says something else now, with checksums that are right. */
  readonly forged?: readonly Forged[];
}

/** A bitmap, or the range of one of its clusters. */
export interface Forged {
  readonly name: string;
  readonly cluster?: number;
}

/** Undefined where nothing came of it. */
type Kind = (dice: Dice, file: RawFile) => (Omit<Damaged, "bytes"> & { readonly bytes?: Uint8Array }) | undefined;

/** A place where damage does something: in a structure, or next to one. */
function target(dice: Dice, file: RawFile): number {
  const wanted = dice();
  const what = wanted < 0.05 ? "table" : wanted < 0.45 ? "area" : "data";
  const structures = file.structures();
  const found = structures.filter((one) => one.what === what && one.offset + one.length <= file.bytes.length);
  if (found.length === 0) return file.floor + below(dice, Math.max(1, file.bytes.length - file.floor));
  const { offset, length } = pick(dice, found);
  return offset + below(dice, length);
}

const align = (at: number, unit: number): number => Math.floor(at / unit) * unit;

const ACCIDENTS: Readonly<Record<string, Kind>> = {
  cut(dice, file) {
    const by = dice() < 0.4 ? pick(dice, [4096, 8192]) : 512 * (1 + below(dice, 24));
    // Seldom into the headers.
    const least = dice() < 0.05 ? 0 : Math.min(file.floor + 512, file.bytes.length);
    const length = Math.max(least, file.bytes.length - by);
    return { what: `cut to ${length}`, bytes: file.bytes.slice(0, length) };
  },
  zero(dice, file) {
    const unit = pick(dice, [512, 4096]);
    const at = align(target(dice, file), unit);
    file.bytes.fill(0, at, at + unit);
    return { what: `${unit} bytes at ${at} zeroed` };
  },
  flip(dice, file) {
    const at = target(dice, file);
    if (at < file.bytes.length) file.bytes[at]! ^= 1 << below(dice, 8);
    return { what: `a bit at ${at} flipped` };
  },
  misdirect(dice, file) {
    const unit = pick(dice, [512, 4096, file.clusterSize]);
    const from = align(target(dice, file), unit);
    const to = align(target(dice, file), unit);
    file.bytes.copyWithin(to, from, from + unit);
    return { what: `${unit} bytes at ${from} copied to ${to}` };
  },
  header(dice, file) {
    // Never both: then the file is refused.
    const at = (dice() < 0.5 ? 0 : file.mirror) + below(dice, 104);
    file.bytes[at]! ^= 1 << below(dice, 8);
    return { what: `a bit of a header flipped at ${at}` };
  },
};

/** An L1 entry of the file, with its area in place. */
function someEntry(dice: Dice, file: RawFile): { entry: RawEntry; number: number } | undefined {
  const found = file.entries.filter((entry) => entry.l1Size > 0 && file.hasArea(entry));
  if (found.length === 0) return undefined;
  const entry = pick(dice, found);
  return { entry, number: below(dice, entry.l1Size) };
}

/** A place that no structure has: just behind the end, further away, far away, or not on a cluster. */
function nowhere(dice: Dice, file: RawFile): number {
  const end = Math.ceil(file.bytes.length / file.clusterSize) * file.clusterSize;
  const kind = dice();
  if (kind < 0.5) return end + file.clusterSize * below(dice, 4);
  if (kind < 0.7) return end + file.clusterSize * below(dice, 64);
  if (kind < 0.9) return 2 ** 40 + file.clusterSize * below(dice, 4);
  return end + 512 * (1 + below(dice, 64));
}

const FORGERIES: Readonly<Record<string, Kind>> = {
  "shared cluster"(dice, file) {
    const a = someEntry(dice, file);
    const b = someEntry(dice, file);
    if (a === undefined || b === undefined) return undefined;
    file.setCluster(a.entry, a.number, file.cluster(b.entry, b.number));
    file.seal([a.entry]);
    return {
      what: `L1 entry ${a.number} of ${a.entry.name} copied from ${b.number} of ${b.entry.name}`,
      forged: [{ name: a.entry.name, cluster: a.number }],
    };
  },
  "cluster over a structure"(dice, file) {
    const a = someEntry(dice, file);
    if (a === undefined) return undefined;
    const over = pick(dice, file.structures()).offset;
    const offset = dice() < 0.1 ? file.mirror : align(over, file.clusterSize);
    if (offset + file.clusterSize > file.bytes.length) return undefined;
    const checksum = crc32(file.bytes.subarray(offset, offset + file.clusterSize));
    const isPreallocated = dice() < 0.2;
    const descriptor = BigInt(offset) | (isPreallocated ? 1n : 0n);
    file.setCluster(a.entry, a.number, { descriptor, checksum: isPreallocated ? 0 : checksum });
    file.seal([a.entry]);
    return {
      what: `L1 entry ${a.number} of ${a.entry.name} names ${offset}`,
      forged: [{ name: a.entry.name, cluster: a.number }],
    };
  },
  "cluster nowhere"(dice, file) {
    const named: string[] = [];
    const forged: Forged[] = [];
    for (let count = 1 + below(dice, 4); count > 0; count--) {
      const a = someEntry(dice, file);
      if (a === undefined) continue;
      const { checksum } = file.cluster(a.entry, a.number);
      const offset = nowhere(dice, file);
      const isPreallocated = dice() < 0.2;
      const descriptor = BigInt(offset) | (isPreallocated ? 1n : 0n);
      file.setCluster(a.entry, a.number, { descriptor, checksum: isPreallocated ? 0 : checksum });
      file.seal([a.entry]);
      // A preallocated cluster reads as zeros, wherever it is.
      if (isPreallocated) forged.push({ name: a.entry.name, cluster: a.number });
      named.push(`${a.number} of ${a.entry.name} names ${offset}`);
    }
    return named.length === 0 ? undefined : { what: `L1 entry ${named.join(", ")}`, forged };
  },
  "shared area"(dice, file) {
    const found = file.entries.filter(({ l1Size }) => l1Size > 0);
    if (found.length < 2) return undefined;
    const a = pick(dice, found);
    const b = pick(dice, found);
    file.setU64(a.at, b.l1Offset);
    if (a.l1Size === b.l1Size) file.setU32(a.at + 28, b.l1Checksum);
    file.seal([]);
    return { what: `the L1 area of ${a.name} is that of ${b.name}`, forged: [{ name: a.name }] };
  },
  "area nowhere"(dice, file) {
    const found = file.entries.filter(({ l1Size }) => l1Size > 0);
    if (found.length === 0) return undefined;
    const { at, name } = pick(dice, found);
    const offset = nowhere(dice, file);
    file.setU64(at, offset);
    file.seal([]);
    return { what: `the L1 area of ${name} is at ${offset}` };
  },
  "reserved bits"(dice, file) {
    const a = someEntry(dice, file);
    if (a === undefined) return undefined;
    const { descriptor, checksum } = file.cluster(a.entry, a.number);
    file.setCluster(a.entry, a.number, { descriptor: descriptor | (1n << 60n), checksum });
    file.seal([a.entry]);
    return { what: `a reserved bit of L1 entry ${a.number} of ${a.entry.name}` };
  },
  "beyond repair"(dice, file) {
    if (file.entries.length === 0) return undefined;
    const { at, name } = pick(dice, file.entries);
    if (dice() < 0.5) file.bytes[at + 24]! |= 0x80;
    else file.setU32(at + 32, 1);
    file.seal([]);
    return { what: `an unknown flag or a reserved field of ${name}` };
  },
};

/** Every kind of damage. */
export const KINDS: readonly string[] = [...Object.keys(ACCIDENTS), ...Object.keys(FORGERIES)];

/** Damages a file; `isWhole` says that its headers are good and equal, so that one may be lost. Undefined where nothing came of it. */
export function damage(
  dice: Dice,
  bytes: Uint8Array,
  isWhole: boolean,
  fixedSize: boolean,
): (Damaged & { readonly kind: string }) | undefined {
  const file = new RawFile(bytes.slice());
  const isForged = isWhole && dice() < 0.45;
  const kinds = isForged ? FORGERIES : ACCIDENTS;
  const names = Object.keys(kinds).filter(
    (name) => (name !== "header" || (isWhole && !file.isDraft)) && (name !== "cut" || !fixedSize),
  );
  const kind = pick(dice, isForged ? names : [...names, ...names.filter((name) => name === "cut")]);
  const done = kinds[kind]?.(dice, file);
  if (done === undefined) return undefined;
  const after = done.bytes ?? file.bytes;
  if (file.isDraft && !isForged && hasOtherTable(bytes, after)) return undefined;
  return { ...done, kind, bytes: after };
}

/** Whether header or table of a draft differ, where nothing tells. */
function hasOtherTable(before: Uint8Array, after: Uint8Array): boolean {
  const { tableOffset, tableSize, clusterSize } = new RawFile(before);
  const differs = (from: number, to: number): boolean => !equal(before.subarray(from, to), after.subarray(from, to));
  return differs(0, clusterSize) || differs(tableOffset, tableOffset + tableSize);
}
