import { gzipSync } from "node:zlib";
import { build } from "esbuild";

/** Returns how many bytes a module takes minified and compressed, with what it imports of the built packages from the folder `resolveDir`. */
export async function bundleSize(contents: string, resolveDir: string): Promise<number> {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir },
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    write: false,
  });
  return outputFiles.reduce((sum, { contents: bytes }) => sum + gzipSync(bytes, { level: 9 }).length, 0);
}
