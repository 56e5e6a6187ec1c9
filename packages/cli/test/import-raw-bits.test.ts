import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { qdb, qdbFails, runQdb, temporaryDirectory } from "./built.ts";
import { requirePeers, runPeer } from "./peers.ts";

const directory = temporaryDirectory();
beforeAll(() => requirePeers("python3", "qemu-img"));

/** Bits of 1000 granules of 4 KiB and a part of one, as Python packs them: LSB first, granules 0, 7, 8, 500-599 and the last. */
function pythonBits(name: string): string {
  const path = join(directory, name);
  const script =
    "import sys; open(sys.argv[1],'wb').write(sum(1<<n for n in [0,7,8,*range(500,600),1000]).to_bytes(126,'little'))";
  runPeer("python3", ["-c", script, path]);
  return path;
}
const SIZE = String(1000 * 4096 + 512);
const SHAPE = ["-g", "4K", "--size", SIZE, "-B", "b"];

test("Python's bytes come in, are the map they mean, and go out the same", () => {
  const bits = pythonBits("bits");
  const file = join(directory, "bits.qdb");
  qdb("import", "--from", "raw-bits", ...SHAPE, bits, file);
  const map: { offset: number; length: number; type: number }[] = JSON.parse(qdb("map", "--output=json", file, "b"));
  expect(map.filter(({ type }) => type === 1).map(({ offset, length }) => [offset, length])).toEqual([
    [0, 4096],
    [7 * 4096, 2 * 4096],
    [500 * 4096, 100 * 4096],
    [1000 * 4096, 512],
  ]);
  const out = join(directory, "bits.out");
  expect(qdb("export", "--to", "raw-bits", "-B", "b", file, out)).toBe("");
  expect(readFileSync(out).equals(readFileSync(bits))).toBe(true);
  const { stdout } = runQdb(["export", "--to", "raw-bits", "-B", "b", file]);
  expect(stdout.equals(readFileSync(bits))).toBe(true);
});

test("from standard input, and with the size of a disk that is remembered", () => {
  const disk = join(directory, "disk.raw");
  runPeer("qemu-img", ["create", "-q", "-f", "raw", disk, SIZE]);
  const file = join(directory, "stdin.qdb");
  const input = readFileSync(pythonBits("stdin.bits"));
  const { status } = runQdb(["import", "--from", "raw-bits", "-g", "4K", "--disk", disk, "-B", "b", "-", file], {
    input,
  });
  expect(status).toBe(0);
  const [bitmap] = JSON.parse(qdb("dump", file)).bitmaps;
  const { mtimeNs, ino } = statSync(disk, { bigint: true });
  expect(bitmap).toMatchObject({ size: SIZE, granularity: 4096, flags: [] });
  expect(bitmap.extra_data).toEqual([
    { type: "0x00000001", disk },
    { type: "0x00000002", length: SIZE, mtime: String(mtimeNs), file: String(ino) },
    { type: "0x00000003", id: expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/) },
    { type: "0x00000005", created: expect.stringMatching(/^[0-9]{19}$/) },
  ]);
});

test("what does not fit is refused and makes no file", () => {
  const bits = pythonBits("refused.bits");
  const file = join(directory, "refused.qdb");
  const from = ["import", "--from", "raw-bits"];
  qdbFails("SIZE_MISMATCH", [...from, "-g", "4K", "--size", "4M", "-B", "b", bits, file]);
  qdbFails("SIZE_MISMATCH", [...from, "-g", "4K", "--size", "1M", "-B", "b", bits, file]);
  qdbFails("USAGE", [...from, "--size", SIZE, "-B", "b", bits, file]);
  qdbFails("USAGE", [...from, "-g", "4K", "-B", "b", bits, file]);
  qdbFails("USAGE", [...from, "-g", "4000", "--size", SIZE, "-B", "b", bits, file]);
  qdbFails("USAGE", [...from, "-g", "4K", "--size", SIZE, bits, file]);
  qdbFails("USAGE", [...from, ...SHAPE, "-B", "c", bits, file]);
  qdbFails("USAGE", [...from, ...SHAPE, "--dirty=data", bits, file]);
  qdbFails("USAGE", [...from, ...SHAPE, "--disk", bits, bits, file]);
  qdbFails("USAGE", [...from, "-g", "4K", "--size", SIZE, "-B", "x".repeat(1024), bits, file]);
  qdbFails("NOT_FOUND", [...from, ...SHAPE, join(directory, "none"), file]);
  qdbFails("USAGE", [...from, ...SHAPE, directory, file]);
  expect(readdirSync(directory)).not.toContain("refused.qdb");
});

test("a disk whose bytes are not the disk's is refused", () => {
  const disk = join(directory, "disk.qcow2");
  runPeer("qemu-img", ["create", "-q", "-f", "qcow2", disk, SIZE]);
  const args = [
    "import",
    "--from",
    "raw-bits",
    "-g",
    "4K",
    "--disk",
    disk,
    "-B",
    "b",
    pythonBits("foreign.bits"),
    join(directory, "foreign.qdb"),
  ];
  qdbFails("NOT_SUPPORTED", args);
});

test("a disk of 0 bytes has no bits", () => {
  const empty = join(directory, "empty");
  writeFileSync(empty, "");
  const file = join(directory, "empty.qdb");
  qdb("import", "--from", "raw-bits", "-g", "4K", "--size", "0", "-B", "b", empty, file);
  expect(JSON.parse(qdb("map", "--output=json", file, "b"))).toEqual([]);
  qdb("export", "--to", "raw-bits", "-B", "b", file, join(directory, "empty.out"));
  expect(statSync(join(directory, "empty.out")).size).toBe(0);
});
