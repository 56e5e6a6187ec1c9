import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { expect, test } from "vitest";
import { COMMAND, NODE, qdb, qdbFails, temporaryDirectory } from "./built.ts";
import { measured } from "./measured.ts";
import { seededRandom } from "./peers.ts";

const directory = temporaryDirectory();

/** A file with the bitmap `b` of random bits at 4 KiB, for a disk of so many bytes. */
function makeFile(name: string, size: number, disk?: string): string {
  const random = seededRandom(size);
  const bits = Buffer.from(Array.from({ length: Math.ceil(size / 4096 / 8) }, () => random(256) & random(256)));
  writeFileSync(join(directory, `${name}.bits`), bits);
  const file = join(directory, `${name}.qdb`);
  const place = disk === undefined ? ["--size", `${size}`] : ["--disk", disk];
  qdb("import", "--from", "raw-bits", "-g", "4K", ...place, "-B", "b", join(directory, `${name}.bits`), file);
  return file;
}

test.each([1, 4096, 5000, 300 * 2 ** 20, 2 ** 32])(
  "extents are the map, on standard output and in a file, %i bytes",
  (size) => {
    const file = makeFile(`map-${size}`, size);
    const map = qdb("map", "--output=json", file, "b");
    expect(qdb("export", "--to", "extents", "-B", "b", file)).toBe(map);
    expect(qdb("export", "--to", "extents", "-B", "b", file, "-")).toBe(map);
    const out = join(directory, `map-${size}.json`);
    qdb("export", "--to", "extents", "-B", "b", file, out);
    expect(readFileSync(out, "utf8")).toBe(map);
  },
);

test("what exists is not overwritten, and nothing is left behind", () => {
  const file = makeFile("existing", 2 ** 20);
  const out = join(directory, "existing.out");
  writeFileSync(out, "mine");
  const before = readdirSync(directory);
  qdbFails("ALREADY_EXISTS", ["export", "--to", "raw-bits", "-B", "b", file, out]);
  qdbFails("ALREADY_EXISTS", ["export", "--to", "extents", "-B", "b", file, file]);
  expect(readFileSync(out, "utf8")).toBe("mine");
  qdbFails("NOT_FOUND", ["export", "--to", "raw-bits", "-B", "none", file, join(directory, "new.out")]);
  qdbFails("NOT_FOUND", ["export", "--to", "raw-bits", "-B", "b", file, join(directory, "none", "new.out")]);
  expect(readdirSync(directory)).toEqual(before);
});

test("what is missing on the command line", () => {
  const file = makeFile("usage", 2 ** 20);
  expect(qdbFails("USAGE", ["export", "-B", "b", file])).toContain("--to");
  expect(qdbFails("USAGE", ["export", "--to", "raw-bits", file])).toContain("-B");
  qdbFails("USAGE", ["export", "--to", "png", "-B", "b", file]);
});

test("a disk that changed since makes the bits doubtful", () => {
  const disk = join(directory, "disk.raw");
  writeFileSync(disk, Buffer.alloc(2 ** 20));
  const file = makeFile("changed", 2 ** 20, disk);
  const before = qdb("export", "--to", "extents", "-B", "b", file);
  utimesSync(disk, 1, 1);
  qdbFails("WRONG_DISK", ["export", "--to", "extents", "-B", "b", file]);
  expect(qdb("export", "--to", "extents", "-B", "b", "--ignore-disk-change", file)).toBe(before);
});

test("the bits of a large bitmap are not held in memory, and none is printed before all are verified", () => {
  const bits = Buffer.alloc(64 * 2 ** 20);
  for (let at = 255; at < bits.length; at += 256) bits[at] = 0x81;
  const raw = join(directory, "large.bits");
  writeFileSync(raw, bits);
  const large = join(directory, "large.qdb");
  qdb("import", "--from", "raw-bits", "-g", "64K", "--size", "32T", "-B", "b", raw, large);
  const small = makeFile("beside-large", 2 ** 20);
  const out = join(directory, "large.out");
  for (const format of ["raw-bits", "extents"]) {
    const of = (file: string): number =>
      measured([COMMAND, "export", "--to", format, "-B", "b", file, join(directory, `${format}-${basename(file)}`)])
        .mebibytes;
    expect(of(large) - of(small)).toBeLessThan(24);
  }
  expect(readFileSync(join(directory, "raw-bits-large.qdb")).equals(bits)).toBe(true);

  // The last byte of the file is one of the last cluster.
  const damaged = readFileSync(large);
  damaged[damaged.length - 1] = 0x80;
  writeFileSync(large, damaged);
  for (const format of ["raw-bits", "extents"]) {
    const failed = spawnSync(NODE, [COMMAND, "export", "--to", format, "-B", "b", large], { encoding: "utf8" });
    expect(failed).toMatchObject({ status: 1, stdout: "" });
    expect(failed.stderr).toContain("BAD_CHECKSUM");
    qdbFails("BAD_CHECKSUM", ["export", "--to", format, "-B", "b", large, out]);
    expect(existsSync(out)).toBe(false);
  }
}, 60_000);
