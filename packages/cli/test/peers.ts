// The real programs that tests compare with: QEMU's tools make images, nbdinfo says what is dirty in them.
import { spawnSync } from "node:child_process";
import { accessSync, constants, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";

const PACKAGES: Readonly<Record<string, string>> = JSON.parse(
  readFileSync(new URL("../../../scripts/debian-packages.json", import.meta.url), "utf8"),
);

/** The Debian package that has a program; those that are not listed are named like it, or on every machine. */
export function packageOf(program: string): string {
  return PACKAGES[program] ?? program;
}

function isInstalled(program: string): boolean {
  return (process.env.PATH ?? "").split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Throws, with the command that installs them, when programs are missing. A test without its peer fails; it is not skipped. */
export function requirePeers(...programs: readonly string[]): void {
  const missing = programs.filter((program) => !isInstalled(program));
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map(packageOf))].join(" ");
  throw new Error(`This test needs ${missing.join(", ")}: sudo apt-get install -y --no-install-recommends ${packages}`);
}

/** Runs a program to its end and gives its standard output; throws with what it said when it fails. */
export function runPeer(program: string, args: readonly string[]): string {
  const result = spawnSync(program, args, { encoding: "utf8", maxBuffer: 2 ** 30 });
  if (result.error !== undefined) throw result.error;
  if (result.status === 0) return result.stdout;
  throw new Error(
    `${program} ${args.join(" ")}: exit ${result.status ?? result.signal}\n${result.stdout}${result.stderr}`,
  );
}

/** Gives whole numbers from 0 up to, not including, `below`; the same ones for the same seed. */
export type Random = (below: number) => number;

/** A generator of numbers (splitmix32): tests name the seed of what they found. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return Math.floor((((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32) * below);
  };
}

/** An extent as `nbdinfo --map --json` has it: bytes, covering the disk, type 1 dirty, 0 clean. */
export interface NbdExtent {
  readonly offset: number;
  readonly length: number;
  readonly type: number;
  readonly description: string;
}

/**
 * What QEMU says is dirty in a bitmap of a qcow2 image. nbdinfo starts qemu-nbd by itself, on a socket that it hands over, and
 * ends it: nothing to wait for, nothing left behind. Extents that touch are joined, as QEMU's replies may break at any length.
 */
export function nbdinfoMap(image: string, bitmap: string): NbdExtent[] {
  const server = ["[", "qemu-nbd", "-r", "-f", "qcow2", "-B", bitmap, image, "]"];
  const output = runPeer("nbdinfo", ["--json", `--map=qemu:dirty-bitmap:${bitmap}`, "--", ...server]);
  const joined: { offset: number; length: number; type: number; description: string }[] = [];
  for (const extent of JSON.parse(output) as NbdExtent[]) {
    const last = joined.at(-1);
    if (last !== undefined && last.type === extent.type) last.length += extent.length;
    else joined.push({ ...extent });
  }
  return joined;
}

/** The dirty ones among extents, as `[offset, length]` in bytes: the shape of `dirty` in the JSON form. */
export function dirtyRanges(extents: readonly NbdExtent[]): (readonly [offset: number, length: number])[] {
  return extents.filter(({ type }) => type === 1).map(({ offset, length }) => [offset, length]);
}

/** What a random image may be told to be; what is left out is drawn. */
export interface RandomImageOptions {
  /** File name in the directory. */
  readonly name?: string;
  /** Length of the virtual disk in bytes, a multiple of 512. */
  readonly size?: number;
  /** Bytes a cluster: a power of two, 512 to 2 MiB. */
  readonly clusterSize?: number;
  /** Number of bitmaps. */
  readonly bitmaps?: number;
}

/** A bitmap that was made. */
export interface MadeBitmap {
  readonly name: string;
  /** Bytes a bit. */
  readonly granularity: number;
  readonly enabled: boolean;
}

/** An image that was made. */
export interface MadeImage {
  readonly path: string;
  /** Length of the virtual disk in bytes. */
  readonly size: number;
  readonly clusterSize: number;
  readonly bitmaps: readonly MadeBitmap[];
}

const KIB = 1024;
const MIB = 1024 * KIB;

/**
 * Makes a qcow2 image in a directory: size, cluster size, features, bitmaps and what was written while each was enabled all
 * come from `random`. About 25 ms a step of QEMU: one to create it, two or three a bitmap.
 */
export function makeRandomImage(directory: string, random: Random, options: RandomImageOptions = {}): MadeImage {
  const name = options.name ?? "random.qcow2";
  const path = join(directory, name);
  const clusterSize = options.clusterSize ?? 512 << random(13);
  const size = options.size ?? drawSize(random);
  runPeer("qemu-img", ["create", "-q", "-f", "qcow2", "-o", drawFeatures(random, path, clusterSize), path, `${size}`]);
  const bitmaps: MadeBitmap[] = [];
  const count = options.bitmaps ?? 1 + random(4);
  for (let index = 0; index < count; index++) {
    // What is written between here and the next one tells the bitmaps apart.
    const bitmap = {
      name: drawName(random, index),
      granularity: 2 ** (9 + random(random(4) === 0 ? 23 : 9)),
      enabled: random(3) !== 0,
    };
    runPeer("qemu-img", ["bitmap", "--add", "-g", `${bitmap.granularity}`, "--", path, bitmap.name]);
    if (random(5) !== 0) runPeer("qemu-io", ["-f", "qcow2", "-d", "unmap", ...drawWrites(random, size), path]);
    if (!bitmap.enabled) runPeer("qemu-img", ["bitmap", "--disable", "--", path, bitmap.name]);
    bitmaps.push(bitmap);
  }
  return { path, size, clusterSize, bitmaps };
}

/** 512 bytes to 64 MiB: whole MiB, whole KiB, or any number of sectors. */
function drawSize(random: Random): number {
  const largest = 512 << random(18);
  const unit = [MIB, KIB, 512, 512][random(4)] ?? 512;
  return Math.max(512, Math.floor((1 + random(largest)) / unit) * unit);
}

/** Options of `qemu-img create` that move things about in the image: none of them may change what a bitmap says. */
function drawFeatures(random: Random, path: string, clusterSize: number): string {
  const features = [`compat=1.1`, `cluster_size=${clusterSize}`];
  if (random(3) === 0) features.push(`refcount_bits=${1 << random(7)}`);
  if (random(4) === 0) features.push("lazy_refcounts=on");
  if (random(4) === 0) features.push("preallocation=metadata");
  if (random(4) === 0 && clusterSize >= 16 * KIB) features.push("extended_l2=on");
  if (random(4) === 0) features.push("compression_type=zstd");
  if (random(4) === 0) features.push(`data_file=${path}.raw`, `data_file_raw=${random(2) === 0 ? "on" : "off"}`);
  return features.join(",");
}

function drawName(random: Random, index: number): string {
  const bases = ["daily", "week 1", "büro/π", "a", "x".repeat(200), "-0", "tab\there"];
  return `${bases[random(bases.length)] ?? "daily"}${index}`;
}

/** Up to 40 writes, writes of zeros and discards, as arguments of qemu-io. Large ones are of zeros, which take no space. */
function drawWrites(random: Random, size: number): string[] {
  const sectors = size / 512;
  const commands: string[] = [];
  for (let count = random(40); count >= 0; count--) {
    const kind = ["write -q -P 90", "write -q -z", "write -q -z -u", "discard -q"][random(4)] ?? "discard -q";
    const longest = kind.includes("-P") ? 128 : 512 << random(8);
    const start = random(sectors);
    const length = 1 + random(Math.min(longest, sectors - start));
    commands.push("-c", `${kind} ${start * 512} ${length * 512}`);
  }
  return commands;
}
