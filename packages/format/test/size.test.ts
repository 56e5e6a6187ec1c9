// What a program carries that reads the dirty extents of one bitmap, minified and compressed, kernels included.
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { bundleSize } from "./support/bundle-size.ts";

const resolveDir = fileURLToPath(new URL("..", import.meta.url));

/** The extents of a bitmap from bytes in memory, by the parts of the library. */
const BY_PARTS = `
import { bytesSource } from "@qdb/format";
import { extentsPlan, findBitmap, readIndex, readMap, streamSync } from "@qdb/format/container";
function* plan(size, name) {
  const index = yield* readIndex(size);
  yield* extentsPlan(yield* readMap(index, findBitmap(index, name)));
}
export function* extents(bytes, name) {
  for (const batch of streamSync(plan(bytes.length, name), bytesSource(bytes))) yield* batch.rangesBig();
}`;

test.each([
  ["by the parts of the library", BY_PARTS, 19],
  ["by QdbFile, from a file to which a writer may commit", 'export { QdbFile } from "@qdb/format";', 22.75],
])("%s: the extents of one bitmap take no more than allowed", async (_, program, kib) => {
  expect(await bundleSize(program, resolveDir)).toBeLessThanOrEqual(kib * 1024);
});
