// What the parts of a script share: the disk, the states that its file may be in, the count of what was judged.
import { isQdbError, type QdbErrorCode } from "@qdb/format";
import { QdbEditor, type SyncStore } from "@qdb/format/container";
import { random, ZLIB } from "../store.ts";
import { Disk } from "./disk.ts";
import { FileIds } from "./file-ids.ts";
import { isIn, type State, settled, stateOf } from "./judge.ts";
import { PowerCuts } from "./power-cut.ts";
import { type Dice, startFile } from "./start-file.ts";
import { look, type View } from "./view.ts";

/** What a script came to. */
export interface Outcome {
  /** Different files that a power cut left, each opened and judged. */
  states: number;
  /** What was done, and how often. */
  readonly counts: Map<string, number>;
  /** The first thing that was wrong. */
  wrong?: string | undefined;
  /** What was done, line by line. */
  readonly trace: string[];
}

/** Ends a script: something is wrong. */
export class Wrong extends Error {}

/** A store between the library and the disk, to see that a weaker protocol is noticed. */
export type Bend = (disk: Disk) => SyncStore;

/** How a file is opened for writing. */
export interface OpenOptions {
  readonly repair: boolean;
  readonly acceptMirror?: boolean;
}

export class Bench {
  readonly dice: Dice;
  readonly cuts: PowerCuts;
  readonly clusterSize: number;
  readonly fixedSize: boolean;
  readonly outcome: Outcome = { states: 0, counts: new Map(), trace: [] };
  disk: Disk;
  /** What the file may be in, the newest first: one state, but after a failure more. */
  states: readonly State[];
  /** A file that a power cut left in the last session, and its state. */
  wreck: (State & { readonly bytes: Uint8Array }) | undefined;
  /** The files that were read, and whether a power cut left them. */
  readonly #seen = new Map<string, { readonly view: View; isState: boolean }>();
  readonly #ids = new FileIds();
  readonly #bend: Bend;
  #names = 0;
  #nextId = 0;

  constructor(seed: number, bend: Bend = (disk) => disk) {
    this.dice = random(seed);
    this.#bend = bend;
    const start = startFile(this.dice);
    this.clusterSize = start.clusterSize;
    this.fixedSize = start.fixedSize;
    const sector = this.dice() < 0.5 ? 512 : 4096;
    this.cuts = new PowerCuts(this.dice, sector);
    this.disk = this.diskOf(start.bytes);
    this.states = [{ view: look(start.bytes), plain: start.plain }];
    this.log(
      `${start.plain.isDraft ? "draft" : "full"} form, clusters of ${start.clusterSize}, ` +
        `${start.bytes.length} bytes${start.fixedSize ? " of a device" : ""}, sectors of ${sector}`,
    );
  }

  /** The one state, or the oldest. */
  get state(): State {
    const state = this.states.at(-1);
    if (state === undefined) throw new Error("a file is in some state");
    return state;
  }

  /** Whether there is one state only, on the disk as in the cache. */
  get isSettled(): boolean {
    return this.states.length === 1 && !this.disk.isStale;
  }

  diskOf(bytes: Uint8Array): Disk {
    return new Disk(bytes, this.dice, { fixedSize: this.fixedSize });
  }

  log(line: string): void {
    this.outcome.trace.push(line);
  }

  count(what: string): void {
    this.outcome.counts.set(what, (this.outcome.counts.get(what) ?? 0) + 1);
  }

  /** @throws {Wrong} where something is */
  judge(wrong: string | undefined, where: string): void {
    if (wrong !== undefined) throw new Wrong(`${where}: ${wrong}`);
  }

  /** A name that no bitmap has. */
  readonly newName = (): string => `n${this.#names++}`;

  /** Sets the ids that follow, so that two runs of one commit use the same. */
  setIds(first: number): void {
    this.#nextId = first;
  }

  /** A number for {@link setIds} that leaves room behind all that were used. */
  newIds(): number {
    this.#nextId += 256;
    return this.#nextId;
  }

  /** Opens a file for writing. @throws {QdbError} as the library does */
  async open(disk: Disk, options: OpenOptions): Promise<QdbEditor> {
    return QdbEditor.open(this.#bend(disk), { digests: ZLIB, randomId: () => this.#newId(), ...options });
  }

  #newId(): Uint8Array {
    const id = new Uint8Array(16).fill(0x1d);
    new DataView(id.buffer).setUint32(12, this.#nextId++);
    return id;
  }

  /** Reads a file that a power cut left; the same one only once. */
  lookOnce(bytes: Uint8Array): View {
    const seen = this.#look(bytes);
    if (!seen.isState) this.outcome.states++;
    seen.isState = true;
    return seen.view;
  }

  /** Reads a file that no power cut left; the same one only once. */
  look(bytes: Uint8Array): View {
    return this.#look(bytes).view;
  }

  #look(bytes: Uint8Array): { readonly view: View; isState: boolean } {
    const id = this.#ids.idOf(bytes);
    const known = this.#seen.get(id);
    if (known !== undefined) return known;
    const seen = { view: look(bytes), isState: false };
    this.#seen.set(id, seen);
    return seen;
  }

  /** The state that the file shows now. */
  present(): State {
    const view = this.lookOnce(this.disk.cached);
    const state = stateOf(this.states, view);
    if (state === undefined) this.judge(isIn(this.state, view), "the file when it is opened");
    return { view, plain: settled((state ?? this.state).plain, view) };
  }
}

/** The code that a call fails with. */
export async function codeOf(call: () => Promise<unknown>): Promise<QdbErrorCode | undefined> {
  try {
    await call();
    return undefined;
  } catch (error) {
    if (isQdbError(error)) return error.code;
    throw error;
  }
}
