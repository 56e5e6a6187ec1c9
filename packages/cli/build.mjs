// Builds the command: `qdb.cjs`, which runs first, one file for each command, and `cli.cjs` for calls without a command.
import { readdirSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = fileURLToPath(new URL("./", import.meta.url));

/** Modules of Node that many calls do not need, and that take longer to load than such a call runs. */
const LAZY = ["node:child_process", "node:crypto", "node:os", "node:worker_threads", "node:zlib"];

/** Loads each module of {@link LAZY} when something of it is used first. */
const lazyModules = {
  name: "lazy-modules",
  setup({ onLoad, onResolve }) {
    onResolve({ filter: new RegExp(`^(${LAZY.join("|")})$`) }, ({ path, namespace }) =>
      namespace === "lazy" ? { path, external: true } : { path, namespace: "lazy" },
    );
    // esbuild copies the names of a module, but leaves what it inherits: names are looked up, and the module is loaded, when they are used.
    onLoad({ filter: /.*/, namespace: "lazy" }, ({ path }) => ({
      contents: `let loaded; const get = (_, name) => (loaded ??= require("${path}"))[name];
module.exports = Object.create(new Proxy({}, { get }));`,
    }));
  },
};

/** Leaves out of the commands what most calls do not need: the library for progress bars, repairs, and what reads and changes qcow2 images. `folder` leads from the file that is built to `dist`. */
const rareParts = (folder) => ({
  name: "rare-parts",
  setup({ onResolve }) {
    onResolve(
      { filter: /^cli-progress$|\/(repair|image|edit-image|export-image|collect-shell)-file\.ts$/ },
      ({ kind, path }) => {
        const file = path === "cli-progress" ? "progress-bars" : path.replace(/^.*\/|\.ts$/g, "");
        return kind === "dynamic-import" ? { path: `${folder}/${file}.cjs`, external: true } : undefined;
      },
    );
  },
});

/** Leaves the commands out of `cli.cjs`, which loads their files for their help. */
const commandFiles = {
  name: "command-files",
  setup({ onResolve }) {
    onResolve({ filter: /^\.\/[a-z]+\.ts$/ }, ({ importer, kind, path }) =>
      kind === "dynamic-import" && importer.endsWith("commands/index.ts")
        ? { path: `./commands/${path.slice(2, -3)}.cjs`, external: true }
        : undefined,
    );
  },
};

/** Starts the threads of a comparison from the file that is built for them: there is no `import.meta.url` in a bundle of CommonJS. */
const compareThreads = {
  name: "compare-threads",
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]disk[\\/]compare-thread\.js$/ }, async ({ path }) => {
      const url = 'new URL("./compare-worker.js", import.meta.url)';
      const built = 'require("node:path").join(__dirname, "../compare-worker.cjs")';
      const source = await readFile(path, "utf8");
      if (!source.includes(url)) throw new Error(`${path} starts no thread`);
      return { contents: source.replace(url, built) };
    });
  },
};

/** Has koffi, which is no part of the command, looked for where the command is installed. */
const koffiOutside = {
  name: "koffi-outside",
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]system[\\/]load-koffi\.js$/ }, async ({ path }) => {
      const created = 'createRequire(import.meta.url)("koffi")';
      const source = await readFile(path, "utf8");
      if (!source.includes(created)) throw new Error(`${path} loads no koffi`);
      return { contents: source.replace(created, 'require("koffi")') };
    });
  },
};

/** The clock that needs no module: `performance` is one, which takes longer to load than to be asked in a short call. */
const CLOCK = `"use strict"; const performance = { now() { const [s, ns] = process.hrtime(); return s * 1e3 + ns / 1e6; } };`;

const optionsOf = (folder) => ({
  bundle: true,
  platform: "node",
  target: "node20.15",
  format: "cjs",
  minify: true,
  // With the short names a command is compiled in a tenth less time. `NODE_OPTIONS=--enable-source-maps` gives stacks their names back.
  sourcemap: "linked",
  sourcesContent: false,
  logLevel: "warning",
  banner: { js: CLOCK },
  external: ["koffi"],
  plugins: [lazyModules, rareParts(folder), commandFiles, compareThreads, koffiOutside],
  // The files of the commands are loaded by `require`: `import()` loads the loader of ES modules first.
  supported: { "dynamic-import": false },
});
const options = optionsOf(".");

rmSync(`${here}dist`, { recursive: true, force: true });
for (const [entry, file] of [
  ["main", "qdb"],
  ["cli", "cli"],
  ["info/repair-file", "repair-file"],
  ["files/image-file", "image-file"],
  ["bitmap/edit-image-file", "edit-image-file"],
  ["export/export-image-file", "export-image-file"],
  ["import/collect-shell-file", "collect-shell-file"],
])
  await build({ ...options, entryPoints: [`${here}src/${entry}.ts`], outfile: `${here}dist/${file}.cjs` });
const bars = {
  contents: 'module.exports = require("cli-progress");',
  resolveDir: here,
  sourcefile: "progress-bars.js",
};
await build({ ...options, stdin: bars, outfile: `${here}dist/progress-bars.cjs` });
const worker = fileURLToPath(new URL("./disk/compare-worker.js", import.meta.resolve("@qdb/io-node")));
await build({ ...options, entryPoints: [worker], outfile: `${here}dist/compare-worker.cjs` });
for (const file of readdirSync(`${here}src/commands`)) {
  if (file === "index.ts") continue;
  const contents = `import { command } from "./commands/${file}";
import { run } from "./run-command.ts";
export { command };
export const main = ([, ...args]) => run(command, args);`;
  const stdin = { contents, loader: "ts", resolveDir: `${here}src`, sourcefile: "command.ts" };
  await build({ ...optionsOf(".."), stdin, outfile: `${here}dist/commands/${file.replace(/\.ts$/, ".cjs")}` });
}
