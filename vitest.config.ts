import { spawnSync } from "node:child_process";
import { delimiter, dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { playwright } from "@vitest/browser-playwright";
import { defineConfig } from "vitest/config";
import { CHROMIUM } from "./packages/io-web/test/support/chromium.ts";

// Node reads this file of certificates at every start, which takes longer than most runs of the command that tests make
// by the thousand; nothing here speaks TLS.
delete process.env.NODE_EXTRA_CA_CERTS;

// Where `python3` is a script that looks for the Python to run, that takes longer than Python's own start.
const python = spawnSync("python3", ["-c", "import sys; print(sys.executable)"], { encoding: "utf8" }).stdout?.trim();
const searched = (process.env.PATH ?? "").split(delimiter);
if (python && !searched.includes(dirname(python))) process.env.PATH = [dirname(python), ...searched].join(delimiter);

const source = (name: string) => fileURLToPath(new URL(`packages/${name}/src/index.ts`, import.meta.url));
const built = (name: string) => source(name).replace("/src/index.ts", "/dist/index.js");
/** Tests that only `pnpm soak` runs. */
const soakOnly = ["firefox", "large-blob"].map((name) => `packages/io-web/test/${name}.test.ts`);
const exclude = process.env.QDB_SOAK === "1" ? [] : soakOnly;
const project = (name: string, include: string[]) => ({ extends: true as const, test: { name, include, exclude } });

export default defineConfig({
  resolve: {
    // Tests read the sources and need no build; only the tests of the command run what was built.
    // `@qdb/format/field-tables` is found through the package's exports.
    alias: [
      ...["format", "io-node", "io-web", "qcow2"].map((name) => {
        return { find: new RegExp(`^@qdb/${name}$`), replacement: source(name) };
      }),
      ...["container", "internal", "picture"].map((name) => {
        return { find: `@qdb/format/${name}`, replacement: source("format").replace("index.ts", `${name}.ts`) };
      }),
      { find: "@qdb/io-node/container", replacement: source("io-node").replace("index.ts", "container.ts") },
    ],
  },
  test: {
    env: { QDB_NODE: process.env.QDB_NODE ?? process.execPath },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // One more than the processors that any machine has: most tests wait for programs and for the disk.
    maxWorkers: 3,
    projects: [
      ...["format", "io-node", "io-web", "qcow2", "cli", "conformance"].map((name) =>
        project(name, [`packages/${name}/test/**/*.test.ts`]),
      ),
      {
        // The built packages, in a page of a real browser.
        resolve: {
          alias: [
            ...["format", "io-web"].map((name) => ({ find: new RegExp(`^@qdb/${name}$`), replacement: built(name) })),
            ...["container", "internal"].map((name) => {
              return { find: `@qdb/format/${name}`, replacement: built("format").replace("index.js", `${name}.js`) };
            }),
          ],
        },
        test: {
          name: "browser",
          include: ["packages/io-web/browser/**/*.test.ts"],
          globalSetup: "packages/io-web/test/support/serve-browser.ts",
          testTimeout: 60_000,
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            provider: playwright({ launchOptions: CHROMIUM }),
            instances: [{ browser: "chromium" }],
          },
        },
      },
      project("conformance-authoring", ["conformance/test/**/*.test.ts"]),
      project("bench", ["bench/test/**/*.test.ts"]),
      project("repository", ["scripts/**/*.test.ts"]),
    ],
  },
});
