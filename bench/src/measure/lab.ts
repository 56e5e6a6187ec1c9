import type { Cell } from "../data/cells.ts";
import { DataFolder } from "../data/files.ts";
import { bundleContestants } from "../setup/contestants.ts";
import { type MeasuredNode, measuredNode } from "../setup/environment.ts";
import { compileFloor, type Floor } from "../setup/floor.ts";
import { bringPeers, type Peers } from "../setup/peers.ts";
import { Child } from "./child.ts";
import type { Effort } from "./contest.ts";

/** The contestants: QDB, libraries, what Node.js does in C, and loops in C. */
export type Kind = "qdb" | "roaring" | "roaring-wasm" | "fastbitset" | "typedfastbitset" | "node" | "C";

const LIBRARIES: readonly Kind[] = ["roaring", "roaring-wasm", "fastbitset", "typedfastbitset"];

/** Why a contestant does not take part. */
export interface Missing {
  readonly missing: string;
}

/** What measuring needs: the data, the programs, and how much is to be done. */
export class Lab {
  readonly quick: boolean;
  readonly node: MeasuredNode;
  readonly data = new DataFolder();
  readonly say: (text: string) => void;
  readonly #peers: Peers;
  readonly #floor: Floor;
  readonly #program: string;

  private constructor(options: { readonly quick: boolean; readonly say: (text: string) => void }, program: string) {
    this.quick = options.quick;
    this.say = options.say;
    this.node = measuredNode();
    this.#peers = bringPeers(this.node, this.say);
    this.#floor = compileFloor();
    this.#program = program;
  }

  /** Builds and installs what is missing. */
  static async open(options: { readonly quick: boolean; readonly say: (text: string) => void }): Promise<Lab> {
    return new Lab(options, await bundleContestants());
  }

  /** How often operations run on data of a size. */
  effort(mebibytes: number): Effort {
    if (this.quick) return { least: 3, most: 5, seconds: 0.15 };
    return { least: 3, most: 21, seconds: mebibytes > 64 ? 6 : 2.5 };
  }

  /** Returns a size in MiB, or a small one for a quick run. */
  size(mebibytes: number): number {
    return this.quick ? Math.max(1, mebibytes / 16) : mebibytes;
  }

  /** Starts a contestant on the data of a cell. @throws {Error} if it is there but fails */
  async start(kind: Kind, cell: Cell): Promise<Child | Missing> {
    const { a, b } = this.data.files(cell);
    if (kind === "C") {
      if (this.#floor.missing !== undefined) return this.#floor;
      return Child.start(this.#floor.path, [a, b]);
    }
    const missing = LIBRARIES.includes(kind) ? this.#peers.missing(kind) : undefined;
    if (missing !== undefined) return { missing };
    return Child.start(this.node.path, [this.#program, kind, a, b, this.#peers.folder]);
  }

  /** Removes the data. */
  close(): void {
    this.data.remove();
  }
}
