// The bitmaps of a qcow2 image in a page: what QEMU says is dirty in them (nbdinfo wrote the expected maps).
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Pages, startPages } from "./support/page.ts";

const fixtures = fileURLToPath(new URL("../../../conformance/fixtures/qcow2/", import.meta.url));

let pages: Pages;
beforeAll(async () => {
  pages = await startPages();
});
afterAll(() => pages?.close());

function dirtyOf(name: string): [string, string][] {
  const map = JSON.parse(readFileSync(`${fixtures}${name}.map.json`, "utf8")) as Record<string, number>[];
  return map.filter(({ type }) => type === 1).map(({ offset, length }) => [String(offset), String(length)]);
}

test.each(["an address", "a Blob"])("is read from %s", async (kind) => {
  const page = await pages.open();
  const url = pages.serve(`${fixtures}bitmaps.qcow2`);
  const found = await page.evaluate(
    async ({ url, isBlob }) => {
      const place = isBlob ? await (await fetch(`${url}?whole`)).blob() : url;
      const file = await qdb.Qcow2File.open(await qdb.openSource(place));
      const bitmaps = await file.run(function* (index) {
        const result: [string, [string, string][]][] = [];
        for (const bitmap of index.bitmaps) {
          const bits = yield* qdb.bitmapPlan(bitmap.map());
          const extents = [...bits.extents()].map(({ offset, length }) => [String(offset), String(length)]);
          result.push([bitmap.label, extents as [string, string][]]);
        }
        return result;
      });
      await file.close();
      return bitmaps;
    },
    { url, isBlob: kind === "a Blob" },
  );
  const expected = ["daily", "weekly", "empty"].map((name) => [name, dirtyOf(name)] as const);
  expect(Object.fromEntries(found)).toEqual(Object.fromEntries(expected));
  await page.close();
});
