import { wordAt } from "@qdb/format/internal";
import type { Input } from "./input.ts";
import { countAfterChange, Hash, type Operations, operation, RunBuffer } from "./operation.ts";

/** What is used of RoaringBitmap32, which roaring (C++) and roaring-wasm offer alike. */
interface Roaring {
  readonly size: number;
  add(bit: number): void;
  addRange(first: number, end: number): void;
  addMany(bits: Uint32Array): void;
  delete(bit: number): boolean;
  has(bit: number): boolean;
  clone(): Roaring;
  dispose?(): void;
  orInPlace(other: Roaring): void;
  andNotInPlace(other: Roaring): void;
  runOptimize(): boolean;
  toUint32Array(): Uint32Array;
  rangeUint32Array(first: number, end: number, output: Uint32Array): Uint32Array;
  serialize(format: string): Uint8Array;
}

interface RoaringClass {
  new (): Roaring;
  deserialize(bytes: Uint8Array, format: string): Roaring;
}

/** The module of either package. */
export interface RoaringModule {
  readonly RoaringBitmap32: RoaringClass;
  readonly roaringLibraryInitialize?: () => Promise<unknown>;
}

/** Bits that are passed to or from the package at a time, so that no list of all bits is needed. */
const PART = 2 ** 20;

/** roaring-wasm 1.1.0 throws if its memory grows during the call. The second call has the memory. */
function addMany(bits: Roaring, dirty: Uint32Array): void {
  try {
    bits.addMany(dirty);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    bits.addMany(dirty);
  }
}

/** Adds runs: as ranges, or bit by bit if most runs are a few bits, which is faster then. */
function addRuns(bits: Roaring, runs: Uint32Array): Roaring {
  let dirty = 0;
  for (let at = 0; at < runs.length; at += 2) dirty += wordAt(runs, at + 1) - wordAt(runs, at) + 1;
  if (dirty > 4 * runs.length) {
    for (let at = 0; at < runs.length; at += 2) bits.addRange(wordAt(runs, at), wordAt(runs, at + 1) + 1);
    return bits;
  }
  const part = new Uint32Array(PART);
  let used = 0;
  for (let at = 0; at < runs.length; at += 2) {
    const last = wordAt(runs, at + 1);
    for (let bit = wordAt(runs, at); bit <= last; bit++) {
      part[used++] = bit;
      if (used < part.length) continue;
      addMany(bits, part);
      used = 0;
    }
  }
  addMany(bits, part.subarray(0, used));
  return bits;
}

/** roaring or roaring-wasm. */
export function roaringOperations(input: Input, { RoaringBitmap32 }: RoaringModule): Operations {
  const make = (name: "a" | "b"): Roaring => {
    const bits = addRuns(new RoaringBitmap32(), input.runs(name));
    bits.runOptimize();
    return bits;
  };
  const a = make("a");
  let other: Roaring | undefined;
  const b = (): Roaring => {
    other ??= make("b");
    return other;
  };
  let target = a.clone();
  const reset = (): void => {
    target.dispose?.();
    target = a.clone();
  };
  const hashOf = (bits: Roaring): number => {
    const hash = new Hash();
    countRuns(bits, input.bitCount, hash);
    return hash.value;
  };
  const sizeAndDispose = (bits: Roaring): number => {
    const { size } = bits;
    bits.dispose?.();
    return size;
  };
  const hashAndDispose = (bits: Roaring): number => {
    const hash = hashOf(bits);
    bits.dispose?.();
    return hash;
  };
  const ofTarget = { reset, answer: () => target.size, fullAnswer: () => hashOf(target) };
  return {
    build() {
      const runs = input.runs("a");
      return operation(() => addRuns(new RoaringBitmap32(), runs), {
        answer: sizeAndDispose,
        fullAnswer: hashAndDispose,
      });
    },
    or: () => operation(() => target.orInPlace(b()), ofTarget),
    andnot: () => operation(() => target.andNotInPlace(b()), ofTarget),
    count: () =>
      countAfterChange(
        () => a.size,
        () => toggleFirst(a),
      ),
    runs: () => operation(() => countRuns(a, input.bitCount), { fullAnswer: () => hashOf(a) }),
    save: () => operation(() => a.serialize("portable"), { answer: () => a.size }),
    load() {
      const bytes = a.serialize("portable");
      return operation(() => RoaringBitmap32.deserialize(bytes, "portable"), { answer: sizeAndDispose });
    },
  };
}

function toggleFirst(bits: Roaring): void {
  if (!bits.delete(0)) bits.add(0);
}

/**
 * The packages list dirty bits, not runs. The fastest way that they offer is an array of all, or one array after another for parts of the
 * bitmap if there are many.
 */
function countRuns(bits: Roaring, bitCount: number, hash?: Hash): number {
  const runs = new RunBuffer(hash);
  const push = (dirty: Uint32Array): void => {
    for (let at = 0; at < dirty.length; at++) runs.push(wordAt(dirty, at));
  };
  if (bits.size <= PART) push(bits.toUint32Array());
  else {
    const part = new Uint32Array(PART);
    for (let first = 0; first < bitCount; first += PART) push(bits.rangeUint32Array(first, first + PART, part));
  }
  return runs.finish();
}
