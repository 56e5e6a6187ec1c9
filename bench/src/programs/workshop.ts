import {
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
} from "node:fs";
import { join } from "node:path";
import { bitsOf, type Cell, nameOf } from "../data/cells.ts";
import type { DataFolder } from "../data/files.ts";
import type { Missing } from "../measure/lab.ts";
import { BUILT, ROOT } from "../paths.ts";
import type { MeasuredNode } from "../setup/environment.ts";
import { compileFloor } from "../setup/floor.ts";
import type { PlainBitmap, PlainBitmaps } from "./bitmaps.ts";
import { Qcow2Image } from "./qcow2.ts";
import { type Command, Runner } from "./runner.ts";

/** The command that is measured. */
const QDB = join(ROOT, "packages", "cli", "dist", "qdb.cjs");

/** Bytes a bit of the disks of all bitmaps. */
export const GRANULARITY = 65536;

/** Where whole programs are measured: a folder with their files, on a disk where an fsync counts. */
export class Workshop {
  readonly folder: string;
  readonly runner: Runner;
  readonly #node: string;
  readonly #data: DataFolder;

  private constructor(runner: string, node: MeasuredNode, data: DataFolder, folder: string) {
    this.folder = folder;
    this.#node = node.path;
    this.#data = data;
    removeLeftOver();
    mkdirSync(this.folder);
    this.runner = new Runner(runner, this.folder);
  }

  /** Opens the workshop, or says why no program can be measured. */
  static open(node: MeasuredNode, data: DataFolder, folder = join(BUILT, `work-${process.pid}`)): Workshop | Missing {
    if (process.platform !== "linux") return { missing: "measured on Linux only" };
    if (!existsSync(QDB)) return { missing: "packages/cli is not built" };
    const runner = compileFloor("run");
    return runner.missing === undefined ? new Workshop(runner.path, node, data, folder) : runner;
  }

  /** Returns the path of a file in the folder. */
  path(name: string): string {
    return join(this.folder, name);
  }

  /** Returns the command that runs a script with the Node.js that is measured. */
  node(script: string, ...args: readonly (string | number)[]): Command {
    return [this.#node, script, ...args.map(String)];
  }

  /** Returns the command that runs `qdb`. */
  qdb(...args: readonly string[]): Command {
    return this.node(QDB, ...args);
  }

  /** Returns a bitmap of a cell. */
  bitmap(cell: Cell, name: "a" | "b"): PlainBitmap {
    return { granularity: GRANULARITY, bits: readFileSync(this.#data.files(cell)[name]) };
  }

  /** Returns both bitmaps of a cell. */
  bitmaps(cell: Cell): Map<string, PlainBitmap> {
    return new Map((["a", "b"] as const).map((name) => [name, this.bitmap(cell, name)]));
  }

  /** Returns the path of a QDB file with bitmaps of a cell, which is made when it is asked for. */
  qdbFile(cell: Cell, names: readonly ("a" | "b")[] = ["a", "b"]): string {
    const path = this.path(`${nameOf(cell).replaceAll(/[^a-z0-9.]+/gi, "-")}.${names.join("")}.qdb`);
    if (existsSync(path)) return path;
    const size = String(bitsOf(cell) * GRANULARITY);
    for (const name of names) {
      const options = ["--from=raw-bits", `--granularity=${GRANULARITY}`, `--size=${size}`, `--bitmap=${name}`];
      this.runner.succeed(this.qdb("import", ...options, this.#data.files(cell)[name], path));
    }
    return path;
  }

  /** Returns the path of a qcow2 image with both bitmaps of a cell. @throws {Error} if QEMU finds anything wrong with it */
  qcow2File(cell: Cell): string {
    const path = this.path(`${nameOf(cell).replaceAll(/[^a-z0-9.]+/gi, "-")}.qcow2`);
    if (existsSync(path)) return path;
    const made = `${path}.made`;
    const size = String(bitsOf(cell) * GRANULARITY);
    this.runner.succeed(["qemu-img", "create", "-q", "-f", "qcow2", made, size]);
    for (const name of ["a", "b"])
      this.runner.succeed(["qemu-img", "bitmap", "--add", "-g", String(GRANULARITY), "-f", "qcow2", made, name]);
    const image = new Qcow2Image(made, "r+");
    for (const [name, { bits }] of this.bitmaps(cell)) image.store(name, bits);
    image.close();
    this.runner.succeed(["qemu-img", "check", "-q", "-f", "qcow2", made]);
    this.fresh(made, path);
    rmSync(made);
    return path;
  }

  /** Copies a file over another one, and waits until it is on the disk. */
  fresh(from: string, to: string): void {
    rmSync(to, { force: true });
    copyFileSync(from, to);
    sync(to);
  }

  /** Returns the bitmaps of a QDB file. */
  bitmapsOfQdb(path: string): PlainBitmaps {
    const text = this.runner.outputOf(this.qdb("info", "--output=json", path)).toString();
    const info: { bitmaps: { name: string; granularity: number }[] } = JSON.parse(text);
    return new Map(
      info.bitmaps.map(({ name, granularity }) => {
        const bits = this.runner.outputOf(this.qdb("export", "--to=raw-bits", `--bitmap=${name}`, path));
        return [name, { granularity, bits }];
      }),
    );
  }

  /** Removes files that may be there. */
  remove(...paths: readonly string[]): void {
    for (const path of paths) rmSync(path, { force: true });
  }

  /** Removes the folder. */
  close(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Waits until a file is on the disk. */
export function sync(path: string): void {
  const fd = openSync(path, "r");
  fsyncSync(fd);
  closeSync(fd);
}

/** Removes the folders of runs that were killed. */
function removeLeftOver(): void {
  for (const name of readdirSync(BUILT)) {
    const pid = /^work-(\d+)$/.exec(name)?.[1];
    if (pid !== undefined && !isRunning(Number(pid))) rmSync(join(BUILT, name), { recursive: true, force: true });
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
