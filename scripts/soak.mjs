// `pnpm soak [NAME...]`: tests at full length, of which `npm test` runs a part with fixed seeds. Without a name, all of them.
// Set up first: `npm start` or `pnpm build`.
import { bringPeers } from "./peers.mjs";
import { environment, fail, heading, run } from "./setup.mjs";

/** The test files of each run. With QDB_SOAK=1 they do everything, and print figures. */
const runs = {
  crash: ["packages/format/test/crash-scripts.test.ts"],
  browser: [
    "packages/io-web/test/tabs.test.ts",
    "packages/io-web/test/read-profile.test.ts",
    "packages/io-web/test/firefox.test.ts",
  ],
  memory: [
    "packages/format/test/dropped.test.ts",
    "packages/format/test/hostile.test.ts",
    "packages/cli/test/hostile-memory.test.ts",
  ],
  blob: ["packages/io-web/test/large-blob.test.ts"],
  qcow2: [
    "packages/qcow2/test/overlap.test.ts",
    "packages/qcow2/test/hostile.test.ts",
    "packages/qcow2/test/write-qemu.test.ts",
    "packages/qcow2/test/write-model.test.ts",
    "packages/qcow2/test/write-crash.test.ts",
    "packages/qcow2/test/write-hostile.test.ts",
    "packages/cli/test/shell.test.ts",
  ],
  faults: [
    "packages/cli/test/faults.test.ts",
    "packages/cli/test/read-faults.test.ts",
    "packages/cli/test/full-disk.test.ts",
  ],
};

const names = process.argv.slice(2);
const unknown = names.find((name) => !Object.hasOwn(runs, name));
if (unknown !== undefined) fail(`There is no run ${unknown}; there are: ${Object.keys(runs).join(", ")}`);

bringPeers();
const env = { ...environment, QDB_SOAK: "1" };
let status = 0;
for (const name of names.length === 0 ? Object.keys(runs) : names) {
  heading(`Soak: ${name}`);
  status ||= run("pnpm", ["exec", "vitest", "run", "--reporter=verbose", ...runs[name]], { env });
}
process.exitCode = status;
