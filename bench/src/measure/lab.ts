import { bitsOf, type Cell } from "../data/cells.ts";
import { DataFolder } from "../data/files.ts";
import { Workshop } from "../programs/workshop.ts";
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

/** Number of bits from which libraries in plain JavaScript fail, or copy all of their words for each bit that is added. */
const TOO_MANY_BITS = 2 ** 32;

function isTooLarge(kind: Kind, cell: Cell): boolean {
  return (kind === "fastbitset" || kind === "typedfastbitset") && bitsOf(cell) >= TOO_MANY_BITS;
}

/** Why a contestant does not take part. */
export interface Missing {
  readonly missing: string;
}

/** The programs that are measured, each built or installed when it is first needed. */
interface Programs {
  peers?: Peers;
  floor?: Floor;
  /** The program of the contestants that run in Node.js. */
  contestants?: string;
}

/** What measuring needs: the data, the programs, and how much is to be done. */
export class Lab {
  readonly quick: boolean;
  readonly node: MeasuredNode = measuredNode();
  readonly data = new DataFolder();
  readonly say: (text: string) => void;
  readonly #programs: Programs = {};
  #workshop: Workshop | Missing | undefined;

  constructor(options: { readonly quick: boolean; readonly say: (text: string) => void }) {
    this.quick = options.quick;
    this.say = options.say;
  }

  /** How often operations run on data of a size. */
  effort(mebibytes: number): Effort {
    if (this.quick) return { least: 3, most: 5, seconds: 0.15 };
    return { least: 3, most: 21, seconds: mebibytes > 64 ? 6 : 2.5 };
  }

  /** How often whole programs run. */
  programEffort(seconds = 10): Effort {
    return this.quick ? { least: 2, most: 2, seconds: 0 } : { least: 5, most: 21, seconds };
  }

  /** Where whole programs are measured, or why they cannot be. */
  workshop(): Workshop | Missing {
    this.#workshop ??= Workshop.open(this.node, this.data);
    return this.#workshop;
  }

  /** Returns a size in MiB, or a small one for a quick run. */
  size(mebibytes: number): number {
    return this.quick ? Math.max(1, mebibytes / 16) : mebibytes;
  }

  /** Starts a contestant on the data of a cell. @throws {Error} if one that is no other library fails */
  async start(kind: Kind, cell: Cell): Promise<Child | Missing> {
    const programs = this.#programs;
    if (kind === "C") {
      programs.floor ??= compileFloor();
      const { floor } = programs;
      if (floor.missing !== undefined) return floor;
      const { a, b } = this.data.files(cell);
      return Child.start(kind, floor.path, [a, b]);
    }
    if (isTooLarge(kind, cell)) return { missing: "cannot hold 2^32 bits" };
    programs.contestants ??= await bundleContestants();
    const { contestants } = programs;
    const { a, b } = this.data.files(cell);
    const start = (...peers: readonly string[]): Promise<Child> =>
      Child.start(kind, this.node.path, [contestants, kind, a, b, ...peers]);
    if (!isLibrary(kind)) return start();
    programs.peers ??= bringPeers(this.node, this.say);
    const { peers } = programs;
    const missing = peers.missing(kind);
    if (missing !== undefined) return { missing };
    try {
      return await start(peers.folder);
    } catch (error) {
      return { missing: `failed: ${error instanceof Error ? error.message : String(error)}` };
    }
  }

  /** Removes the data. */
  close(): void {
    if (this.#workshop instanceof Workshop) this.#workshop.close();
    this.data.remove();
  }
}
