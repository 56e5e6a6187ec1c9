// What is in a folder, read by a program that shares nothing with the command: the reader in C of the conformance suite.
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { makeReader } from "../../../../conformance/tools/c-reader.ts";
import { dirtyOf, flagsOf, type ModelBitmap } from "../bitmap-model.ts";

/** A bitmap as the tests compare it: without its place in the file, ids and times. */
export interface BitmapState {
  readonly name: string;
  readonly size: string;
  readonly granularity: number;
  readonly flags: readonly string[];
  readonly dirty?: readonly (readonly [string, string])[];
  readonly error?: string;
  readonly comment?: string;
  readonly successor?: string;
}

/** A bitmap of the model that has a comment. */
export interface CommentedBitmap extends ModelBitmap {
  readonly comment?: string;
}

/** What a file is: the bitmaps of a QDB file, or why it is none, or a digest of other bytes. */
export type FileState = readonly BitmapState[] | string;

/** The files of a folder by their names. */
export type FolderState = Readonly<Record<string, FileState>>;

/** The state that a model has. */
export function stateOfModel(bitmaps: readonly CommentedBitmap[]): BitmapState[] {
  return bitmaps.map((bitmap) => ({
    name: bitmap.name,
    size: `${bitmap.size}`,
    granularity: bitmap.granularity,
    flags: flagsOf(bitmap),
    ...(bitmap.isInUse ? { error: "INCONSISTENT" } : { dirty: dirtyOf(bitmap) }),
    ...(bitmap.comment === undefined ? {} : { comment: bitmap.comment }),
    ...(bitmap.successor === undefined ? {} : { successor: bitmap.successor }),
  }));
}

/** What a bitmap that lost a cluster is: which of the two depends on how long the file is, which others' commits change. */
const DAMAGES: Readonly<Record<string, string>> = { OUT_OF_BOUNDS: "DAMAGED", BAD_CHECKSUM: "DAMAGED" };

/** What any bytes are to a comparison. */
export function digestOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

interface ReadBitmap extends Omit<BitmapState, "error"> {
  readonly error?: { readonly code: string };
  readonly extra_data?: readonly { readonly comment?: string; readonly successor?: string }[];
}

/** The reader in C, in a process that stays. */
export class Reader {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #waiting: ((answer: string) => void)[] = [];

  constructor() {
    makeReader();
    const program = fileURLToPath(new URL("../../../../conformance/c/build/qdb-adapter", import.meta.url));
    this.#child = spawn(program, ["serve"], { stdio: ["pipe", "pipe", "inherit"] });
    createInterface({ input: this.#child.stdout }).on("line", (line) => this.#waiting.shift()?.(line));
  }

  /** Ends the process. */
  end(): void {
    this.#child.stdin.end();
  }

  /** The bitmaps of a QDB file, or the code of the error of the file. */
  async bitmapsOf(path: string): Promise<FileState> {
    const line = await new Promise<string>((resolve) => {
      this.#waiting.push(resolve);
      this.#child.stdin.write(`1\tread\t${path}\n`);
    });
    const answer = JSON.parse(line);
    if (answer.ok !== true) return String(answer.error);
    return (answer.model.bitmaps as ReadBitmap[]).map(
      ({ name, size, granularity, flags, dirty, error, extra_data }) => {
        const [comment] = (extra_data ?? []).flatMap((record) => record.comment ?? []);
        const [successor] = (extra_data ?? []).flatMap((record) => record.successor ?? []);
        return {
          name,
          size,
          granularity,
          flags,
          ...(dirty === undefined ? {} : { dirty }),
          ...(error === undefined ? {} : { error: DAMAGES[error.code] ?? error.code }),
          ...(comment === undefined ? {} : { comment }),
          ...(successor === undefined ? {} : { successor }),
        };
      },
    );
  }

  /** Every file of a folder. */
  async look(folder: string): Promise<FolderState> {
    const state: Record<string, FileState> = {};
    for (const name of readdirSync(folder).sort()) {
      const path = join(folder, name);
      state[name] = name.endsWith(".qdb") ? await this.bitmapsOf(path) : digestOf(readFileSync(path));
    }
    return state;
  }
}
