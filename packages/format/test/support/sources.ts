import { type ByteRange, type ByteSource, bytesSource, QdbError, type SyncByteSource } from "@qdb/format";
import type { Plan, PutStep, ReadStep } from "@qdb/format/container";

/** Bytes that are awaited; says which ranges were asked for before any of them was answered. */
export class LateSource implements ByteSource {
  readonly size: number;
  /** The ranges of each round. */
  readonly rounds: ByteRange[][] = [];
  readonly #source: SyncByteSource;
  #pending: ByteRange[] | undefined;

  constructor(bytes: Uint8Array) {
    this.size = bytes.length;
    this.#source = bytesSource(bytes);
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    if (this.#pending === undefined) {
      this.#pending = [];
      this.rounds.push(this.#pending);
    }
    this.#pending.push({ offset, length });
    await new Promise((resolve) => setImmediate(resolve));
    this.#pending = undefined;
    return this.#source.readSync(offset, length);
  }
}

/** A source that does something else with some reads. */
export function bentSource(bytes: Uint8Array, bend: (range: ByteRange) => Uint8Array | undefined): SyncByteSource {
  const source = bytesSource(bytes);
  return {
    size: bytes.length,
    readSync: (offset, length) => bend({ offset, length }) ?? source.readSync(offset, length),
  };
}

/** Throws the error of a bad sector, where a range touches one. */
export function badSector(at: number, length: number): (range: ByteRange) => undefined {
  return (range) => {
    if (range.offset < at + length && range.offset + range.length > at)
      throw new QdbError("IO", "bad sector", { offset: at });
    return undefined;
  };
}

/** Runs a plan by hand, with no driver of the library's: its rounds, what it put out, and what it returned. */
export function byHand<T, O>(plan: Plan<T, O>, bytes: Uint8Array): { rounds: ByteRange[][]; puts: O[]; result: T } {
  const source = bytesSource(bytes);
  const rounds: ByteRange[][] = [];
  const puts: O[] = [];
  let input: readonly Uint8Array[] = [];
  for (;;) {
    const step: IteratorResult<ReadStep | PutStep<O>, T> = plan.next(input);
    if (step.done === true) return { rounds, puts, result: step.value };
    input = [];
    if ("put" in step.value) {
      puts.push(step.value.put);
      continue;
    }
    rounds.push([...step.value.read]);
    input = step.value.read.map(({ offset, length }) => source.readSync(offset, length));
  }
}
