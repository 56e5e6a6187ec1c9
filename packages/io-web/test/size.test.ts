// What a page downloads that reads QDB files.
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { bundleSize } from "../../format/test/support/bundle-size.ts";

const resolveDir = fileURLToPath(new URL("..", import.meta.url));

test("opening and reading a file takes at most 27 KiB, of which io-web has 5", async () => {
  const all = await bundleSize('export { openQdb } from "@qdb/io-web";', resolveDir);
  const format = await bundleSize('export { QdbFile } from "@qdb/format";', resolveDir);
  console.log(`openQdb ${all} bytes, of which @qdb/format has ${format} (minified, gzip)`);
  expect(all).toBeLessThanOrEqual(27 * 1024);
  expect(all - format).toBeLessThanOrEqual(5 * 1024);
});
