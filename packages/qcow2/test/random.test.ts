import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { dirtyRanges, makeRandomImage, nbdinfoMap, requirePeers, seededRandom } from "../../cli/test/peers.ts";
import { readAll } from "./reading.ts";

let directory: string;
beforeAll(() => {
  requirePeers("qemu-img", "qemu-io", "qemu-nbd", "nbdinfo");
  directory = mkdtempSync(join(tmpdir(), "qdb-qcow2-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test.each(Array.from({ length: 30 }, (_, seed) => seed))("random image %i reads as QEMU reads it", (seed) => {
  const image = makeRandomImage(directory, seededRandom(seed), { name: `${seed}.qcow2` });
  const file = readFileSync(image.path);

  const { index, dirty, bytesRead } = readAll(file);

  expect(index).toMatchObject({
    version: 3,
    clusterSize: image.clusterSize,
    virtualSize: BigInt(image.size),
    bitmapsConsistent: true,
  });
  expect(index.bitmaps.map(({ name, granularity, enabled }) => ({ name, granularity, enabled }))).toEqual(
    image.bitmaps,
  );
  for (const { name } of image.bitmaps)
    expect(dirty.get(name), name).toEqual(dirtyRanges(nbdinfoMap(image.path, name)));
  expect(bytesRead).toBeLessThanOrEqual(file.length + 65536);
});
