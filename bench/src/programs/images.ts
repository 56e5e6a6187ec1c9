import { closeSync, fdatasyncSync, openSync, writeSync } from "node:fs";
import { Random } from "../data/random.ts";

/** Bytes of a block, of which some differ. */
const BLOCK = 65536;

/** Bytes that differ in a block. */
const DIFFERENT = 4096;

/** Bytes of the pattern that images repeat. */
const PATTERN = 2 ** 20;

/** Two images of the same bytes, some blocks of which can be made to differ. */
export class ImagePair {
  readonly base: string;
  readonly current: string;
  /** Bytes of an image. */
  readonly length: number;
  /** Blocks that can differ, in ascending order. */
  readonly blocks: readonly number[];
  readonly #pattern: Buffer;

  /** Makes both images; `share` of the blocks can differ. */
  constructor(base: string, current: string, length: number, share: number) {
    this.base = base;
    this.current = current;
    this.length = length;
    const random = new Random(`images of ${length} bytes`);
    this.#pattern = Buffer.from(Uint32Array.from({ length: PATTERN / 4 }, () => random.word()).buffer);
    const blocks: number[] = [];
    for (let block = random.geometric(1 / share) - 1; block < length / BLOCK; block += random.geometric(1 / share))
      blocks.push(block);
    this.blocks = blocks;
    for (const path of [base, current]) {
      const fd = openSync(path, "w");
      for (let at = 0; at < length; at += PATTERN) writeSync(fd, this.#pattern, 0, PATTERN, at);
      fdatasyncSync(fd);
      closeSync(fd);
    }
  }

  /** Makes the blocks differ, or makes the images equal again. */
  set(isDifferent: boolean): void {
    const other = Buffer.alloc(DIFFERENT, 0x55);
    const fd = openSync(this.current, "r+");
    for (const [index, block] of this.blocks.entries()) {
      // Somewhere in the block, which may be its last bytes.
      const at = block * BLOCK + (index % (BLOCK / DIFFERENT)) * DIFFERENT;
      const same = this.#pattern.subarray(at % PATTERN, (at % PATTERN) + DIFFERENT);
      writeSync(fd, isDifferent ? other : same, 0, DIFFERENT, at);
    }
    fdatasyncSync(fd);
    closeSync(fd);
  }

  /** The bits of the blocks that can differ. */
  get bits(): Buffer {
    const bits = Buffer.alloc(this.length / BLOCK / 8);
    for (const block of this.blocks) {
      const index = Math.floor(block / 8);
      bits[index] = (bits[index] as number) | (1 << (block % 8));
    }
    return bits;
  }
}
