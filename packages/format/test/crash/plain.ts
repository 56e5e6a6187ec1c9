// What the actions on a file's bitmaps do, as plainly as it can be said: a byte a bit, one loop an action, nothing of the
// library. A bitmap in error keeps the bits that it had: they must never be lost.

import { EMPTY, granules, pack, touching } from "./bits.ts";
import type { ViewedError } from "./view.ts";

/** Why an action is refused. */
export class Refusal extends Error {
  readonly code: string;

  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

/** A bitmap. Its `bits` are never changed in place: an action puts others there. */
export interface PlainBitmap {
  name: string;
  size: number;
  granularity: number;
  isEnabled: boolean;
  /** Name of the bitmap that collects since this one was frozen. */
  successor?: string | undefined;
  comment?: string | undefined;
  /** 0 or 1 for each granule; what must not be lost, where the bitmap is in error. */
  bits: Uint8Array;
  /** What is wrong with it, as a reader saw it. */
  damage?: ViewedError | undefined;
  /** Whether a reference of it names what another one names, but need not be an owner yet. */
  isTwin?: boolean | undefined;
  /** Whether an action named it since the last commit. */
  isTouched: boolean;
  /** Its name at the last commit. */
  was?: string | undefined;
}

export class PlainFile {
  readonly isDraft: boolean;
  bitmaps: PlainBitmap[];
  /** Whether it is read through its mirror, and what is clean there is not to be relied on. */
  isDoubtful = false;
  /** The code with which an action may be refused, since a data cluster is damaged: it depends on whether the action has to read that one. */
  mayRefuse: string | undefined;

  constructor(isDraft: boolean, bitmaps: readonly PlainBitmap[]) {
    this.isDraft = isDraft;
    this.bitmaps = bitmaps.map((bitmap) => ({ ...bitmap }));
  }

  /** A copy in which no bitmap is touched. */
  clone(): PlainFile {
    const bitmaps = this.bitmaps.map((bitmap) => ({ ...bitmap, isTouched: false, was: bitmap.name }));
    return Object.assign(new PlainFile(this.isDraft, bitmaps), { isDoubtful: this.isDoubtful });
  }

  /** @throws {Refusal} NOT_FOUND */
  find(name: string): PlainBitmap {
    const bitmap = this.bitmaps.find((candidate) => candidate.name === name);
    if (bitmap === undefined) throw new Refusal("NOT_FOUND");
    return bitmap;
  }

  isSuccessor(name: string): boolean {
    return this.bitmaps.some(({ successor }) => successor === name);
  }

  add(bitmap: PlainBitmap): void {
    if (this.bitmaps.some(({ name }) => name === bitmap.name)) throw new Refusal("ALREADY_EXISTS");
    this.bitmaps.push(bitmap);
  }

  remove(name: string): void {
    const bitmap = this.find(name);
    if (this.isSuccessor(name)) throw new Refusal("USAGE");
    this.bitmaps = this.bitmaps.filter((other) => other !== bitmap);
  }

  /** Another bitmap in the place of one. */
  replace(next: PlainBitmap): void {
    const bitmap = this.find(next.name);
    if (bitmap.successor !== undefined || this.isSuccessor(next.name)) throw new Refusal("USAGE");
    Object.assign(bitmap, { comment: undefined, damage: undefined, ...next });
  }

  /** Other bits; `removes` where dirt may go. */
  change(name: string, removes: boolean, next: (bitmap: PlainBitmap) => Uint8Array): void {
    const bitmap = this.#usable(name);
    if (removes && bitmap.successor !== undefined) throw new Refusal("USAGE");
    bitmap.bits = next(this.#read(name));
    bitmap.isTouched = true;
  }

  /** A bitmap of which an action reads what it needs. The bits of a damaged one are those that it had. @throws {Refusal} the code of what is wrong with its entry or its L1 area */
  #read(name: string): PlainBitmap {
    const bitmap = this.#usable(name);
    if (bitmap.damage !== undefined) this.mayRefuse = bitmap.damage.code;
    return bitmap;
  }

  markAll(name: string): void {
    const bitmap = this.find(name);
    // A flag that is not known stays, and with it the error.
    if (bitmap.damage?.code === "UNSUPPORTED_FEATURE") throw new Refusal("UNSUPPORTED_FEATURE");
    bitmap.bits = new Uint8Array(granules(bitmap)).fill(1);
    bitmap.damage = undefined;
    bitmap.isTouched = true;
  }

  setEnabled(name: string, isEnabled: boolean): void {
    const bitmap = this.#usable(name);
    if (isEnabled && bitmap.successor !== undefined) throw new Refusal("USAGE");
    Object.assign(bitmap, { isEnabled, isTouched: true });
  }

  rename(name: string, to: string): void {
    const bitmap = this.#sound(name);
    if (this.bitmaps.some((other) => other.name === to)) throw new Refusal("ALREADY_EXISTS");
    for (const other of this.bitmaps) {
      // The record that names it must follow, but the entry of a bitmap in error stays as it is (QDB-CMT-091).
      if (other.successor === name) Object.assign(this.#sound(other.name), { successor: to, isTouched: true });
    }
    Object.assign(bitmap, { name: to, isTouched: true });
  }

  setComment(name: string, comment: string): void {
    Object.assign(this.#sound(name), { comment, isTouched: true });
  }

  freeze(name: string, successor: string): void {
    const bitmap = this.#usable(name);
    if (bitmap.successor !== undefined || this.isSuccessor(name)) throw new Refusal("USAGE");
    const { size, granularity } = bitmap;
    const bits = new Uint8Array(granules(bitmap));
    this.add({ name: successor, size, granularity, isEnabled: true, bits, isTouched: true });
    Object.assign(bitmap, { isEnabled: false, successor, isTouched: true });
  }

  release(name: string, outcome: "done" | "failed"): void {
    const bitmap = this.#usable(name);
    const { successor } = bitmap;
    if (successor === undefined) throw new Refusal("USAGE");
    if (outcome === "failed") {
      const target = this.#usable(successor);
      const { bits } = this.#source(name);
      target.bits = merged(this.#read(successor), { ...bitmap, bits });
      target.isTouched = true;
    }
    this.bitmaps = this.bitmaps.filter((other) => other !== bitmap);
  }

  resize(name: string, size: number, newArea: "dirty" | "clean"): void {
    const bitmap = this.find(name);
    if (bitmap.successor !== undefined || this.isSuccessor(name)) throw new Refusal("USAGE");
    this.change(name, false, ({ bits }) => {
      const next = new Uint8Array(granules({ size, granularity: bitmap.granularity }));
      next.set(bits.subarray(0, next.length));
      if (newArea === "dirty" && size > bitmap.size) next.fill(1, Math.floor(bitmap.size / bitmap.granularity));
      return next;
    });
    bitmap.size = size;
  }

  regranulate(name: string, granularity: number): void {
    const bitmap = this.find(name);
    this.change(name, false, (before) =>
      new Uint8Array(granules({ size: bitmap.size, granularity })).map((_, at) =>
        touching(before, granularity, at).includes(1) ? 1 : 0,
      ),
    );
    bitmap.granularity = granularity;
  }

  /** Combines a bitmap with another one of the same disk. */
  combine(how: "merge" | "intersect" | "subtract" | "xor", name: string, source: string): void {
    const from = this.#source(source);
    this.change(name, how !== "merge", (bitmap) => {
      if (from.size !== bitmap.size) throw new Refusal("SIZE_MISMATCH");
      if (how === "merge") return merged(bitmap, from);
      return bitmap.bits.map((bit, at) => {
        const other = from.bits[at] ?? 0;
        if (how === "intersect") return bit & other;
        return how === "subtract" ? bit & (1 - other) : bit ^ other;
      });
    });
  }

  /** A bitmap that is combined into another: what is clean in it counts too. */
  #source(name: string): PlainBitmap {
    const bitmap = this.find(name);
    if (this.isDoubtful) throw new Refusal("BAD_CHECKSUM");
    return this.#read(bitmap.name);
  }

  /** A bitmap whose entry and place are good. */
  #usable(name: string): PlainBitmap {
    const bitmap = this.find(name);
    if (bitmap.damage?.isInMap === true) throw new Refusal(bitmap.damage.code);
    return bitmap;
  }

  /** A bitmap whose name and records may change: one that is only inconsistent too. */
  #sound(name: string): PlainBitmap {
    const { damage } = this.find(name);
    if (damage?.code === "INCONSISTENT" && damage.isMapped) return this.find(name);
    return this.#usable(name);
  }
}

function merged(bitmap: PlainBitmap, source: PlainBitmap): Uint8Array {
  return bitmap.bits.map((bit, at) => (bit === 1 || touching(source, bitmap.granularity, at).includes(1) ? 1 : 0));
}

/** The bits as a file stores them. */
export function packed({ bits }: PlainBitmap): Uint8Array {
  return bits.length === 0 ? EMPTY : pack(bits);
}
