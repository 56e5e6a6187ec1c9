// The commands that read QDB files read qcow2 images too. QEMU's tools make the images, and nbdinfo says what is dirty in them.
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { Row } from "../../qcow2/test/small-image.ts";
import { qdb, qdbFails, temporaryDirectory } from "./built.ts";
import { makeRandomImage, type NbdExtent, nbdinfoMap, requirePeers, runPeer, seededRandom } from "./peers.ts";
import { smallImage } from "./qcow2-images.ts";
import { qdbOf } from "./resident.ts";

const directory = temporaryDirectory();
beforeAll(() => requirePeers("qemu-img", "qemu-io", "qemu-nbd", "nbdinfo"));

/** The bits of extents, as plain bytes: least significant bit first. */
function bitsOf(extents: readonly NbdExtent[], size: number, granularity: number): Buffer {
  const bits = Buffer.alloc(Math.ceil(Math.ceil(size / granularity) / 8));
  for (const { offset, length, type } of extents) {
    if (type !== 1) continue;
    for (let bit = offset / granularity; bit * granularity < offset + length; bit++)
      bits[bit >> 3] = (bits[bit >> 3] ?? 0) | (1 << (bit & 7));
  }
  return bits;
}

/** The part of extents from `start` on, `length` bytes long. */
function partOf(extents: readonly NbdExtent[], start: number, length: number): NbdExtent[] {
  return extents.flatMap((extent) => {
    const from = Math.max(start, extent.offset);
    const end = Math.min(start + length, extent.offset + extent.length);
    return from < end ? [{ ...extent, offset: from, length: end - from }] : [];
  });
}

describe("random images", () => {
  test.each(Array.from({ length: 30 }, (_, at) => 1000 + at))(
    "seed %i: map and export say what nbdinfo says",
    async (seed) => {
      const run = qdbOf(seed);
      const folder = join(directory, `seed-${seed}`);
      mkdirSync(folder);
      const random = seededRandom(seed);
      const { path, size, bitmaps } = makeRandomImage(folder, random);
      const before = readFileSync(path);
      for (const { name, granularity } of bitmaps) {
        const extents = nbdinfoMap(path, name);
        expect(JSON.parse(await run("map", "--output=json", path, "--", name))).toEqual(extents);
        const start = random(size);
        const length = 1 + random(size);
        const part = ["--start-offset", `${start}`, "--max-length", `${length}`, "--output=json"];
        expect(JSON.parse(await run("map", ...part, path, "--", name))).toEqual(partOf(extents, start, length));
        const out = join(folder, "bits");
        await run("export", "--to=raw-bits", `--bitmap=${name}`, "--ignore-disk-change", path, out);
        expect(readFileSync(out).equals(bitsOf(extents, size, granularity))).toBe(true);
        runPeer("rm", [out]);
        const text = await run("export", "--to=extents", "--ignore-header-damage", `--bitmap=${name}`, path);
        expect(JSON.parse(text)).toEqual(extents);
      }
      expect(readFileSync(path).equals(before)).toBe(true);
    },
  );
});

/** What breaks a bitmap, the code that it is refused with, and what to do that is said. */
const BROKEN: readonly (readonly [...Row, advice: string])[] = [
  ["in use", "INCONSISTENT", (image) => image.entry("fine", { flags: 3 }), {}, "mark everything dirty"],
  ["not kept", "INCONSISTENT", (image) => image.header({ autoclearFeatures: 0n }), {}, "mark everything dirty"],
  ["marked corrupt", "INCONSISTENT", (image) => image.header({ incompatibleFeatures: 2n }), {}, "qemu-img check -r"],
  ["table misaligned", "MISALIGNED", (image) => image.entry("fine", { bitmapTableOffset: 77n }), {}, "qdb check"],
  ["flag 2", "UNSUPPORTED_FEATURE", (image) => image.entry("fine", { flags: 4 }), {}, "newer qdb"],
  [
    "cluster of another bitmap",
    "OVERLAP",
    (image) => image.tableEntry("fine", 1, image.readTableEntry("coarse", 0)),
    {},
    "qdb check",
  ],
];

describe("bitmaps whose bits cannot be used are refused, with what to do", () => {
  test.each(BROKEN)("%s: %s", (title, code, change, _, advice) => {
    const path = smallImage(directory, `${title.replaceAll(" ", "-")}.qcow2`, change);
    for (const args of [
      ["map", path, "fine"],
      ["export", "--to=raw-bits", "-Bfine", path],
    ]) {
      const line = qdbFails(code, args);
      expect(line).toContain(advice);
      expect(line).toContain(JSON.stringify(path));
    }
  });

  test("the other bitmaps of the image are read", () => {
    const path = smallImage(directory, "one-bad.qcow2", (image) => image.entry("fine", { flags: 3 }));
    const good = smallImage(directory, "none-bad.qcow2");
    expect(JSON.parse(qdb("map", "--output=json", path, "coarse"))).toEqual(nbdinfoMap(good, "coarse"));
  });

  test("one that is not there, an image without bitmaps, and an image that is none", () => {
    const path = smallImage(directory, "names.qcow2");
    expect(qdbFails("NOT_FOUND", ["map", path, "daily"])).toContain("qdb info");
    const empty = join(directory, "empty.qcow2");
    runPeer("qemu-img", ["create", "-q", "-f", "qcow2", empty, "1M"]);
    qdbFails("NOT_FOUND", ["map", empty, "daily"]);
    const cut = smallImage(directory, "cut.qcow2");
    runPeer("truncate", ["-s", "60", cut]);
    qdbFails("TRUNCATED", ["map", cut, "fine"]);
  });

  test("two bitmaps of one name, and two that are called the same", () => {
    const same = smallImage(directory, "same.qcow2", (image) => image.rename("fine", Buffer.from("idle")));
    expect(qdbFails("DUPLICATE_NAME", ["map", same, "idle"])).toContain("idle");
    // One is named by its bytes in hex, and the other one has these characters for a name.
    const twins = smallImage(directory, "twins.qcow2", (image) =>
      image.rename("coarse", Buffer.from("hex:ff")).entry("fine", { nameSize: 1 }).rename("fine", [0xff, 0, 0, 0]),
    );
    qdbFails("DUPLICATE_NAME", ["map", twins, "hex:ff"]);
  });
});
