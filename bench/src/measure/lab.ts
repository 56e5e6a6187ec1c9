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

/** Whether a contestant is another library, which may be missing or fail. */
export function isLibrary(kind: Kind): boolean {
  return LIBRARIES.includes(kind);
}

/** Why a contestant does not take part. */
export interface Missing {
  readonly missing: string;
}

/** The programs that are measured. */
interface Programs {
  readonly peers: Peers;
  readonly floor: Floor;
  /** The program of the contestants that run in Node.js. */
  readonly contestants: string;
}

/** What measuring needs: the data, the programs, and how much is to be done. */
export class Lab {
  readonly quick: boolean;
  readonly node: MeasuredNode = measuredNode();
  readonly data = new DataFolder();
  readonly say: (text: string) => void;
  #programs: Programs | undefined;

  constructor(options: { readonly quick: boolean; readonly say: (text: string) => void }) {
    this.quick = options.quick;
    this.say = options.say;
  }

  /** Builds and installs what is missing, when the first contestant is started. */
  async #ready(): Promise<Programs> {
    this.#programs ??= {
      peers: bringPeers(this.node, this.say),
      floor: compileFloor(),
      contestants: await bundleContestants(),
    };
    return this.#programs;
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

  /** Starts a contestant on the data of a cell. @throws {Error} if one that is no other library fails */
  async start(kind: Kind, cell: Cell): Promise<Child | Missing> {
    const { peers, floor, contestants } = await this.#ready();
    const { a, b } = this.data.files(cell);
    if (kind === "C") {
      if (floor.missing !== undefined) return floor;
      return Child.start(floor.path, [a, b]);
    }
    const start = (): Promise<Child> => Child.start(this.node.path, [contestants, kind, a, b, peers.folder]);
    if (!isLibrary(kind)) return start();
    const missing = peers.missing(kind);
    if (missing !== undefined) return { missing };
    try {
      return await start();
    } catch (error) {
      return { missing: `failed: ${error instanceof Error ? error.message : String(error)}` };
    }
  }

  /** Removes the data. */
  close(): void {
    this.data.remove();
  }
}
