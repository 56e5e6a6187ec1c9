import { constants, cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

/** A temporary folder for the files of a run. It has a folder for each vector that is being tried. */
export class Workspace {
  readonly folder: string;
  readonly #keep: string | undefined;

  /** `keep` is a folder to which the files of failed vectors are copied. Undefined: they are removed as those of the others. */
  constructor(keep: string | undefined) {
    this.folder = mkdtempSync(join(tmpdir(), "qdb-conformance-"));
    this.#keep = keep === undefined ? undefined : resolve(keep);
  }

  /** Makes an empty folder for a vector and returns its path. */
  begin(id: string): string {
    const folder = join(this.folder, id);
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder);
    return folder;
  }

  /** Removes the folder of a vector. If the vector has failed and files are kept, copies the folder first and returns the path of the copy. */
  end(id: string, hasFailed: boolean): string | undefined {
    const folder = join(this.folder, id);
    let kept: string | undefined;
    if (hasFailed && this.#keep !== undefined) {
      kept = join(this.#keep, id);
      rmSync(kept, { recursive: true, force: true });
      mkdirSync(this.#keep, { recursive: true });
      // COPYFILE_FICLONE: the copy shares the blocks of the file if the file system can, so that holes of a sparse file stay holes.
      cpSync(folder, kept, { recursive: true, mode: constants.COPYFILE_FICLONE });
    }
    rmSync(folder, { recursive: true, force: true });
    return kept;
  }

  /** Removes the temporary folder. Copies of failed vectors stay. */
  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
