import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { Patchable } from "../../qcow2/test/small-image.ts";
import { qdb, qdbFails, type Ran, runQdb, temporaryDirectory } from "./built.ts";
import { makeRandomImage, nbdinfoMap, requirePeers, runPeer, seededRandom } from "./peers.ts";
import { qdbOf, runOf } from "./resident.ts";

const directory = temporaryDirectory();
beforeAll(() => requirePeers("qemu-img", "qemu-io", "qemu-nbd", "nbdinfo"));

/** Makes an image of 1 MiB with bitmaps of 64 KiB granularity, the first 64 KiB written. */
function makeImage(name: string, bitmaps: readonly string[]): string {
  const image = join(directory, name);
  runPeer("qemu-img", ["create", "-q", "-f", "qcow2", image, "1M"]);
  for (const bitmap of bitmaps) runPeer("qemu-img", ["bitmap", "--add", "-g", "64K", image, bitmap]);
  runPeer("qemu-io", ["-c", "write -q 0 1", image]);
  return image;
}

function bitmapsIn(
  dump: string,
): { name: string; flags: string[]; granularity: number; dirty?: unknown; error?: unknown }[] {
  return JSON.parse(dump).bitmaps;
}

function bitmapsOf(file: string): ReturnType<typeof bitmapsIn> {
  return bitmapsIn(qdb("dump", file));
}

describe("random images", () => {
  const IMAGES = 50;
  let uneven = 0;
  test.each(Array.from({ length: IMAGES }, (_, seed) => seed))("seed %i: the maps are nbdinfo's", async (seed) => {
    const qdb = qdbOf(seed);
    const folder = join(directory, `seed-${seed}`);
    mkdirSync(folder);
    const random = seededRandom(seed);
    const image = makeRandomImage(folder, random);
    const before = readFileSync(image.path);
    const file = join(folder, "image.qdb");
    await qdb("import", image.path, file);
    expect(readFileSync(image.path).equals(before)).toBe(true);
    for (const { name, granularity } of image.bitmaps) {
      if (image.size % granularity !== 0) uneven++;
      const map: unknown = JSON.parse(await qdb("map", "--output=json", file, "--", name));
      expect(map, `seed ${seed}, bitmap ${name}`).toEqual(nbdinfoMap(image.path, name));
    }
    const facts = bitmapsIn(await qdb("dump", file)).map(({ name, granularity, flags }) => ({
      name,
      granularity,
      flags,
    }));
    expect(facts).toEqual(
      image.bitmaps.map(({ name, granularity, enabled }) => ({ name, granularity, flags: enabled ? ["enabled"] : [] })),
    );
  });

  test("sizes that are no multiple of the granularity are among them", () => {
    expect(uneven).toBeGreaterThan(IMAGES / 5);
  });
});

describe("which bitmaps", () => {
  test("-B chooses and renames, in its own order", () => {
    const image = makeImage("choose.qcow2", ["a", "b", "c"]);
    const file = join(directory, "choose.qdb");
    qdb("import", "-B", "c=third", "-B", "a", image, file);
    expect(bitmapsOf(file).map(({ name }) => name)).toEqual(["third", "a"]);
  });

  test("a name with = in it is told from a rename by what the image has", () => {
    const image = makeImage("equals.qcow2", ["k=v", "k"]);
    qdbFails("USAGE", ["import", "-B", "k=v", image, join(directory, "equals.qdb")]);
    const other = makeImage("equals2.qcow2", ["k=v"]);
    qdb("import", "-B", "k=v=new=er", other, join(directory, "equals2.qdb"));
    expect(bitmapsOf(join(directory, "equals2.qdb")).map(({ name }) => name)).toEqual(["new=er"]);
  });

  test("what is not there, and two of one name, are refused and make no file", () => {
    const image = makeImage("names.qcow2", ["a", "b"]);
    const file = join(directory, "names.qdb");
    expect(qdbFails("NOT_FOUND", ["import", "-B", "x", image, file])).toContain('it has "a", "b"');
    qdbFails("USAGE", ["import", "-B", "a=b", "-B", "b", image, file]);
    qdbFails("USAGE", ["import", "-B", "a=", image, file]);
    expect(readdirSync(directory)).not.toContain("names.qdb");
  });

  test("an image without bitmaps is refused", () => {
    qdbFails("NOT_FOUND", ["import", makeImage("none.qcow2", []), join(directory, "none.qdb")]);
  });
});

describe("bitmaps whose bits cannot be trusted", () => {
  /** Sets the in_use flag of the first bitmap, as QEMU leaves it when it dies. */
  function inUse(name: string): string {
    const image = makeImage(name, ["lost", "kept"]);
    const script = `
import struct, sys
f = open(sys.argv[1], 'r+b'); data = f.read()
at = 112 if struct.unpack('>I', data[100:104])[0] >= 112 else 104
while struct.unpack('>I', data[at:at+4])[0] != 0x23852875: at += 8 + (struct.unpack('>I', data[at+4:at+8])[0] + 7) // 8 * 8
directory = struct.unpack('>Q', data[at+24:at+32])[0]
f.seek(directory + 12); f.write(struct.pack('>I', 3))`;
    runPeer("python3", ["-c", script, image]);
    const { bitmaps } = JSON.parse(runPeer("qemu-img", ["info", "--output=json", image]))["format-specific"].data;
    expect(bitmaps[0]).toMatchObject({ name: "lost", flags: ["in-use", "auto"] });
    return image;
  }

  test("stay so, and the others are not touched by it", () => {
    const image = inUse("in-use.qcow2");
    const file = join(directory, "in-use.qdb");
    qdb("import", image, file);
    qdbFails("INCONSISTENT", ["map", file, "lost"]);
    expect(JSON.parse(qdb("map", "--output=json", file, "kept"))).toEqual(nbdinfoMap(image, "kept"));
    qdb("info", file);
  });

  test("become all dirty when told", () => {
    const file = join(directory, "mark-all.qdb");
    qdb("import", "--inconsistent=mark-all", inUse("mark-all.qcow2"), file);
    expect(JSON.parse(qdb("map", "--output=json", file, "lost"))).toEqual([
      { offset: 0, length: 1048576, type: 1, description: "dirty" },
    ]);
    expect(bitmapsOf(file)[0]?.flags).toEqual(["enabled"]);
  });
});

describe("bitmaps that share a cluster", () => {
  /** An image of 16 MiB with bitmaps `A` (0 is dirty), `B` (8 MiB is) and `C` (nothing is); B is made to use the data cluster of A. */
  function sharing(name: string): string {
    const image = join(directory, name);
    runPeer("qemu-img", ["create", "-q", "-f", "qcow2", "-o", "cluster_size=512", image, "16M"]);
    for (const [bitmap, offset] of [
      ["A", "0"],
      ["B", "8M"],
    ] as const) {
      runPeer("qemu-img", ["bitmap", "--add", "-g", "64K", image, bitmap]);
      runPeer("qemu-io", ["-f", "qcow2", "-c", `write -q ${offset} 64k`, image]);
      runPeer("qemu-img", ["bitmap", "--disable", image, bitmap]);
    }
    runPeer("qemu-img", ["bitmap", "--add", "-g", "64K", image, "C"]);
    const good = join(directory, `good-${name}.qdb`);
    qdb("import", image, good);
    expect(bitmapsOf(good)[1]?.dirty).toEqual([["8388608", "65536"]]);
    const patched = new Patchable(readFileSync(image));
    writeFileSync(image, patched.tableEntry("B", 0, patched.readTableEntry("A", 0)).bytes);
    return image;
  }

  test("are refused, each of them, and make no file; the third is not", () => {
    const image = sharing("sharing.qcow2");
    const file = join(directory, "sharing.qdb");
    for (const names of [[], ["-B", "A"], ["-B", "B"], ["-B", "C", "-B", "B"]])
      expect(qdbFails("OVERLAP", ["import", ...names, image, file])).toContain("--inconsistent=mark-all");
    expect(readdirSync(directory)).not.toContain("sharing.qdb");
    qdb("import", "-B", "C", image, file);
    expect(bitmapsOf(file).map(({ name, dirty }) => [name, dirty])).toEqual([["C", []]]);
    const add = ["bitmap", "--add", "--merge", "B", "-b", image, "--size", "16M", file, "sum"];
    expect(qdbFails("OVERLAP", add)).toContain("sharing.qcow2");
    expect(bitmapsOf(file)).toHaveLength(1);
  });

  test("become all dirty when told, with a warning each", () => {
    const file = join(directory, "sharing-marked.qdb");
    const args = ["import", "--inconsistent=mark-all", sharing("sharing-marked.qcow2"), file];
    const { status, stderr } = runQdb(args);
    expect(status).toBe(0);
    const warnings = stderr.trimEnd().split("\n");
    expect(warnings).toHaveLength(2);
    expect(warnings[0]).toMatch(/^qdb: warning: all of "A" is dirty: \[OVERLAP\] /);
    expect(warnings[1]).toMatch(/^qdb: warning: all of "B" is dirty: \[OVERLAP\] /);
    expect(bitmapsOf(file).map(({ name, flags, dirty }) => [name, flags, dirty])).toEqual([
      ["A", [], [["0", "16777216"]]],
      ["B", [], [["0", "16777216"]]],
      ["C", ["enabled"], []],
    ]);
  });

  test("what cannot be told to be a dirty bitmap at all is not marked either", () => {
    const image = sharing("unknown.qcow2");
    writeFileSync(image, new Patchable(readFileSync(image)).entry("A", { type: 2 }).bytes);
    const file = join(directory, "unknown.qdb");
    qdbFails("UNSUPPORTED_FEATURE", ["import", "--inconsistent=mark-all", image, file]);
    expect(readdirSync(directory)).not.toContain("unknown.qdb");
  });
});

test("an image that grows while it is imported: every write that was over is in it, or it is SOURCE_CHANGED", async () => {
  const image = join(directory, "growing.qcow2");
  const done = join(directory, "growing.steps");
  const steps = 60;
  runPeer("qemu-img", ["create", "-q", "-f", "qcow2", "-o", "cluster_size=512", image, "16M"]);
  runPeer("qemu-img", ["bitmap", "--add", "-g", "64K", image, "daily"]);
  writeFileSync(done, "0");
  const loop = `for step in $(seq ${steps}); do
    qemu-io -f qcow2 -c "write -q $(( (step - 1) * 65536 )) 64k" "$0" || exit 1
    echo $step > "$1.new" && mv "$1.new" "$1"
  done`;
  const writer = spawn("sh", ["-c", loop, image, done], { stdio: ["ignore", "ignore", "inherit"] });
  const end = once(writer, "exit");
  const run = runOf(1);
  const outcomes: Record<string, number> = {};
  for (let round = 0; writer.exitCode === null; round++) {
    const before = Number(readFileSync(done, "utf8"));
    const file = join(directory, `growing-${round}.qdb`);
    const { status, stderr } = await run(["import", image, file]);
    const outcome = status === 0 ? bitmapsOfRun(await run(["dump", file]), before) : /\[(\w+)\]/.exec(stderr)?.[1];
    outcomes[`${outcome}`] = (outcomes[`${outcome}`] ?? 0) + 1;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  expect((await end)[0]).toBe(0);
  expect(Object.keys(outcomes).filter((name) => !["good", "in-use", "SOURCE_CHANGED"].includes(name))).toEqual([]);
  expect(outcomes.good).toBeGreaterThan(0);
});

/** What became of the bitmap of the growing image: `good` where the writes that were over are in it. */
function bitmapsOfRun({ stdout }: Ran, writes: number): string {
  const bitmap = bitmapsIn(stdout.toString("utf8"))[0]!;
  if (bitmap.flags.includes("in_use")) return "in-use";
  // The guest writes from the front on: one range.
  const [[offset, length] = ["0", "0"], ...more] = bitmap.dirty as [string, string][];
  return offset === "0" && Number(length) >= writes * 65536 && more.length === 0 ? "good" : "lost";
}

test("-g rounds outward", () => {
  const image = makeImage("coarse.qcow2", ["a"]);
  const file = join(directory, "coarse.qdb");
  qdb("import", "-g", "256K", image, file);
  expect(bitmapsOf(file)[0]).toMatchObject({ granularity: 262144, dirty: [["0", "262144"]] });
});

test("a size that is not the image's is refused", () => {
  const image = makeImage("size.qcow2", ["a"]);
  qdbFails("SIZE_MISMATCH", ["import", "--size", "2M", image, join(directory, "size.qdb")]);
});

test("a file that is there stays as it is when the source is not there", () => {
  const file = join(directory, "existing.qdb");
  qdb("import", makeImage("existing.qcow2", ["a"]), file);
  const before = readFileSync(file);
  qdbFails("NOT_FOUND", ["import", join(directory, "there-is-no-source"), file]);
  expect(readFileSync(file).equals(before)).toBe(true);
});
