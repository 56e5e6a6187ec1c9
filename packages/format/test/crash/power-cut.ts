// What a power cut leaves of the writes that no flush has covered: any of them, in any order, and torn ones.
import { random } from "../store.ts";
import { equal } from "./bits.ts";
import { type Epoch, extent, PAGE, type Pending } from "./disk.ts";

/** What became of a page on its way to the disk. */
type Fate = "old" | "new" | "torn";

/** Files made from one epoch by chance, beside those that are always made. */
const RANDOM = 32;
/** Tries that come to nothing new before an epoch counts as exhausted. */
const PATIENCE = 6;

const rough = random(512);
/** Random bytes, from which torn sectors take theirs. */
const GARBAGE: Uint8Array = Uint8Array.from({ length: 4 * PAGE }, () => Math.floor(rough() * 256));

/** The files that a power cut can leave. */
export class PowerCuts {
  readonly #dice: () => number;
  /** Smallest piece that the disk writes: 512 or 4096 bytes. */
  readonly #sector: number;
  /** Where files are put together; each stands there until the next one. */
  #workspace: Uint8Array = new Uint8Array(0);

  constructor(dice: () => number, sector: number) {
    this.#dice = dice;
    this.#sector = sector;
  }

  /** Files that a cut at the end of an epoch leaves, hardly one of them twice. Each is there only until the next one is asked for. */
  *of({ durable, pending }: Epoch): Generator<Uint8Array, void> {
    const isMoot = mootOf(durable, pending);
    const known = new Set<string>();
    let failures = 0;
    const file = (fates: Fate[]): Uint8Array | undefined => {
      for (const [at, fate] of fates.entries()) if (fate === "old" && isMoot[at] === true) fates[at] = "new";
      const key = fates.join();
      // Of a torn page each one is another.
      if (known.has(key) && !fates.includes("torn")) {
        failures++;
        return undefined;
      }
      known.add(key);
      return this.#file(durable, pending, fates);
    };
    for (const fates of this.#plans(pending)) {
      const bytes = file(fates);
      if (bytes !== undefined) yield bytes;
    }
    for (let left = RANDOM; left > 0 && failures < PATIENCE && pending.length > 1; left--) {
      const kept = 0.2 + this.#dice() * 0.7;
      const torn = this.#dice() < 0.5 ? 0 : 0.3;
      const bytes = file(pending.map(() => (this.#dice() < torn ? "torn" : this.#dice() < kept ? "new" : "old")));
      if (bytes !== undefined) yield bytes;
    }
  }

  /** The order of the writes up to a point; all but one; one torn, with and without those behind it. */
  *#plans(pending: readonly Pending[]): Generator<Fate[], void> {
    const count = pending.length;
    // Of a long epoch, as when a file is packed, a part.
    const points =
      count <= 12 ? pending.map((_, at) => at) : Array.from({ length: 12 }, () => Math.floor(this.#dice() * count));
    yield pending.map(() => "new");
    yield pending.map(() => "old");
    for (const odd of points) {
      yield pending.map((_, at) => (at < odd ? "new" : "old"));
      if (pending[odd]?.kind !== "page") continue;
      yield pending.map((_, at) => (at === odd ? "old" : "new"));
      yield pending.map((_, at) => (at === odd ? "torn" : "new"));
      yield pending.map((_, at) => (at === odd ? "torn" : at < odd ? "new" : "old"));
    }
  }

  /** A length that was not stored takes with it what stands behind the old one. */
  #file(durable: Uint8Array, pending: readonly Pending[], fates: readonly Fate[]): Uint8Array {
    const bytes = this.#copy(durable, pending);
    let end = durable.length;
    for (const [at, op] of pending.entries()) {
      const fate = fates[at];
      if (op.kind === "length") {
        if (fate === "old") continue;
        if (op.length < end) bytes.fill(0, op.length, end);
        end = op.length;
      } else if (fate === "new") bytes.set(op.bytes, op.page * PAGE);
      else if (fate === "torn") this.#tear(bytes, op);
    }
    return bytes.subarray(0, end);
  }

  #copy(durable: Uint8Array, pending: readonly Pending[]): Uint8Array {
    const size = extent(durable, pending);
    if (this.#workspace.length < size) this.#workspace = new Uint8Array(2 * size);
    const bytes = this.#workspace.subarray(0, size);
    bytes.set(durable);
    bytes.fill(0, durable.length);
    return bytes;
  }

  /** A disk of 512-byte sectors tears between those that were written; one of 4096 bytes may lose the whole block. */
  #tear(bytes: Uint8Array, { page, bytes: written, from, to }: Pending & { readonly kind: "page" }): void {
    const sector = this.#sector;
    for (let at = Math.floor(from / sector) * sector; at < to; at += sector) {
      const chance = this.#dice();
      const place = page * PAGE + at;
      if (chance < 0.4 && sector < PAGE) bytes.set(written.subarray(at, at + sector), place);
      else if (chance < 0.75) {
        const source = Math.floor(this.#dice() * (GARBAGE.length - sector));
        bytes.set(GARBAGE.subarray(source, source + sector), place);
      } else if (chance < 0.85) bytes.fill(0, place, place + sector);
    }
  }
}

/** Of each write whether it is all the same: the disk holds these bytes already, and no other write is on its way there. */
function mootOf(durable: Uint8Array, pending: readonly Pending[]): readonly boolean[] {
  return pending.map((op, at) => {
    if (op.kind === "length") return false;
    if (pending.some((other, place) => place < at && other.kind === "page" && other.page === op.page)) return false;
    const start = op.page * PAGE;
    return start + PAGE <= durable.length && equal(durable.subarray(start, start + PAGE), op.bytes);
  });
}
