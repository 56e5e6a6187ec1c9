// `qdb export` into qcow2 images: QEMU sees the bits that the QDB file has.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { qdb, qdbFails, temporaryDirectory } from "./built.ts";
import { dirtyRanges, nbdinfoMap, requirePeers, runPeer } from "./peers.ts";

const directory = temporaryDirectory();
const at = (name: string): string => join(directory, name);
const file = at("vm.qdb");

beforeAll(() => {
  requirePeers("qemu-img", "qemu-nbd", "nbdinfo");
  qdb("create", file);
  qdb("bitmap", "--add", "--size", "1000000", "-g", "512", "--mark", "5000+1", file, "fine");
  qdb("bitmap", "--add", "--size", "1000000", "-g", "4K", "--mark", "999000+1000", "--disable", file, "coarse");
  qdb("bitmap", "--add", "--size", "1G", file, "of another disk");
});

/** What nbdinfo says is dirty. */
const dirty = (image: string, name: string): unknown => [...dirtyRanges(nbdinfoMap(image, name))];

test("qcow2-bitmaps makes an image of nothing but bitmaps", () => {
  const image = at("bitmaps.qcow2");
  qdb("export", "--to", "qcow2-bitmaps", "-B", "fine", "-B", "coarse", file, image);
  const info = JSON.parse(runPeer("qemu-img", ["info", "--output=json", image]));
  // 1,000,000 bytes are no multiple of 512.
  expect(info["virtual-size"]).toBe(1_000_448);
  expect(info["format-specific"].data.bitmaps).toEqual([
    { name: "fine", granularity: 512, flags: ["auto"] },
    { name: "coarse", granularity: 4096, flags: [] },
  ]);
  expect(dirty(image, "fine")).toEqual([[4608, 512]]);
  expect(dirty(image, "coarse")).toEqual([[995_328, 1_000_448 - 995_328]]);
  expect(runPeer("qemu-img", ["check", image])).toMatch(/No errors/);
  const before = readFileSync(image);
  qdbFails("ALREADY_EXISTS", ["export", "--to", "qcow2-bitmaps", "-B", "fine", file, image]);
  expect(readFileSync(image).equals(before)).toBe(true);
});

test("qcow2 adds bitmaps to an image that is there", () => {
  const image = at("there.qcow2");
  runPeer("qemu-img", ["create", "-q", "-f", "qcow2", image, "1000448"]);
  runPeer("qemu-img", ["bitmap", "--add", image, "own"]);
  qdb("export", "--to", "qcow2", "-B", "fine", file, image);
  expect(dirty(image, "fine")).toEqual([[4608, 512]]);
  expect(dirty(image, "own")).toEqual([]);
  expect(runPeer("qemu-img", ["check", image])).toMatch(/No errors/);
  const before = readFileSync(image);
  for (const [code, names] of [
    ["ALREADY_EXISTS", ["coarse", "fine"]],
    ["SIZE_MISMATCH", ["of another disk"]],
    ["NOT_FOUND", ["nothing"]],
  ] as const) {
    qdbFails(code, ["export", "--to", "qcow2", ...names.flatMap((name) => ["-B", name]), file, image]);
    expect(readFileSync(image).equals(before), code).toBe(true);
  }
});

test("one image has one disk, and a refused export leaves nothing behind", () => {
  const before = readdirSync(directory).sort();
  const said = qdbFails("SIZE_MISMATCH", ["export", "--to", "qcow2-bitmaps", file, at("mixed.qcow2")]);
  expect(said).toContain("of another disk");
  qdbFails("USAGE", ["export", "--to", "qcow2-bitmaps", file]);
  qdbFails("USAGE", ["export", "--to", "extents", "-B", "fine", "-B", "coarse", file]);
  expect(readdirSync(directory).sort()).toEqual(before);
});
