// The commands that read QDB files read qcow2 images too. QEMU's tools make the images, and nbdinfo says what is dirty in them.
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { validator } from "../../conformance/test/support/schema.ts";
import type { Row } from "../../qcow2/test/small-image.ts";
import { qdb, qdbFails, temporaryDirectory } from "./built.ts";
import {
  dirtyRanges,
  makeRandomImage,
  type NbdExtent,
  nbdinfoMap,
  requirePeers,
  runPeer,
  seededRandom,
} from "./peers.ts";
import { bitsOf, smallImage } from "./qcow2-images.ts";
import { qdbOf } from "./resident.ts";

const directory = temporaryDirectory();
beforeAll(() => requirePeers("qemu-img", "qemu-io", "qemu-nbd", "nbdinfo"));

/** The part of extents from `start` on, `length` bytes long. */
function partOf(extents: readonly NbdExtent[], start: number, length: number): NbdExtent[] {
  return extents.flatMap((extent) => {
    const from = Math.max(start, extent.offset);
    const end = Math.min(start + length, extent.offset + extent.length);
    return from < end ? [{ ...extent, offset: from, length: end - from }] : [];
  });
}

/** What `qdb info --output=json` says, by its schema. */
function facts(text: string): Record<string, unknown> & { readonly bitmaps: readonly Record<string, unknown>[] } {
  const document = JSON.parse(text);
  const validate = validator("info-qcow2");
  expect(validate(document), JSON.stringify(validate.errors)).toBe(true);
  return document;
}

/** Names of the flags of a bitmap, in the order of their bits, that `qemu-img info` calls otherwise. */
const FLAGS: readonly (readonly [qemu: string, name: string])[] = [
  ["in-use", "in_use"],
  ["auto", "enabled"],
];

/** What `qemu-img info` says of an image, in the words of `qdb info`. */
function qemuFacts(path: string): Record<string, unknown> {
  const info = JSON.parse(runPeer("qemu-img", ["info", "--output=json", path]));
  const bitmaps: readonly { name: string; granularity: number; flags: readonly string[] }[] =
    info["format-specific"].data.bitmaps ?? [];
  return {
    virtual_size: `${info["virtual-size"]}`,
    cluster_size: info["cluster-size"],
    bitmaps: bitmaps.map(({ name, granularity, flags }) => ({
      name,
      granularity,
      flags: FLAGS.filter(([flag]) => flags.includes(flag)).map(([, own]) => own),
    })),
  };
}

describe("random images", () => {
  test.each(Array.from({ length: 15 }, (_, at) => 1000 + at))(
    "seed %i: info, map and export say what qemu-img and nbdinfo say",
    async (seed) => {
      const run = qdbOf(seed);
      const folder = join(directory, `seed-${seed}`);
      mkdirSync(folder);
      const random = seededRandom(seed);
      const { path, size, bitmaps } = makeRandomImage(folder, random);
      const before = readFileSync(path);
      const told = facts(await run("info", "--output=json", path));
      expect(told).toMatchObject({ format: "qcow2", version: 3, ...qemuFacts(path) });
      for (const { name, granularity } of bitmaps) {
        const extents = nbdinfoMap(path, name);
        expect(JSON.parse(await run("map", "--output=json", path, "--", name))).toEqual(extents);
        const dirty = dirtyRanges(extents).reduce((sum, [, bytes]) => sum + bytes, 0);
        const own = told.bitmaps.find((bitmap) => bitmap.name === name);
        expect(own).toMatchObject({ dirty_bytes: `${dirty}`, dirty_percent: (100 * dirty) / size, size: `${size}` });
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

describe("info", () => {
  test("what an image has beside bitmaps, by name where there is one", () => {
    const path = join(directory, "rich.qcow2");
    const options = `data_file=${path}.raw,data_file_raw=on,lazy_refcounts=on`;
    runPeer("qemu-img", ["create", "-q", "-f", "qcow2", "-o", options, path, "1M"]);
    expect(facts(qdb("info", "--output=json", path))).toEqual({
      filename: path,
      format: "qcow2",
      version: 3,
      cluster_size: 65536,
      file_size: statSync(path).size,
      virtual_size: "1048576",
      features: {
        incompatible: [{ bit: 2, name: "external data file" }],
        compatible: [{ bit: 0, name: "lazy refcounts" }],
        autoclear: [{ bit: 1, name: "raw external data" }],
      },
      extensions: [
        { type: "0x44415441", name: "external data file", length: `${path}.raw`.length },
        { type: "0x6803f857", name: "feature name table", length: 384 },
      ],
      bitmaps: [],
    });
    expect(qdb("info", path).split("\n")).toEqual([
      `file: ${JSON.stringify(path)}`,
      "file format: qcow2, version 3",
      expect.stringMatching(/^file size: /),
      "cluster size: 64 KiB (65536 bytes)",
      "virtual size: 1 MiB (1048576 bytes)",
      "incompatible features:",
      '    bit 2: "external data file"',
      "compatible features:",
      '    bit 0: "lazy refcounts"',
      "autoclear features:",
      '    bit 1: "raw external data"',
      "header extensions:",
      `    0x44415441: "external data file", ${path.length + 4} bytes`,
      '    0x6803f857: "feature name table", 384 bytes',
      "bitmaps: 0",
      "",
    ]);
  });

  test("features that only the image has a name for, and version 2", () => {
    const named = join(directory, "named.qcow2");
    runPeer("qemu-img", ["create", "-q", "-f", "qcow2", named, "1M"]);
    const bytes = readFileSync(named);
    // The name of compatible bit 0 becomes that of bit 40: its number is before it in the table.
    bytes[bytes.indexOf("lazy refcounts") - 1] = 40;
    bytes.writeBigUInt64BE(2n ** 40n + 2n ** 63n, 80);
    writeFileSync(named, bytes);
    expect(facts(qdb("info", "--output=json", named)).features).toMatchObject({
      compatible: [{ bit: 40, name: "lazy refcounts" }, { bit: 63 }],
    });
    const old = join(directory, "old.qcow2");
    runPeer("qemu-img", ["create", "-q", "-f", "qcow2", "-o", "compat=0.10,cluster_size=2M", old, "1M"]);
    expect(facts(qdb("info", "--output=json", old))).toMatchObject({ version: 2, extensions: [], bitmaps: [] });
  });

  test("every bitmap with its state and its problem; that is no failure", () => {
    const path = smallImage(directory, "states.qcow2", (image) =>
      image.entry("fine", { flags: 3 }).entry("coarse", { granularityBits: 255 }).rename("idle", [0xff]),
    );
    const { bitmaps, bitmaps_consistent: isConsistent } = facts(qdb("info", "--output=json", path));
    expect(isConsistent).toBe(true);
    expect(bitmaps.map(({ name, name_hex: hex, state, flags, error }) => [name ?? hex, state, flags, error])).toEqual([
      ["fine", "inconsistent", ["in_use", "enabled"], expect.objectContaining({ code: "INCONSISTENT" })],
      ["coarse", "corrupt", ["enabled"], expect.objectContaining({ code: "BAD_FIELD" })],
      ["ff646c65", "disabled", [], undefined],
    ]);
    const text = qdb("info", path);
    expect(text).toMatch(/^ {8}error: \[INCONSISTENT\] in_use is set: .*mark everything dirty$/m);
    expect(text.split("\n")).toEqual(expect.arrayContaining(["bitmaps consistent: yes", "    hex:ff646c65"]));
    expect(text).not.toMatch(/granularity: (?!512|4 KiB)/);
  });

  test("an image whose bitmaps were not kept says so once, and for each", () => {
    const path = smallImage(directory, "unkept.qcow2", (image) => image.header({ autoclearFeatures: 0n }));
    const { bitmaps, bitmaps_consistent: isConsistent } = facts(qdb("info", "--output=json", path));
    expect(isConsistent).toBe(false);
    expect(bitmaps.map(({ state }) => state)).toEqual(["inconsistent", "inconsistent", "inconsistent"]);
    expect(qdb("info", path)).toMatch(/^bitmaps consistent: no, the image was last written by a program that/m);
  });

  test("stored: the clusters that qemu-img counts", () => {
    const { bitmaps } = facts(qdb("info", "--output=json", smallImage(directory, "stored.qcow2")));
    // makeSmallImage says how many data clusters each has; a table of 4, 1 and 1 entries is a cluster of 512 bytes.
    expect(bitmaps.map(({ stored_clusters: clusters, stored_bytes: bytes }) => [clusters, bytes])).toEqual([
      [4, 2560],
      [1, 1024],
      [0, 512],
    ]);
  });
});

describe("show", () => {
  test("the map of a bitmap: what was written is where it is", () => {
    const path = smallImage(directory, "show.qcow2");
    const clean = ".".repeat(63);
    const cells: Record<number, string> = { 0: `-${clean}`, 6: `+${clean}`, 10: `-${clean}`, 15: `${clean}-` };
    // A row of 64 cells of 8 KiB is 512 KiB; what small-image.ts writes is at 0, 3 MiB, 5 MiB, and in the last sector.
    expect(qdb("show", "--ascii", "--width=74", path, "fine").split("\n")).toEqual([
      '"fine", 8 MiB, granularity 512 B, enabled',
      "6 KiB of 8 MiB dirty (0.0732 %), a cell is 8 KiB",
      ...Array.from({ length: 16 }, (_, row) => {
        const label = row === 0 ? "0 B" : row === 1 ? "512 KiB" : `${row / 2} MiB`;
        return `${label.padStart(9)} ${cells[row] ?? ".".repeat(64)}`;
      }),
      "",
      ". clean   - some dirty   + over 1/3   * over 2/3   # all dirty",
      "",
    ]);
  });

  test("all bitmaps, those that cannot be used with the reason, as text and as a picture", () => {
    const path = smallImage(directory, "show-broken.qcow2", (image) =>
      image.entry("coarse", { granularityBits: 255 }).entry("idle", { flags: 1 }),
    );
    const text = qdb("show", "--ascii", "--width=74", path);
    expect(text.split("\n").filter((line) => /^"|^no map/.test(line))).toEqual([
      '"fine", 8 MiB, granularity 512 B, enabled',
      expect.stringMatching(/^"coarse", 8 MiB, /),
      expect.stringMatching(/^no map: \[BAD_FIELD\] granularity_bits is 255/),
      '"idle", 8 MiB, granularity 4 KiB, in_use',
      expect.stringMatching(/^no map: \[INCONSISTENT\] in_use is set/),
    ]);
    const out = join(directory, "show.svg");
    qdb("show", `--svg=${out}`, path);
    const svg = readFileSync(out, "utf8");
    expect(svg).toMatch(/^<svg .*<\/svg>\s*$/s);
    for (const name of ["fine", "coarse", "idle"]) expect(svg).toContain(`&quot;${name}&quot;`);
    qdbFails("INCONSISTENT", ["show", path, "idle"]);
    qdbFails("NOT_FOUND", ["show", path, "daily"]);
  });

  test("an image without bitmaps", () => {
    const path = join(directory, "show-empty.qcow2");
    runPeer("qemu-img", ["create", "-q", "-f", "qcow2", path, "1M"]);
    expect(qdb("show", path)).toBe("The file holds no bitmaps.\n");
  });
});
