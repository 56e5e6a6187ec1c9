// What a page downloads that reads QDB files.
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { expect, test } from "vitest";

const packages = fileURLToPath(new URL("../..", import.meta.url));

/** Bytes of a minified module that exports names of the built packages, compressed. */
async function sizeOf(contents: string): Promise<number> {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: `${packages}io-web` },
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    write: false,
  });
  return outputFiles.reduce((sum, { contents: bytes }) => sum + gzipSync(bytes, { level: 9 }).length, 0);
}

test("opening and reading a file takes at most 26 KiB, of which io-web has 5", async () => {
  const all = await sizeOf('export { openQdb } from "@qdb/io-web";');
  const format = await sizeOf('export { QdbFile } from "@qdb/format";');
  console.log(`openQdb ${all} bytes, of which @qdb/format has ${format} (minified, gzip)`);
  expect(all).toBeLessThanOrEqual(26 * 1024);
  expect(all - format).toBeLessThanOrEqual(5 * 1024);
});
