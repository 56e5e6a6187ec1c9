// The actions that qemu-img has too, on a qcow2 image with qemu-img and on a QDB file with qdb: the same bitmaps come of them.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { temporaryDirectory } from "./built.ts";
import { makeRandomImage, type Random, requirePeers, runPeer, seededRandom } from "./peers.ts";
import { bitmapsOf } from "./reading.ts";
import { qdbOf } from "./resident.ts";

const directory = temporaryDirectory();
beforeAll(() => requirePeers("qemu-img", "qemu-io"));

const CALLS = 6;

/** What both are to do: the options of actions, and what --add needs. */
interface Script {
  readonly name: string;
  readonly actions: readonly string[];
  readonly granularity: number | undefined;
  readonly usesOther: boolean;
}

function drawScript(random: Random, names: readonly string[], otherNames: readonly string[]): Script {
  const usesOther = otherNames.length > 0 && random(3) === 0;
  const sources = usesOther ? otherNames : names;
  const isNew = names.length === 0 || random(4) === 0;
  const name = isNew ? `new ${random(1000)}` : (names[random(names.length)] ?? "");
  const actions = isNew ? ["--add"] : [];
  for (let count = 1 + random(3); count > 0; count--) {
    const source = sources[random(sources.length)];
    const action = ["--clear", "--enable", "--disable", "--merge", "--merge", "--merge"][random(6)] ?? "--clear";
    if (action !== "--merge") actions.push(action);
    else if (source !== undefined) actions.push(`--merge=${source}`);
  }
  if (!isNew && random(6) === 0) actions.push("--remove");
  return {
    name,
    actions,
    granularity: isNew ? 512 << random(12) : undefined,
    usesOther: usesOther && actions.some((action) => action.startsWith("--merge")),
  };
}

/** The bitmaps, by their names: qcow2 has its own order. */
async function sorted(path: string): Promise<object[]> {
  const bitmaps = (await bitmapsOf(path)).map(({ name, size, granularity, flags, dirty }) => ({
    name,
    size,
    granularity,
    flags,
    dirty,
  }));
  return bitmaps.sort((a, b) => (a.name < b.name ? -1 : 1));
}

test.each(Array.from({ length: 20 }, (_, seed) => seed))("script %i", async (seed) => {
  const qdb = qdbOf(seed);
  const folder = join(directory, `script-${seed}`);
  mkdirSync(folder);
  const random = seededRandom(seed);
  const size = 65536 * (1 + random(200)) + 512 * random(128);
  const image = makeRandomImage(folder, random, { name: "image.qcow2", size });
  const other = makeRandomImage(folder, random, { name: "other.qcow2", size });
  const file = join(folder, "file.qdb");
  const otherFile = join(folder, "other.qdb");
  await qdb("import", image.path, file);
  await qdb("import", other.path, otherFile);
  for (let calls = 0; calls < CALLS; calls++) {
    const names = (await bitmapsOf(file)).map(({ name }) => name);
    const { name, actions, granularity, usesOther } = drawScript(
      random,
      names,
      other.bitmaps.map((bitmap) => bitmap.name),
    );
    const shape = granularity === undefined ? [] : ["-g", `${granularity}`];
    const theirs = usesOther ? ["-b", other.path, "-F", "qcow2"] : [];
    // qdb reads the sources from the image itself, or from what was imported of it.
    const ours = usesOther ? ["-b", random(2) === 0 ? other.path : otherFile] : [];
    const length = granularity === undefined ? [] : ["--size", `${size}`];
    runPeer("qemu-img", ["bitmap", ...actions, ...shape, ...theirs, "-f", "qcow2", "--", image.path, name]);
    await qdb("bitmap", ...actions, ...shape, ...length, ...ours, "--", file, name);
    if ((await bitmapsOf(file)).length === 0) break;
    const imported = join(folder, `imported-${calls}.qdb`);
    await qdb("import", image.path, imported);
    expect(await sorted(file), JSON.stringify({ name, actions })).toEqual(await sorted(imported));
  }
});
