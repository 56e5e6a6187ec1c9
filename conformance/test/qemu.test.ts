// QEMU performs the operations of some vectors; its digest of each bitmap must be that of the expected extents.
import { expect, test } from "vitest";
import { digestOfExtents, replay } from "../tools/qemu.ts";
import { loadSources, type Source } from "../tools/sources.ts";

const LEAST = 15;
const vectors: Source[] = [...loadSources().values()].filter(({ qemu }) => qemu === true);

test(`QEMU judges at least ${LEAST} vectors`, () => {
  expect(vectors.length).toBeGreaterThanOrEqual(LEAST);
});

test.each(vectors)("$id: $title", async ({ ops = [], expect: { bitmaps = {} } }) => {
  const said = await replay(ops);
  expect([...said.keys()].sort()).toEqual(Object.keys(bitmaps).sort());
  for (const [name, { size, granularity, digest }] of said) {
    const dirty = bitmaps[name];
    if (dirty === undefined || typeof dirty === "string") throw new Error(`${name} has no extents to compare with`);
    expect(digestOfExtents(dirty, size, granularity), name).toBe(digest);
  }
});
