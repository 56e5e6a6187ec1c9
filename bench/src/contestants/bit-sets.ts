import { wordAt } from "@qdb/format/internal";
import type { Input } from "./input.ts";
import { countAfterChange, Hash, type Operations, operation, RunBuffer } from "./operation.ts";

/** What is used of FastBitSet and TypedFastBitSet. */
interface BitSet {
  add(bit: number): void;
  addRange?(first: number, end: number): void;
  remove(bit: number): void;
  has(bit: number): boolean;
  size(): number;
  clone(): BitSet;
  union(other: BitSet): BitSet;
  difference(other: BitSet): BitSet;
  intersection(other: BitSet): BitSet;
  forEach(take: (bit: number) => void): void;
}

/** A class of such sets. */
export type BitSetClass = new () => BitSet;

function addRuns(bits: BitSet, runs: Uint32Array): BitSet {
  for (let at = 0; at < runs.length; at += 2) {
    const first = wordAt(runs, at);
    const last = wordAt(runs, at + 1);
    if (last > first && bits.addRange !== undefined) bits.addRange(first, last + 1);
    else for (let bit = first; bit <= last; bit++) bits.add(bit);
  }
  return bits;
}

function toggleFirst(bits: BitSet): void {
  if (bits.has(0)) bits.remove(0);
  else bits.add(0);
}

function countRuns(bits: BitSet, hash?: Hash): number {
  const runs = new RunBuffer(hash);
  bits.forEach((bit) => {
    runs.push(bit);
  });
  return runs.finish();
}

function hashOf(bits: BitSet): number {
  const hash = new Hash();
  countRuns(bits, hash);
  return hash.value;
}

/** fastbitset or typedfastbitset. */
export function bitSetOperations(input: Input, Class: BitSetClass): Operations {
  const make = (name: "a" | "b"): BitSet => addRuns(new Class(), input.runs(name));
  const a = make("a");
  let other: BitSet | undefined;
  const b = (): BitSet => {
    other ??= make("b");
    return other;
  };
  const target = a.clone();
  const reset = (): void => {
    target.difference(b());
    target.union(a);
  };
  const ofTarget = (begin: () => void) => ({
    reset: begin,
    answer: () => target.size(),
    fullAnswer: () => hashOf(target),
  });
  return {
    build() {
      const runs = input.runs("a");
      return operation(() => addRuns(new Class(), runs), { answer: (bits) => bits.size(), fullAnswer: hashOf });
    },
    or: () => operation(() => void target.union(b()), ofTarget(reset)),
    andnot: () => operation(() => void target.difference(b()), ofTarget(reset)),
    count: () =>
      countAfterChange(
        () => a.size(),
        () => toggleFirst(a),
      ),
    runs: () => operation(() => countRuns(a), { fullAnswer: () => hashOf(a) }),
    test() {
      const places = input.places();
      return operation(() => {
        let dirty = 0;
        for (let at = 0; at < places.length; at++) if (a.has(wordAt(places, at))) dirty++;
        return dirty;
      });
    },
    mark() {
      const places = input.places();
      const mark = (): void => {
        for (let at = 0; at < places.length; at++) target.add(wordAt(places, at));
      };
      return operation(
        mark,
        ofTarget(() => target.intersection(a)),
      );
    },
  };
}
