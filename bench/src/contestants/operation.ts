import { wordAt } from "@qdb/format/internal";

/** An operation that is measured. What it returns becomes its answer, in which all contestants must agree. */
export interface Operation {
  /** Brings the data into the state in which the operation begins. It is not timed. */
  readonly reset?: () => void;
  /** What is timed. */
  readonly run: () => unknown;
  /** Makes the answer of what `run` returned. It is not timed. */
  readonly answer?: (result: unknown) => unknown;
  /** Makes the answer that says everything of what `run` returned or changed: a hash of all runs of dirty bits. */
  readonly fullAnswer?: (result: unknown) => unknown;
}

/** How an operation begins and what it answers, typed. */
interface Answers<T> {
  readonly reset?: () => void;
  readonly answer?: (result: T) => unknown;
  readonly fullAnswer?: (result: T) => unknown;
}

/** The operations of a contestant by name. Each is made when it is first asked for, with the data that it needs. */
export type Operations = Readonly<Record<string, () => Operation>>;

/** Makes an operation of typed functions. */
export function operation<T>(run: () => T | Promise<T>, answers: Answers<T> = {}): Operation {
  const { reset, answer, fullAnswer } = answers;
  return {
    run,
    ...(reset === undefined ? {} : { reset }),
    ...(answer === undefined ? {} : { answer: (result: unknown) => answer(result as T) }),
    ...(fullAnswer === undefined ? {} : { fullAnswer: (result: unknown) => fullAnswer(result as T) }),
  };
}

/** Makes an operation that counts after one bit has changed, so that no count is a number that was only kept. `toggle` changes the bit. */
export function countAfterChange(count: () => number, toggle: () => void): Operation {
  const answer = (result: number): number => {
    toggle();
    return result;
  };
  return operation(count, { reset: toggle, answer });
}

/** A number for a list of numbers (FNV-1a over words), which other numbers or another order would change. */
export class Hash {
  #value = 0x811c9dc5;

  /** Adds numbers. */
  add(words: Uint32Array): void {
    for (let index = 0; index < words.length; index++)
      this.#value = Math.imul(this.#value ^ wordAt(words, index), 0x01000193);
  }

  /** The number. */
  get value(): number {
    return this.#value >>> 0;
  }
}

/** Makes runs of bits that arrive one by one, in batches, as a program would that has to copy or print them. */
export class RunBuffer {
  readonly #batch = new Uint32Array(16384);
  readonly #hash: Hash | undefined;
  #used = 0;
  #count = 0;
  #first = -1;
  #last = -2;

  constructor(hash?: Hash) {
    this.#hash = hash;
  }

  /** Receives the next dirty bit. */
  push(bit: number): void {
    if (bit === this.#last + 1) {
      this.#last = bit;
      return;
    }
    if (this.#first >= 0) this.#put();
    this.#first = bit;
    this.#last = bit;
  }

  #put(): void {
    this.#batch[this.#used] = this.#first;
    this.#batch[this.#used + 1] = this.#last;
    this.#used += 2;
    if (this.#used === this.#batch.length) this.#flush();
  }

  #flush(): void {
    this.#hash?.add(this.#batch.subarray(0, this.#used));
    this.#count += this.#used / 2;
    this.#used = 0;
  }

  /** Ends the last run and returns the number of runs. */
  finish(): number {
    if (this.#first >= 0) this.#put();
    this.#flush();
    return this.#count;
  }
}
