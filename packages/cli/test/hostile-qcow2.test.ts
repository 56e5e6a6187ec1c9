// What the reading commands hold of qcow2 images: of the largest bitmap that there can be, and of as many bitmaps as there can be, good
// and bad ones: 16 MiB and four times the bytes read (spec §7.4), as of QDB files.
import { spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { COMMAND, NODE, temporaryDirectory } from "./built.ts";
import { measured } from "./measured.ts";
import { requirePeers } from "./peers.ts";
import { crowdedImage, largeImage, smallImage } from "./qcow2-images.ts";

const MIB = 2 ** 20;
/** What Node takes beyond what is held, in MiB. */
const RUNTIME = 20;
const directory = temporaryDirectory();
let small = "";
beforeAll(() => {
  requirePeers("python3", "qemu-img", "qemu-io");
  small = smallImage(directory, "small.qcow2");
});

/** Runs the command with a heap of so many MiB. */
function runWithin(heap: number, args: readonly string[]): ReturnType<typeof measured> {
  return measured([`--max-old-space-size=${heap}`, "--max-semi-space-size=1", COMMAND, ...args]);
}

/** `pnpm soak memory` runs every command, `npm test` some. */
const isSoak = process.env.QDB_SOAK === "1";

describe("2^32 bits in data clusters", () => {
  const commands: readonly (readonly string[])[] = [
    ["export", "--to=raw-bits", "-Bb"],
    ["map", "--output=json"],
    ["dump"],
    ["info"],
    ["show"],
    ["show", "--svg=-"],
    ["check"],
    ["export", "--to=extents", "-Bb"],
  ];
  test.each(isSoak ? commands : commands.slice(0, 3))(
    "%s %s",
    (...args) => {
      const path = join(directory, "large.qcow2");
      if (statSync(path, { throwIfNoEntry: false }) === undefined)
        largeImage(path, { size: 2 ** 41, granularity: 512 }, () => undefined);
      const operands = (image: string): string[] => (args[0] === "map" ? [image, "b"] : [image]);
      const own = runWithin(64, [
        args[0] === "export" ? "info" : (args[0] ?? ""),
        ...(args[0] === "map" ? [small, "fine"] : [small]),
      ]);
      const { status, mebibytes } = runWithin(64, [...args, ...operands(path)]);
      expect(status).toBe(0);
      // 512 MiB are read, of which a fixed part is held.
      expect(mebibytes - own.mebibytes).toBeLessThan(16 + 4 * 8 + RUNTIME);
    },
    300_000,
  );
});

/** What a command may hold of 65535 bitmaps, in MiB. It reads the directory, and of each good bitmap a table of four entries. */
function budgetOf(isBad: boolean): number {
  return Math.floor(16 + (4 * 65_535 * (isBad ? 32 : 64)) / MIB);
}

const TEXT = ["info", "show", "check"];
const DATA = ["info --output=json", "show --svg=-", "check --output=json"];

describe.each([
  ["65535 empty bitmaps", isSoak ? [...TEXT, ...DATA] : TEXT.slice(0, 1)],
  ["65535 bitmaps, every one in error", isSoak ? [...TEXT, ...DATA] : DATA.slice(2, 3)],
])("%s", (name, commands) => {
  test.each(commands)(
    "%s",
    (command) => {
      const isBad = name.endsWith("error");
      // A flag that is not known, a type that is none, and a granularity that is too small.
      const path = crowdedImage(directory, `${isBad ? "bad" : "good"}.qcow2`, (entry) => {
        if (!isBad) return;
        entry.setUint32(12, 0x80000000);
        entry.setUint8(16, 7);
        entry.setUint8(17, 3);
      });
      // The directory, and of good bitmaps a table of four entries each.
      const read = (65_535 * (isBad ? 32 : 64)) / MIB;
      const budget = Math.floor(16 + 4 * read);
      const args = command.split(" ");
      const own = runWithin(64, [...args, small]);
      const { status, mebibytes } = runWithin(budget, [...args, path]);
      expect(status).toBe(isBad && args[0] === "check" ? 2 : 0);
      expect(mebibytes - own.mebibytes).toBeLessThan(budget + RUNTIME);
    },
    300_000,
  );

  // Such a dump ends with an error, which the run for its memory does not expect: only its heap is bounded.
  test("dump, and a bitmap by its name", () => {
    const isBad = name.endsWith("error");
    const path = join(directory, `${isBad ? "bad" : "good"}.qcow2`);
    const flags = [`--max-old-space-size=${budgetOf(isBad)}`, "--max-semi-space-size=1"];
    for (const args of [
      ["dump", path],
      ["map", path, "00000001"],
      ["export", "--to=raw-bits", "-B00000001", path],
    ]) {
      const { status } = spawnSync(NODE, [...flags, COMMAND, ...args], { stdio: "ignore" });
      expect({ args, status }).toEqual({ args, status: isBad ? 1 : 0 });
    }
  }, 300_000);
});
