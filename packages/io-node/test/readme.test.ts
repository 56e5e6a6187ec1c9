// The examples of the READMEs, run as they stand there, in order, from the packed packages on each runtime that they are for.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createQdb, editQdb } from "../src/index.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "qdb-readme-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const NODE = process.env.QDB_NODE ?? process.execPath;
const TYPESCRIPT = ["typescript-5.4", "typescript-5.9", "typescript"];

/** Compilers and runtimes are started, on a machine that may be busy with other tests. */
const TIMEOUT_MS = 240_000;

/** A README with examples: the files that they begin with, and what they print. */
interface Readme {
  readonly path: string;
  prepare(directory: string): Promise<void>;
  readonly printed: readonly string[];
}

const READING = ["2162688 of 107374182400 bytes changed", "0 65536", "3221225472 2097152"];

const READMES: readonly Readme[] = [
  {
    path: "README.md",
    async prepare(directory) {
      const path = join(directory, "vm.qdb");
      await createQdb(path, { bitmaps: [{ name: "daily", size: 100n * 2n ** 30n }] });
      await editQdb(path, (edit) => {
        edit.bitmap("daily").mark({ offset: 0, length: 4096 });
        edit.bitmap("daily").mark({ offset: 3 * 2 ** 30, length: 2 * 2 ** 20 });
      });
    },
    printed: [...READING, ...READING, "65536 bytes are dirty"],
  },
  {
    path: "packages/format/README.md",
    async prepare(directory) {
      writeFileSync(
        join(directory, "nbdinfo.json"),
        `[
{ "offset": 0, "length": 65536, "type": 1, "description": "dirty"},
{ "offset": 65536, "length": 131072, "type": 0, "description": "clean"},
{ "offset": 196608, "length": 65536, "type": 1, "description": "dirty"}
]
`,
      );
      writeFileSync(
        join(directory, "qemu-img.json"),
        `[{ "start": 0, "length": 65536, "depth": 0, "present": true, "zero": false, "data": true, "offset": 327680},
{ "start": 65536, "length": 65536, "depth": 0, "present": true, "zero": true, "data": false},
{ "start": 131072, "length": 917504, "depth": 1, "present": false, "zero": true, "data": false}]
`,
      );
    },
    printed: [
      "65536 65536",
      "65536n",
      "262144n",
      "0 65536",
      "196608 65536",
      "131072 and 65536 bytes, 65536 of zeros left out",
      "object [0], line 1",
      "65536 131072",
      "983040 65536",
      "[",
      '{ "offset": 0, "length": 65536, "type": 0, "description": "clean"},',
      '{ "offset": 65536, "length": 65536, "type": 1, "description": "dirty"},',
      '{ "offset": 131072, "length": 917504, "type": 0, "description": "clean"}',
      "]",
      '{"extents":[{"offset":"0","length":"65536"},{"offset":"1073741824","length":"65536"}],"next":"1073807360"}',
      '{"extents":[{"offset":"1071594340352","length":"65536"},{"offset":"1072668082176","length":"65536"}],"next":null}',
      "1 MiB of 1 GiB dirty (0.0977 %), a cell is 128 KiB <svg",
      "5805696 bytes in the chunks 1 and 2",
    ],
  },
  {
    path: "packages/io-node/README.md",
    async prepare(directory) {
      for (const name of ["vm.raw", "copy.raw"]) writeFileSync(join(directory, name), Buffer.alloc(2 ** 20, name));
    },
    printed: [
      "2162688 bytes are dirty",
      ...READING,
      ...READING,
      ...READING.slice(1),
      ...READING.slice(1),
      "2 extents of 2162688 bytes",
      "2 extents of 2162688 bytes",
      "65536 bytes copied",
      "0 bytes copied",
      "all done, 262144 bytes copied",
      "no bitmap hourly: nothing was changed",
    ],
  },
];

/** The examples of a README in order: file name and text of each. */
function examplesOf({ path }: Readme): [name: string, text: string][] {
  const text = readFileSync(join(root, path), "utf8");
  return [...text.matchAll(/^```(ts|js)\n(.*?)^```$/gms)].map(([, language, code = ""], index) => [
    `example-${String(index + 1).padStart(2, "0")}.${language}`,
    code,
  ]);
}

function run(command: readonly [string, ...string[]], cwd: string): string {
  const [program, ...args] = command;
  const env = { ...process.env, DENO_DIR: join(folder, "deno"), DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" };
  const { error, status, stdout, stderr } = spawnSync(program, args, { cwd, env, encoding: "utf8" });
  if (error) throw new Error(`${program} is missing: npm test brings it into .tools/bin`, { cause: error });
  expect({ status, stderr, ...(status === 0 ? {} : { stdout }) }).toEqual({ status: 0, stderr: "" });
  return stdout;
}

const place = (index: number): string => `readme-${index}`;

beforeAll(async () => {
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
  for (const name of ["format", "io-node"]) {
    const own = join(root, "packages", name);
    run(["pnpm", "pack", "--pack-destination", folder], own);
    const [archive = ""] = readdirSync(folder).filter((file) => file.startsWith(`qdb-${name}-`));
    const target = join(folder, "node_modules/@qdb", name);
    mkdirSync(target, { recursive: true });
    run(["tar", "-xzf", join(folder, archive), "-C", target, "--strip-components=1"], folder);
  }
  mkdirSync(join(folder, "node_modules/@types"));
  symlinkSync(join(root, "node_modules/@types/node"), join(folder, "node_modules/@types/node"));
  const imports: string[] = [];
  for (const [index, readme] of READMES.entries()) {
    const directory = join(folder, "begin", place(index));
    mkdirSync(directory, { recursive: true });
    await readme.prepare(directory);
    imports.push(`console.log("== ${readme.path}"); process.chdir(${JSON.stringify(place(index))});`);
    for (const [name, text] of examplesOf(readme)) {
      writeFileSync(join(directory, name), text);
      imports.push(`await import("./${place(index)}/${name}");`);
    }
    imports.push('process.chdir("..");');
  }
  writeFileSync(join(folder, "begin/all.mjs"), `import process from "node:process";\n${imports.join("\n")}\n`);
}, TIMEOUT_MS);

/** Compiles the TypeScript examples in a copy of all examples, and returns the copy: `all.mjs` there runs what was compiled. */
function compiled(version: string): string {
  const directory = join(folder, version);
  cpSync(join(folder, "begin"), directory, { recursive: true });
  const compilerOptions = {
    target: "ES2022",
    lib: ["ES2022", "ESNext.Disposable"],
    types: ["node"],
    module: "NodeNext",
    moduleResolution: "NodeNext",
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
  };
  writeFileSync(join(directory, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["**/*.ts"] }));
  const compiler = join(root, "node_modules", version, "bin/tsc");
  const { status, stdout } = spawnSync(process.execPath, [compiler, "-p", directory], { encoding: "utf8" });
  expect({ status, stdout }).toEqual({ status: 0, stdout: "" });
  const all = join(directory, "all.mjs");
  writeFileSync(all, readFileSync(all, "utf8").replaceAll('.ts"', '.js"'));
  return directory;
}

const PRINTED = READMES.map(({ path, printed }) => [`== ${path}`, ...printed, ""].join("\n")).join("");

test("every example is TypeScript or JavaScript, and there are some in each README", () => {
  for (const readme of READMES) expect(examplesOf(readme).length).toBeGreaterThan(1);
});

test.each(TYPESCRIPT)(
  "%s compiles them against the types of the packages, and Node runs the result",
  (version) => {
    const directory = compiled(version);
    expect(run([NODE, "all.mjs"], directory)).toBe(PRINTED);
  },
  TIMEOUT_MS,
);

test.each<[string, [string, ...string[]]]>([
  ["Node, which runs the tests", [process.execPath]],
  ["Deno", ["deno", "run", "--allow-all"]],
  ["Bun", ["bun", "--no-install", "run"]],
])(
  "%s runs them as they stand there",
  (name, command) => {
    const directory = join(folder, name.replace(/\W.*/, ""));
    cpSync(join(folder, "begin"), directory, { recursive: true });
    expect(run([...command, "all.mjs"], directory)).toBe(PRINTED);
  },
  TIMEOUT_MS,
);
