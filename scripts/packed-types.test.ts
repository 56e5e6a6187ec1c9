// The type declarations of the packed packages, compiled by each TypeScript that users have, without skipLibCheck: with neither the DOM nor
// the types of Node, with those of Node, and with the DOM.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "qdb-types-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const PACKAGES = ["format", "io-node", "io-web", "qcow2"] as const;
/** Compilers are started, on a machine that may be busy with other tests. */
const TIMEOUT_MS = 240_000;
const VERSIONS = ["typescript-5.4", "typescript-5.9", "typescript"];

/** What programs do with the types, whatever else is loaded. */
const READING = `
import { Bitmap, type ByteSource, bytesSource, checkQdb, type Extent, QdbFile, QdbFileSync, readBitmap } from "@qdb/format";
import * as container from "@qdb/format/container";
import * as internal from "@qdb/format/internal";
import * as picture from "@qdb/format/picture";
import * as qcow2 from "@qdb/qcow2";

export const modules = [container, internal, picture, qcow2];

export async function extentsOf(bytes: Uint8Array, signal: container.AbortSignalLike): Promise<Extent[]> {
  await using file = await QdbFile.open(bytesSource(bytes), { signal });
  const bitmap = file.bitmap("daily");
  using bits: Bitmap = await readBitmap(bitmap, { signal });
  const found = [...bits.extents()];
  for await (const extent of bitmap.extents({ within: { offset: 0, length: bitmap.size }, signal })) found.push(extent);
  for await (const { severity } of checkQdb(bytesSource(bytes))) severity satisfies string;
  return found;
}

export function countOf(bytes: Uint8Array): number {
  using file = QdbFileSync.open(bytesSource(bytes));
  return file.bitmap("daily").count().bits;
}

export function partOf(source: ByteSource, offset: number): ByteSource {
  return { size: source.size - offset, read: (at, length, options) => source.read(offset + at, length, options) };
}

declare const file: QdbFile;
// @ts-expect-error: internal members are not in the declarations
file.reader;
`;

const ENVIRONMENTS: Record<string, { lib: string[]; types: string[]; source: string }> = {
  "neither the DOM nor Node": {
    lib: ["ES2023"],
    types: [],
    source: `${READING}
import { openQdb } from "@qdb/io-node";
export const node = (signal: { aborted: boolean }) => openQdb("vm.qdb", { signal });
`,
  },
  Node: {
    lib: ["ES2023"],
    types: ["node"],
    source: `${READING}
import { editQdb, openQdb } from "@qdb/io-node";
export async function main(): Promise<void> {
  const controller = new AbortController();
  await using file = await openQdb("vm.qdb", { signal: controller.signal });
  await editQdb("vm.qdb", (edit) => edit.bitmap("daily").mark({ offset: 0, length: file.bitmap("daily").size }));
}
export const behindHttp = (url: string, size: number): ByteSource => ({
  size,
  async read(offset, length, options) {
    const headers = { range: \`bytes=\${offset}-\${offset + length - 1}\` };
    const response = await fetch(url, { headers, signal: options?.signal ?? null });
    return new Uint8Array(await response.arrayBuffer());
  },
});
`,
  },
  "the DOM": {
    lib: ["ES2023", "DOM"],
    types: [],
    source: `${READING}
import { openQdb } from "@qdb/io-web";
export async function main(blob: Blob): Promise<void> {
  await using file = await openQdb(blob, { signal: AbortSignal.timeout(1000) });
  for await (const { offset } of file.bitmap("daily").extents({ signal: new AbortController().signal })) offset satisfies bigint;
}
`,
  },
};

beforeAll(() => {
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
  for (const name of PACKAGES) {
    const own = join(root, "packages", name);
    run("pnpm", ["pack", "--pack-destination", folder], own);
    const archive = readdirSync(folder).find((file) => file.startsWith(`qdb-${name}-`)) ?? "";
    const target = join(folder, "node_modules/@qdb", name);
    mkdirSync(target, { recursive: true });
    run("tar", ["-xzf", join(folder, archive), "-C", target, "--strip-components=1"], folder);
  }
  mkdirSync(join(folder, "node_modules/@types"));
  symlinkSync(join(root, "node_modules/@types/node"), join(folder, "node_modules/@types/node"));
}, TIMEOUT_MS);

function run(command: string, args: readonly string[], cwd: string): void {
  const { status, stderr, error } = spawnSync(command, args, { cwd, encoding: "utf8" });
  if (error) throw error;
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
}

describe.each(Object.entries(ENVIRONMENTS))("with the types of %s", (name, { lib, types, source }) => {
  test.each(VERSIONS)("%s compiles a program", { timeout: TIMEOUT_MS }, (version) => {
    const directory = join(folder, `${version}-${name.replaceAll(" ", "-")}`);
    mkdirSync(directory);
    writeFileSync(join(directory, "program.ts"), source);
    const compilerOptions = {
      ...{ target: "ES2022", lib, types, module: "NodeNext", moduleResolution: "NodeNext", noEmit: true },
      ...{ strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, skipLibCheck: false },
    };
    writeFileSync(join(directory, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["program.ts"] }));
    const compiler = join(root, "node_modules", version, "bin/tsc");
    const { status, stdout } = spawnSync(process.execPath, [compiler, "-p", directory], { encoding: "utf8" });
    expect({ status, stdout }).toEqual({ status: 0, stdout: "" });
  });
});

test("typed arrays are not generic in the declarations: TypeScript has that since 5.7", () => {
  const generic = /\b(?:Big)?(?:Ui|I)nt(?:8|16|32|64)(?:Clamped)?Array<|\bDataView<|\bFloat\d\dArray</;
  for (const name of PACKAGES) {
    const dist = join(folder, "node_modules/@qdb", name, "dist");
    const files = readdirSync(dist, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".d.ts"));
    expect(files.length).toBeGreaterThan(5);
    expect(files.filter((file) => generic.test(readFileSync(join(dist, file), "utf8")))).toEqual([]);
  }
});
