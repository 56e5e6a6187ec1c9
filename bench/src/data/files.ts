import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeBits } from "./bits.ts";
import { type Cell, nameOf } from "./cells.ts";

/** The two bitmaps of a cell as files of plain bits, the least significant bit of a byte first. */
export interface CellFiles {
  readonly a: string;
  readonly b: string;
}

/** A temporary folder with the data of all cells, each made when it is asked for. */
export class DataFolder {
  readonly path: string = mkdtempSync(join(tmpdir(), "qdb-bench-"));

  /** Returns the files of a cell. */
  files(cell: Cell): CellFiles {
    const file = (name: "a" | "b"): string => {
      const path = this.#path(cell, name);
      if (!existsSync(path)) writeFileSync(path, makeBits(cell, name));
      return path;
    };
    return { a: file("a"), b: file("b") };
  }

  #path(cell: Cell, name: "a" | "b"): string {
    return join(this.path, `${nameOf(cell).replaceAll(/[^a-z0-9.]+/gi, "-")}.${name}`);
  }

  /** Removes the files of a cell, which would fill the disk. They are made again if they are asked for. */
  drop(cell: Cell): void {
    for (const name of ["a", "b"] as const) rmSync(this.#path(cell, name), { force: true });
  }

  /** Removes the folder. */
  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
