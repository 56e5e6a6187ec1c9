// Bundles the command and copies the corpus and the schemas beside it. This is the only place where the package reads
// files outside its folder.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = fileURLToPath(new URL("./", import.meta.url));
const corpus = fileURLToPath(new URL("../../conformance/", import.meta.url));
const schemas = fileURLToPath(new URL("../../spec/schema/", import.meta.url));

const folders = JSON.parse(readFileSync(`${here}src/corpus/corpus-folders.json`, "utf8"));

rmSync(`${here}dist`, { recursive: true, force: true });
await build({
  entryPoints: [`${here}src/main.ts`],
  outfile: `${here}dist/conformance.cjs`,
  bundle: true,
  platform: "node",
  target: "node20.15",
  format: "cjs",
  minifyWhitespace: true,
  minifySyntax: true,
  logLevel: "warning",
});
mkdirSync(`${here}dist/corpus`);
for (const name of ["manifest.json", "LICENSES", "IMPLEMENTERS.md", ...folders]) {
  // Git keeps no empty folder: one without files is missing in a clone.
  if (folders.includes(name) && !existsSync(`${corpus}${name}`)) continue;
  cpSync(`${corpus}${name}`, `${here}dist/corpus/${name}`, { recursive: true });
}
mkdirSync(`${here}dist/schema`);
for (const name of readdirSync(schemas)) {
  if (name.endsWith(".schema.json")) cpSync(`${schemas}${name}`, `${here}dist/schema/${name}`);
}
