// The header changes in steps. A cut between any two sectors of a step leaves a header that can be read, with the old directory, the new one,
// or bitmaps that are not consistent.
import { isQdbError } from "@qdb/format";
import type { FileChunk } from "@qdb/format/container";
import { QCOW2_HEADER } from "@qdb/qcow2";
import { describe, expect, test } from "vitest";
import { findBitmapsExtension } from "../src/image/extensions.ts";
import { HeaderArea } from "../src/write/header-area.ts";

/** Length of the area: 2 KiB, four sectors. */
const LENGTH = 2048;
const UNKNOWN_AUTOCLEAR = 1n << 40n;

/** A header of 104 bytes, an extension of another type with `filler` bytes, and the bitmaps extension, if any, and one behind it. */
function areaOf(filler: number, { bitmaps = true, behind = 0 } = {}): Uint8Array {
  const bytes = new Uint8Array(LENGTH);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x514649fb);
  view.setUint32(4, 3);
  view.setUint32(20, 11);
  view.setBigUint64(88, bitmaps ? 1n : 0n);
  view.setUint32(96, 4);
  view.setUint32(100, 104);
  let at = 104;
  const extension = (type: number, length: number): number => {
    view.setUint32(at, type);
    view.setUint32(at + 4, length);
    bytes.fill(0xa5, at + 8, at + 8 + length);
    at += 8 + Math.ceil(length / 8) * 8;
    return at - length;
  };
  if (filler > 0) extension(0x12345678, filler);
  if (bitmaps) {
    const data = extension(0x23852875, 24);
    view.setUint32(data, 2);
    view.setUint32(data + 4, 0);
    view.setBigUint64(data + 8, 64n);
    view.setBigUint64(data + 16, 4096n);
  }
  if (behind > 0) extension(0x0badcafe, behind);
  return bytes;
}

/** What a reader sees: number of bitmaps, length and offset of the directory; "none" without bitmaps; "inconsistent" if it may believe none. */
function seen(bytes: Uint8Array): string {
  const header = QCOW2_HEADER.decode(bytes);
  const extension = findBitmapsExtension(header, bytes);
  if ((header.autoclearFeatures & 1n) === 0n) return extension === undefined ? "none" : "inconsistent";
  if (extension === undefined) return "none";
  const { nbBitmaps, bitmapDirectorySize, bitmapDirectoryOffset } = extension;
  return `${nbBitmaps} in ${bitmapDirectorySize} at ${bitmapDirectoryOffset}`;
}

/** Yields the file after every part of the sectors of each group. */
function* cuts(before: Uint8Array, groups: readonly (readonly FileChunk[])[]): Generator<Uint8Array, void> {
  let stable = before.slice();
  for (const group of groups) {
    for (let chosen = 0; chosen < 2 ** group.length; chosen++) {
      const cut = stable.slice();
      for (const [at, { offset, bytes }] of group.entries()) if ((chosen >> at) & 1) cut.set(bytes, offset);
      yield cut;
    }
    stable = stable.slice();
    for (const { offset, bytes } of group) stable.set(bytes, offset);
  }
  yield stable;
}

/** Lengths of the extension before it that move the bitmaps extension over the border of a sector, step by step. */
const FILLERS = [0, ...Array.from({ length: 10 }, (_, step) => 328 + step * 8), 840, 848, 856, 1352];

const PLACE = { count: 3, offset: 8192, length: 96 };
const OLD = "2 in 64 at 4096";
const NEW = "3 in 96 at 8192";

describe.each(FILLERS)("with %i bytes of another extension before it", (filler) => {
  test("a new directory takes the place of the old one", () => {
    const before = areaOf(filler, { behind: 16 });
    const groups = new HeaderArea(before).setDirectory(PLACE);
    const states = [...cuts(before, groups)].map((bytes) => seen(bytes));
    expect(states.filter((state) => state !== "inconsistent" && state !== OLD && state !== NEW)).toEqual([]);
    expect(states.at(-1)).toBe(NEW);
  });

  test("the extension is added", () => {
    const before = areaOf(filler, { bitmaps: false });
    const groups = new HeaderArea(before).setDirectory(PLACE);
    const states = [...cuts(before, groups)].map((bytes) => seen(bytes));
    expect(states.filter((state) => state !== "inconsistent" && state !== "none" && state !== NEW)).toEqual([]);
    expect(states.at(-1)).toBe(NEW);
  });

  test("the extension is removed, or that is refused before anything is written", () => {
    for (const behind of [0, 16, 500]) {
      const before = areaOf(filler, { behind });
      const area = new HeaderArea(before);
      let groups: readonly (readonly FileChunk[])[];
      try {
        groups = area.setDirectory(undefined);
      } catch (error) {
        expect(behind > 0 && isQdbError(error, "NOT_SUPPORTED"), `${behind}`).toBe(true);
        continue;
      }
      const states = [...cuts(before, groups)].map((bytes) => seen(bytes));
      expect(states.filter((state) => state !== "inconsistent" && state !== OLD && state !== "none")).toEqual([]);
      expect(states.at(-1)).toBe("none");
      const types = (bytes: Uint8Array): number[] => [...bytes.subarray(104)].filter((byte) => byte === 0xa5);
      expect(types([...cuts(before, groups)].at(-1) as Uint8Array).length).toBe(filler + behind);
    }
  });
});

test.each([0, 8, 40, 300, 320, 328, 336, 344, 352, 360, 368, 400])(
  "the name of a backing file behind %i bytes of an extension makes room, and is there in every state",
  (filler) => {
    const name = Buffer.from("the name of a backing file.qcow2");
    const before = areaOf(filler, { bitmaps: false });
    const end = filler === 0 ? 104 : 112 + Math.ceil(filler / 8) * 8;
    const at = end + 8;
    before.set(name, at);
    const view = new DataView(before.buffer);
    view.setBigUint64(8, BigInt(at));
    view.setUint32(16, name.length);
    const groups = new HeaderArea(before).setDirectory(PLACE);
    let last = "";
    for (const bytes of cuts(before, groups)) {
      last = seen(bytes);
      expect(["none", "inconsistent", NEW]).toContain(last);
      const { backingFileOffset, backingFileSize } = QCOW2_HEADER.decode(bytes);
      const from = Number(backingFileOffset);
      expect(Buffer.from(bytes.subarray(from, from + backingFileSize)).equals(name)).toBe(true);
    }
    expect(last).toBe(NEW);
  },
);

test("unknown autoclear bits are cleared, the known ones stay", () => {
  const before = areaOf(0);
  new DataView(before.buffer).setBigUint64(88, UNKNOWN_AUTOCLEAR | 3n);
  const [chunk] = new HeaderArea(before).clearUnknownAutoclear();
  expect(chunk?.offset).toBe(0);
  expect(QCOW2_HEADER.decode(chunk?.bytes ?? new Uint8Array(104)).autoclearFeatures).toBe(3n);
});

test("a first cluster without room refuses the extension", () => {
  const before = areaOf(2048 - 104 - 8 - 24, { bitmaps: false });
  expect(() => new HeaderArea(before).setDirectory(PLACE)).toThrow(/the bitmaps extension needs 32/);
});
