// Random scripts of actions: after every call the file says what a plain model says, bit by bit.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { cleanBits, dirtyOf, flagsOf, Model, type ModelAction, type ModelBitmap, Refusal } from "./bitmap-model.ts";
import { expectRefused, expectSilent, temporaryDirectory } from "./built.ts";
import { makeRandomImage, nbdinfoMap, type Random, requirePeers, seededRandom } from "./peers.ts";
import { bitmapsOf, type DumpedBitmap, findingsOf, withoutPlace } from "./reading.ts";
import { type Run, runOf } from "./resident.ts";

const SCRIPTS = 100;
const directory = temporaryDirectory();
beforeAll(() => requirePeers("qemu-img", "qemu-io", "qemu-nbd", "nbdinfo"));

function pick<T>(random: Random, values: readonly T[]): T {
  const value = values[random(values.length)];
  if (value === undefined) throw new Error("nothing to pick from");
  return value;
}

const NAMES = ["daily", "week 1", "büro/π", "d", "-x"];

function drawBitmap(random: Random, name: string, size: number): ModelBitmap {
  const granularity = 512 << random(8);
  const bits = cleanBits(size, granularity);
  for (let runs = random(8); runs > 0; runs--) {
    const start = random(bits.length + 1);
    bits.fill(true, start, start + 1 + random(random(2) === 0 ? 3 : bits.length));
  }
  return { name, size, granularity, bits, isEnabled: random(2) === 0, isInUse: random(8) === 0, point: 0 };
}

function drawModel(random: Random, size: number): Model {
  const bitmaps = NAMES.filter(() => random(2) === 0).map((name) =>
    drawBitmap(random, name, random(6) === 0 ? 1 + random(100_000) : size),
  );
  return new Model(bitmaps);
}

function idOf(index: number): string {
  return `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`;
}

/** Makes the file that a model describes, each bitmap with an id. */
async function makeFile(
  path: string,
  { bitmaps }: Model,
  { clusterBits, isDraft, run }: { clusterBits: number; isDraft: boolean; run: Run },
): Promise<void> {
  const form = {
    format: "qdb",
    header: { form: "full", version: 1, cluster_bits: clusterBits, incompatible_features: "0x0000000000000001" },
    bitmaps: bitmaps.map((bitmap, index) => ({
      name: bitmap.name,
      size: `${bitmap.size}`,
      granularity: bitmap.granularity,
      flags: flagsOf(bitmap),
      extra_data: [{ type: "0x00000003", id: idOf(index) }],
      dirty: dirtyOf(bitmap),
    })),
  };
  // Loaded as usable: the form of one whose bits cannot be used has no bits.
  writeFileSync(`${path}.json`, JSON.stringify(form));
  const args = ["load", ...(isDraft ? ["--draft"] : []), `${path}.json`, path];
  expectSilent(args, await run(args));
}

/** What must be the same in both. */
function expected(bitmap: ModelBitmap): object {
  const { name, size, granularity, isInUse } = bitmap;
  const bits = isInUse ? { error: { code: "INCONSISTENT" } } : { dirty: dirtyOf(bitmap) };
  return { name, size: `${size}`, granularity, flags: flagsOf(bitmap), ...bits };
}

function drawRange(random: Random, size: number): string {
  const offset = random(size + 1);
  const length = random(Math.min(size - offset, random(2) === 0 ? 2000 : size) + 1);
  return random(25) === 0 ? `${size}+1` : `${offset}+${length}`;
}

const OPTIONS = [
  "add remove clear enable disable merge merge intersect subtract subtract xor invert mark mark mark unmark unmark mark-all",
  "rename resize resize-clean regranulate freeze release",
].flatMap((line) => line.split(" "));

function drawAction(random: Random, model: Model, target: ModelBitmap | undefined, sources: Model): ModelAction {
  const option = pick(random, target === undefined && random(4) !== 0 ? ["add"] : OPTIONS);
  const size = target?.size ?? 100_000;
  switch (option) {
    case "merge":
    case "intersect":
    case "subtract":
    case "xor": {
      const fitting = sources.bitmaps.filter((source) => source.size === size && !source.isInUse);
      const list = random(8) === 0 || fitting.length === 0 ? sources.bitmaps : fitting;
      return [option, list.length === 0 || random(20) === 0 ? "nothing" : pick(random, list).name];
    }
    case "mark":
    case "unmark":
      return [option, drawRange(random, size)];
    case "rename":
    case "freeze":
      return [option, random(8) === 0 ? pick(random, NAMES) : `${model.bitmaps.length}-${random(1000)}`];
    case "resize":
    case "resize-clean":
      return [option, `${pick(random, [size, random(size + 1), size + random(200_000), 0])}`];
    case "regranulate":
      return [option, `${512 << random(10)}`];
    case "release":
      return [option, pick(random, ["done", "failed"])];
    default:
      return [option];
  }
}

function drawCall(random: Random, model: Model, sources: Model): { name: string; actions: ModelAction[] } {
  // Freezes are rare: where there is one, half of the calls are about it or its successor.
  const frozen = model.bitmaps.flatMap(({ name, successor }) => (successor === undefined ? [] : [name, successor]));
  const names = random(2) === 0 && frozen.length > 0 ? frozen : [...NAMES, ...model.bitmaps.map(({ name }) => name)];
  const name = pick(random, names);
  const actions: ModelAction[] = [];
  let target = model.bitmaps.find((bitmap) => bitmap.name === name);
  for (let count = 1 + random(4); count > 0; count--) {
    const action = drawAction(random, model, target, sources);
    // --new-area goes for every --resize of a call.
    if (action[0].startsWith("resize") && actions.some(([option]) => option.startsWith("resize"))) continue;
    actions.push(action);
    // Sizes change within a script; ranges are drawn for the one that it has then, as far as that is simple.
    if (action[0].startsWith("resize") && target !== undefined) target = { ...target, size: Number(action[1]) };
  }
  return { name, actions };
}

function optionsOf(actions: readonly ModelAction[], added: { size: number; granularity: number }): string[] {
  const options = actions.flatMap(([option, value]) => {
    if (option === "resize-clean") return ["--new-area=clean", `--resize=${value}`];
    return [value === undefined ? `--${option}` : `--${option}=${value}`];
  });
  if (actions.some(([option]) => option === "add"))
    options.push("-g", `${added.granularity}`, "--size", `${added.size}`);
  return options;
}

/** A file whose bitmaps are sources: QDB, or an image of QEMU's whose bits nbdinfo tells. */
async function makeSources(
  random: Random,
  folder: string,
  size: number,
  run: Run,
): Promise<{ path: string; model: Model }> {
  if (random(2) === 0 || size % 512 !== 0) {
    const path = join(folder, "sources.qdb");
    const model = drawModel(random, size);
    for (const bitmap of model.bitmaps) bitmap.isInUse = false;
    await makeFile(path, model, { clusterBits: 12, isDraft: random(4) === 0, run });
    return { path, model };
  }
  const image = makeRandomImage(folder, random, { size });
  const bitmaps = image.bitmaps.map(({ name, granularity, enabled }) => {
    const bits = cleanBits(size, granularity);
    for (const { offset, length, type } of nbdinfoMap(image.path, name)) {
      if (type === 1) bits.fill(true, Math.floor(offset / granularity), Math.ceil((offset + length) / granularity));
    }
    return { name, size, granularity, bits, isEnabled: enabled, isInUse: false, point: 0 };
  });
  return { path: image.path, model: new Model(bitmaps) };
}

/** Actions that were done, and codes of refusals. */
const done = new Set<string>();
const refused = new Set<string>();

/** Makes one call, which the model either does too, or refuses with the same code; gives what the file says then. */
async function call(
  random: Random,
  path: string,
  model: Model,
  old: readonly DumpedBitmap[],
  { other, run }: { other: { path: string; model: Model } | undefined; run: Run },
): Promise<DumpedBitmap[]> {
  const sources = other !== undefined && random(2) === 0 ? other : undefined;
  const { name, actions } = drawCall(random, model, sources?.model ?? model);
  const added = { size: model.bitmaps[0]?.size ?? 70_000, granularity: 512 << random(8) };
  const bytes = readFileSync(path);
  const entries = new Map(old.map((entry) => [entry.name, entry]));
  const points = new Map(model.bitmaps.map((bitmap) => [bitmap.name, bitmap.point]));
  const usesSources = actions.some(([option]) => ["merge", "intersect", "subtract", "xor"].includes(option));
  const args = [
    "bitmap",
    ...optionsOf(actions, added),
    ...(sources !== undefined && usesSources ? ["-b", sources.path] : []),
    "--",
    path,
    name,
  ];
  try {
    model.run(name, actions, added, sources?.model);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    expectRefused(error.code, args, await run(args));
    expect(readFileSync(path).equals(bytes)).toBe(true);
    refused.add(error.code);
    return [...old];
  }
  expect(expectSilent(args, await run(args))).toBe("");
  const now = await bitmapsOf(path);
  expect(now).toMatchObject(model.bitmaps.map(expected));
  for (const [option] of actions) done.add(option);
  for (const bitmap of model.bitmaps) {
    const before = entries.get(bitmap.name);
    const entry = now.find((candidate) => candidate.name === bitmap.name);
    const isTouched = bitmap.name === name || actions.some(([, value]) => value === bitmap.name);
    const isRelated =
      [name, ...actions.map(([, value]) => value)].includes(bitmap.successor) ||
      actions.some(([option]) => option === "release");
    if (!isTouched && !isRelated) expect(withoutPlace(entry)).toEqual(withoutPlace(before));
    if (
      before === undefined ||
      entry === undefined ||
      !points.has(bitmap.name) ||
      isRelated ||
      actions.some(([option]) => option === "add")
    )
      continue;
    // Where dirt can have gone it is another point, whose parent is an older one; where not, it is the same.
    const id = (of: DumpedBitmap): string | undefined => of.extra_data.find(({ type }) => type === "0x00000003")?.id;
    expect(id(entry) === id(before)).toBe(points.get(bitmap.name) === bitmap.point);
  }
  return now;
}

test.each(Array.from({ length: SCRIPTS }, (_, seed) => seed))("script %i", async (seed) => {
  const folder = join(directory, `script-${seed}`);
  mkdirSync(folder);
  const random = seededRandom(seed);
  const path = join(folder, "file.qdb");
  const size = pick(random, [512 * (1 + random(2000)), 1 + random(3_000_000), 2 ** 24, 65536 * (1 + random(20))]);
  const model = drawModel(random, size);
  const run = runOf(seed);
  await makeFile(path, model, {
    clusterBits: pick(random, [9, 9, 12, 12, 12, 16]),
    isDraft: random(10) === 0 && model.bitmaps.every(({ isInUse }) => !isInUse),
    run,
  });
  let now = await bitmapsOf(path);
  expect(now).toMatchObject(model.bitmaps.map(expected));
  const other = random(3) === 0 ? await makeSources(random, folder, size, run) : undefined;
  for (let calls = 0; calls < 5; calls++) now = await call(random, path, model, now, { other, run });
  expect(JSON.parse((await run(["dump", path])).stdout.toString("utf8")).bitmaps).toEqual(now);
  expect((await findingsOf(path)).filter((code) => code !== "INCONSISTENT" && code !== "UNPROTECTED")).toEqual([]);
});

test("every action was done, and every kind of refusal was seen", () => {
  expect([...done].sort()).toEqual([...new Set(OPTIONS)].sort());
  expect([...refused].sort()).toEqual(["ALREADY_EXISTS", "INCONSISTENT", "NOT_FOUND", "SIZE_MISMATCH", "USAGE"]);
});
