// Bundles the two adapters of the TypeScript packages.
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const adapters = fileURLToPath(new URL("./adapters/ts/", import.meta.url));

await build({
  entryPoints: ["io-node", "format"].map((name) => `${adapters}${name}.ts`),
  outdir: `${adapters}build`,
  outExtension: { ".js": ".cjs" },
  bundle: true,
  platform: "node",
  target: "node20.15",
  format: "cjs",
  minifyWhitespace: true,
  minifySyntax: true,
  logLevel: "warning",
  // The adapters compare no long images, for which io-node starts threads from a file beside its own.
  logOverride: { "empty-import-meta": "silent" },
});
