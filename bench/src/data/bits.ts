import { bitsOf, type Cell, nameOf } from "./cells.ts";
import { Random } from "./random.ts";

/** Mean length of the runs of dirty bits in clustered data. */
const MEAN_RUN = 64;

/** Makes the bits of a cell as words, the least significant bit of a word first. The two bitmaps of a cell have the names `a` and `b`. */
export function makeBits(cell: Cell, name: "a" | "b"): Uint32Array<ArrayBuffer> {
  const random = new Random(`${nameOf(cell)} ${name}`);
  const words = new Uint32Array(bitsOf(cell) / 32);
  if (cell.pattern === "last") fillLast(words);
  else if (cell.pattern === "clustered") fillRuns(words, cell.density, random);
  else if (cell.density === 0.5) fillHalf(words, random);
  else fillSingle(words, cell.density, random);
  return words;
}

/** The last bit of each 64 KiB. */
function fillLast(words: Uint32Array): void {
  const page = 65536 / 4;
  for (let index = page - 1; index < words.length; index += page) words[index] = 0x80000000;
}

function fillHalf(words: Uint32Array, random: Random): void {
  for (let index = 0; index < words.length; index++) words[index] = random.word();
}

/** Each bit is dirty with the same probability, whatever its neighbours are. */
function fillSingle(words: Uint32Array, density: number, random: Random): void {
  const bits = words.length * 32;
  for (let bit = random.geometric(1 / density) - 1; bit < bits; bit += random.geometric(1 / density)) {
    const index = Math.floor(bit / 32);
    words[index] = (words[index] as number) | (1 << (bit % 32));
  }
}

/** Runs of dirty bits whose length is geometric, and clean ones between them. */
function fillRuns(words: Uint32Array, density: number, random: Random): void {
  const bits = words.length * 32;
  const meanGap = (MEAN_RUN * (1 - density)) / density;
  for (let bit = random.geometric(meanGap) - 1; bit < bits; bit += random.geometric(meanGap)) {
    const end = Math.min(bits, bit + random.geometric(MEAN_RUN));
    for (; bit < end; bit++) {
      const index = Math.floor(bit / 32);
      words[index] = (words[index] as number) | (1 << (bit % 32));
    }
  }
}
