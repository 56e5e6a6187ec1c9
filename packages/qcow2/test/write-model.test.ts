// Operations that qemu-img does not have, and QEMU writing in between: after each commit QEMU's digests are those of a plain model.
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Bitmap, type QdbEdit } from "@qdb/format";
import { editQcow2 } from "@qdb/qcow2";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Random, requirePeers, runPeer, seededRandom } from "../../cli/test/peers.ts";
import { fileStore } from "./file-store.ts";
import { pick } from "./operation-scripts.ts";
import { checkImage, listBitmaps, qemuDigests } from "./qemu-digest.ts";

const SCRIPTS = process.env.QDB_SOAK === "1" ? 60 : 8;
/** Rounds of each script: a commit of ours, and writes by QEMU. */
const ROUNDS = 20;

let directory: string;
beforeAll(() => {
  requirePeers("qemu-img", "qemu-io", "qemu-storage-daemon");
  directory = mkdtempSync(join(tmpdir(), "qdb-model-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** A bitmap as a set of dirty bits. */
interface Model {
  readonly granularity: number;
  readonly dirty: Set<number>;
  enabled: boolean;
}

function digestOf({ granularity, dirty }: Model, size: number): string {
  const bytes = new Uint8Array(Math.ceil(Math.ceil(size / granularity) / 64) * 8);
  for (const bit of dirty) bytes[bit >> 3] = (bytes[bit >> 3] as number) | (1 << (bit & 7));
  return createHash("sha256").update(bytes).digest("hex");
}

/** Makes the bits dirty that a range touches. */
function touch({ granularity, dirty }: Model, offset: number, length: number): void {
  for (let bit = Math.floor(offset / granularity); bit * granularity < offset + length; bit++) dirty.add(bit);
}

/** Does a random action on the image and on the model. */
function act(edit: QdbEdit, models: Map<string, Model>, size: number, random: Random): void {
  const name = pick(random, ["a", "b", "c"]);
  const model = models.get(name);
  if (model === undefined) {
    const granularity = 2 ** (9 + random(5));
    models.set(name, { granularity, dirty: new Set(), enabled: true });
    edit.add({ name, size, granularity });
    return;
  }
  const bitmap = edit.bitmap(name);
  const offset = random(size);
  const length = 1 + random(Math.min(size - offset, 2 ** (8 + random(16))));
  switch (
    pick(random, ["mark", "mark", "unmark", "invert", "rename", "replace", "markAll", "merge", "disable"] as const)
  ) {
    case "mark":
      touch(model, offset, length);
      bitmap.mark({ offset, length });
      return;
    case "unmark":
      // Only granules that the range covers whole become clean.
      for (const bit of model.dirty) {
        const end = Math.min((bit + 1) * model.granularity, size);
        if (bit * model.granularity >= offset && end <= offset + length) model.dirty.delete(bit);
      }
      bitmap.unmark({ offset, length });
      return;
    case "invert": {
      const bits = Array.from({ length: Math.ceil(size / model.granularity) }, (_, bit) => bit);
      const clean = bits.filter((bit) => !model.dirty.has(bit));
      model.dirty.clear();
      for (const bit of clean) model.dirty.add(bit);
      bitmap.invert();
      return;
    }
    case "rename": {
      const next = `${name}-renamed`;
      if (models.has(next)) return;
      models.delete(name);
      models.set(next, model);
      bitmap.rename(next);
      return;
    }
    case "replace": {
      const bits = Bitmap.clean({ size, granularity: 4096 });
      const replaced: Model = { granularity: 4096, dirty: new Set(), enabled: false };
      bits.mark({ offset, length });
      touch(replaced, offset, length);
      models.set(name, replaced);
      bitmap.replace({ bits, enabled: false });
      return;
    }
    case "markAll":
      touch(model, 0, size);
      bitmap.markAll();
      return;
    case "merge": {
      const [other, source] = pick(random, [...models]);
      if (other === name) return;
      for (const bit of source.dirty) {
        const from = bit * source.granularity;
        touch(model, from, Math.min(source.granularity, size - from));
      }
      bitmap.merge(other);
      return;
    }
    case "disable":
      model.enabled = false;
      bitmap.disable();
      return;
  }
}

test.each(Array.from({ length: SCRIPTS }, (_, seed) => seed))("script %i: QEMU and we write in turn", async (seed) => {
  const random = seededRandom(9000 + seed);
  const path = join(directory, `${seed}.qcow2`);
  const size = (1 + random(4000)) * 512;
  const cluster = pick(random, [512, 1024, 4096, 65536]);
  runPeer("qemu-img", ["create", "-q", "-f", "qcow2", "-o", `cluster_size=${cluster}`, path, `${size}`]);
  const models = new Map<string, Model>();
  for (let round = 0; round < ROUNDS; round++) {
    await editQcow2(fileStore(path), (edit) => {
      for (let count = 1 + random(4); count > 0; count--) act(edit, models, size, random);
    });
    const offset = random(size / 512) * 512;
    const length = Math.min(size - offset, 512 * (1 + random(40)));
    runPeer("qemu-io", ["-f", "qcow2", "-c", `write -P ${1 + random(255)} ${offset} ${length}`, path]);
    for (const model of models.values()) if (model.enabled) touch(model, offset, length);
    const what = `cluster size ${cluster}, disk ${size}, round ${round}`;
    expect(checkImage(path), what).toMatchObject({ code: 0 });
    const names = [...models.keys()].sort();
    const listed = listBitmaps(path).map(({ name, granularity, flags }) => [name, granularity, flags.includes("auto")]);
    expect(listed, what).toEqual(names.map((name) => [name, models.get(name)?.granularity, models.get(name)?.enabled]));
    const digests = names.map((name) => digestOf(models.get(name) as Model, size));
    expect(qemuDigests(path, names), what).toEqual(digests);
  }
});
