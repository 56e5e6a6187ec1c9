// Makes the command and its copy of the corpus, and the two adapters of the TypeScript packages.
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = fileURLToPath(new URL("./", import.meta.url));
const conformance = fileURLToPath(new URL("../../conformance/", import.meta.url));
const schemas = fileURLToPath(new URL("../../spec/schema/", import.meta.url));

/** What the package holds of the corpus; a folder that is empty does not exist in a clone. */
const CORPUS = ["manifest.json", "vectors", "models", "ops", "json", "logs", "LICENSES", "IMPLEMENTERS.md"];

const shared = {
  bundle: true,
  platform: "node",
  target: "node20.15",
  format: "cjs",
  minifyWhitespace: true,
  minifySyntax: true,
  logLevel: "warning",
};

rmSync(`${here}dist`, { recursive: true, force: true });
await build({ ...shared, entryPoints: [`${here}src/main.ts`], outfile: `${here}dist/conformance.cjs` });
mkdirSync(`${here}dist/corpus`);
for (const name of CORPUS) {
  if (existsSync(`${conformance}${name}`))
    cpSync(`${conformance}${name}`, `${here}dist/corpus/${name}`, { recursive: true });
}
mkdirSync(`${here}dist/schema`);
for (const name of readdirSync(schemas)) {
  if (name.endsWith(".schema.json")) cpSync(`${schemas}${name}`, `${here}dist/schema/${name}`);
}
await build({
  ...shared,
  entryPoints: ["io-node", "format"].map((name) => `${conformance}adapters/ts/${name}.ts`),
  outdir: `${conformance}adapters/ts/build`,
  outExtension: { ".js": ".cjs" },
  // The adapters stand outside every package; their packages are found here.
  nodePaths: [`${here}node_modules`],
});
