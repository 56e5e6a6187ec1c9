// Random images with bitmaps, and scripts of operations on them, as `qemu-img bitmap` has them.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { AnyStore } from "@qdb/format/container";
import { editQcow2 } from "@qdb/qcow2";
import { type Random, runPeer } from "../../cli/test/peers.ts";

/** An operation of `qemu-img bitmap`. */
export type Operation =
  | { readonly what: "add"; readonly name: string; readonly granularity: number }
  | { readonly what: "remove" | "clear" | "enable" | "disable"; readonly name: string }
  | { readonly what: "merge"; readonly name: string; readonly source: string };

export const pick = <T>(random: Random, items: readonly T[]): T => items[random(items.length)] as T;

/** What was made, and what is to be done with it. */
export interface MadeScript {
  readonly options: string;
  readonly size: number;
  readonly operations: readonly Operation[];
}

/** Makes a backing file. */
function makeBase(image: string, size: number): string {
  const path = `${image}.base`;
  runPeer("qemu-img", ["create", "-q", "-f", "raw", path, `${size}`]);
  runPeer("qemu-io", ["-f", "raw", "-c", `write -P 77 0 ${Math.min(size, 4096)}`, path]);
  return path;
}

/** Names an external data file. Long names move the bitmaps extension across the border of a sector. */
function dataFileName(image: string, random: Random): string {
  const name = `${basename(image)}.data`;
  const directory = dirname(image);
  return join(directory, name).replace(/[/](?=[^/]*$)/, `/${"./".repeat(pick(random, [0, 30, 210 + random(24)]))}`);
}

/** Makes an image with bitmaps and guest data. */
export function makeImage(path: string, random: Random): MadeScript {
  const cluster = pick(random, [512, 1024, 4096, 65536, 2 ** 21]);
  const bits = pick(random, [1, 2, 4, 8, 16, 16, 32, 64]);
  const size = (1 + random(20_000)) * 512 + pick(random, [0, 2 ** 20, 2 ** 26]);
  const extended = cluster >= 16384 && random(3) === 0 ? ",extended_l2=on" : "";
  const preallocated = random(4) === 0 ? ",preallocation=metadata" : "";
  const dataFile =
    cluster >= 4096 && random(2) === 0 ? `,data_file=${dataFileName(path, random)},data_file_raw=on` : "";
  const options = `cluster_size=${cluster},refcount_bits=${bits}${extended}${preallocated}${dataFile}`;
  const backing =
    preallocated === "" && dataFile === "" && random(3) === 0 ? ["-b", makeBase(path, size), "-F", "raw"] : [];
  runPeer("qemu-img", ["create", "-q", "-f", "qcow2", "-o", options, ...backing, path, `${size}`]);
  const names = ["a", "b", "c"].slice(0, random(4));
  for (const name of names) runPeer("qemu-img", ["bitmap", "--add", "-g", `${2 ** (9 + random(8))}`, path, name]);
  const writes: string[] = [];
  for (let count = random(12); count > 0; count--) {
    const offset = random(size / 512) * 512;
    const length = Math.min(size - offset, (1 + random(64)) * 512 * pick(random, [1, 8, 64]));
    writes.push("-c", `write -P ${1 + random(255)} ${offset} ${length}`);
  }
  if (writes.length > 0) runPeer("qemu-io", ["-f", "qcow2", ...writes, path]);
  if (bits > 1 && dataFile === "" && random(4) === 0) runPeer("qemu-img", ["snapshot", "-c", "snap", path]);
  return { options: `${options} size=${size}`, size, operations: operationsOn(new Set(names), random) };
}

export function operationsOn(names: Set<string>, random: Random): Operation[] {
  const operations: Operation[] = [];
  for (let count = 4 + random(8); count > 0; count--) {
    const name = pick(random, ["a", "b", "c", "d", "a name that takes more bytes than an entry of a directory has"]);
    if (!names.has(name)) {
      names.add(name);
      operations.push({ what: "add", name, granularity: 2 ** (9 + random(9)) });
      continue;
    }
    const what = pick(random, ["remove", "clear", "enable", "disable", "merge", "merge", "merge"] as const);
    const source = pick(random, [...names]);
    if (what === "remove") names.delete(name);
    if (what !== "merge") operations.push({ what, name });
    else if (source !== name) operations.push({ what, name, source });
  }
  return operations;
}

/** Does operations on the image of a store, in one commit. */
export async function editBy(store: AnyStore, operations: readonly Operation[]): Promise<void> {
  await editQcow2(store, (edit, { size }) => {
    for (const operation of operations) {
      const { what, name } = operation;
      if (what === "add") edit.add({ name, size, granularity: operation.granularity });
      else if (what === "merge") edit.bitmap(name).merge(operation.source);
      else edit.bitmap(name)[what]();
    }
  });
}

/** SHA-256 of what the guest sees. */
export function guestDigest(path: string): string {
  const raw = `${path}.raw`;
  runPeer("qemu-img", ["convert", "-O", "raw", path, raw]);
  return createHash("sha256").update(readFileSync(raw)).digest("hex");
}
