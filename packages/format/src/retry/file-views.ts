// Views of a file. An attempt to read the file uses one view, which tells whether a writer has committed meanwhile (spec §5, Readers).
import { isQdbError } from "../errors.ts";
import { equalBytes } from "../layout/bytes.ts";
import { HEADER_AREA_SIZE } from "../limits.ts";
import { type AreaRead, readArea } from "../open/choose-header.ts";
import { type QdbIndex, readIndex } from "../open/qdb-index.ts";
import type { Clock } from "../ports/clock.ts";
import type { Digests } from "../ports/digest.ts";
import { drive, type RunOptions } from "../ports/drivers.ts";
import { checkSignal } from "../ports/long-call.ts";
import { read } from "../ports/plan.ts";
import { type AnySource, bytesSource } from "../ports/source.ts";
import { type Task, type Timing, wait } from "../ports/task.ts";
import { Attempts, busy } from "./attempts.ts";

/** Options of reading a file to which a writer may commit. */
export interface RetryOptions extends RunOptions {
  readonly digests?: Digests | undefined;
  readonly clock?: Clock | undefined;
  /** Called each time the mirror is used as the header of the file, because the primary is damaged or cannot be read. */
  readonly onMirror?: ((index: QdbIndex) => void) | undefined;
}

/** A file as one attempt reads it. */
export interface FileView {
  /** The file, or a copy of all its bytes in memory. */
  readonly source: AnySource;
  /** The primary, as it was read before anything else of the file. */
  readonly primary: AreaRead;
  /**
   * Reads the primary again, unless the source is immutable. Returns whether it is unchanged, which means that no writer has committed
   * since `primary` was read.
   * @throws {QdbError} IO if the primary cannot be read any more
   */
  readonly isUnchanged: () => Task<boolean>;
}

/** A view of a file, with the header and the table that were read from it. */
export interface OpenedView {
  readonly index: QdbIndex;
  readonly view: FileView;
}

/** Maximum length in bytes of a file that is read into memory as a whole. */
const MAX_WHOLE_BYTES = 8 * 1024 * 1024;

/** Number of attempts after which a small file is read into memory as a whole, even if only a part of it is needed. */
const ATTEMPTS_IN_PARTS = 2;

/** Options of {@link FileViews}. */
interface ViewOptions {
  /** The primary, if it was read earlier. The first view uses it and does not read the primary again. */
  readonly known?: AreaRead | undefined;
  /** Whether all of the file is needed. A small file is then read into memory as a whole at the first attempt already. */
  readonly whole?: boolean;
}

/**
 * The views of a file, one for each attempt. A small file is read into memory as a whole if `whole` is set, or after two attempts. This
 * takes less time than running a plan on the file, so that it can succeed between two commits of a busy writer.
 */
export class FileViews {
  readonly #timing: Timing;
  readonly #source: AnySource;
  readonly #options: RetryOptions;
  readonly #how: ViewOptions;
  readonly #attempts: Attempts;
  #count = 0;

  constructor(timing: Timing, source: AnySource, options: RetryOptions, how: ViewOptions = {}) {
    this.#timing = timing;
    this.#source = source;
    this.#options = options;
    this.#how = how;
    this.#attempts = new Attempts(timing, options);
  }

  /** Returns the view of the next attempt; undefined if there is none: the caller throws {@link busy} then. */
  *next(): Task<FileView | undefined> {
    while (yield* this.#attempts.next()) {
      const view = yield* this.#view(this.#count++);
      if (view !== undefined) return view;
    }
    return undefined;
  }

  /** Returns the view of an attempt; undefined if a writer has committed while the file was read into memory. */
  *#view(attempt: number): Task<FileView | undefined> {
    const timing = this.#timing;
    const source = this.#source;
    const options = this.#options;
    const { known, whole = false } = this.#how;
    const isWhole = whole || attempt >= ATTEMPTS_IN_PARTS;
    const memory = isWhole ? yield* readWhole(timing, source, options) : undefined;
    if (memory !== undefined) {
      const primary = yield* drive(readArea(0, memory.size), memory, options, timing);
      if (!(yield* isPrimaryUnchanged(timing, source, primary, options))) return undefined;
      return { source: memory, primary, isUnchanged: () => wait(true) };
    }
    let primary = attempt === 0 ? known : undefined;
    if (primary === undefined) {
      primary = yield* drive(readArea(0, source.size), source, options, timing);
      // The length is read after the primary. If a commit has made the file longer, it then includes all that the primary refers to.
      yield* wait(source.refresh?.());
    }
    const read = primary;
    return { source, primary, isUnchanged: () => isPrimaryUnchanged(timing, source, read, options) };
  }
}

/** Reads a whole file into memory. Returns undefined if the file is too long, cannot be read, or changes its length meanwhile. */
function* readWhole(timing: Timing, source: AnySource, options: RunOptions): Task<AnySource | undefined> {
  yield* wait(source.refresh?.());
  const { size } = source;
  if (size > MAX_WHOLE_BYTES) return undefined;
  let bytes: Uint8Array | undefined;
  try {
    [bytes] = yield* drive(read([{ offset: 0, length: size }]), source, options, timing);
  } catch (error) {
    if (!isQdbError(error, "IO", "SHORT_READ")) throw error;
  }
  yield* wait(source.refresh?.());
  // If the length has changed, the bytes may be those of two generations.
  if (bytes === undefined || source.size !== size) return undefined;
  const { fixedSize } = source;
  return { ...bytesSource(bytes), ...(fixedSize === undefined ? {} : { fixedSize }) };
}

/**
 * Reads header and table of a view. Returns undefined if a writer has committed meanwhile.
 * @throws {QdbError} the code of the first error of the file (spec §7)
 */
export function* openView(timing: Timing, view: FileView, options: RetryOptions): Task<QdbIndex | undefined> {
  let result: { value: QdbIndex } | { error: unknown };
  try {
    const plan = readIndex(view.source.size, options.digests, view.primary);
    result = { value: yield* drive(plan, view.source, options, timing) };
  } catch (error) {
    result = { error };
  }
  if (!(yield* view.isUnchanged())) return undefined;
  if ("error" in result) throw result.error;
  if (result.value.headerSource === "mirror") options.onMirror?.(result.value);
  return result.value;
}

/**
 * Reads the primary again, unless the source is immutable. Returns whether it has the same bytes as `primary`.
 * @throws {QdbError} IO if bytes that could be read before cannot be read now; ABORTED
 */
export function* isPrimaryUnchanged(
  timing: Timing,
  source: AnySource,
  primary: AreaRead,
  options: RunOptions,
): Task<boolean> {
  checkSignal(options.signal);
  if (source.immutable === true) return true;
  const length = Math.min(source.size, Math.max(primary.bytes.length, HEADER_AREA_SIZE));
  const { bytes, unread } = yield* drive(readArea(0, length), source, options, timing);
  if (equalBytes(bytes, primary.bytes)) return true;
  // IO does not mean that a writer has committed. SHORT_READ does: the file has become shorter.
  if (isQdbError(unread, "IO")) throw unread;
  return false;
}

/**
 * Reads header and table of a file. Starts over if a writer commits meanwhile.
 * @throws {QdbError} the code of the first error of the file (spec §7); LOCKED if a writer commits during every attempt
 */
export function* openWithRetry(timing: Timing, source: AnySource, options: RetryOptions): Task<QdbIndex> {
  const views = new FileViews(timing, source, options);
  for (let view = yield* views.next(); view !== undefined; view = yield* views.next()) {
    const index = yield* openView(timing, view, options);
    if (index !== undefined) return index;
  }
  throw busy();
}
