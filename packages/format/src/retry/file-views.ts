// Views of a file. An attempt to read the file uses one view, which tells whether a writer has committed meanwhile (spec §5, Readers).
import { isQdbError } from "../errors.ts";
import { equalBytes } from "../layout/bytes.ts";
import { HEADER_AREA_SIZE } from "../limits.ts";
import { type AreaRead, readArea } from "../open/choose-header.ts";
import { type QdbIndex, readIndex } from "../open/qdb-index.ts";
import type { Clock } from "../ports/clock.ts";
import type { Digests } from "../ports/digest.ts";
import { type RunOptions, run } from "../ports/drivers.ts";
import { checkSignal } from "../ports/long-call.ts";
import { read } from "../ports/plan.ts";
import { type AnySource, bytesSource } from "../ports/source.ts";
import { attempts, busy } from "./attempts.ts";

/** Options of reading a file to which a writer may commit. */
export interface RetryOptions extends RunOptions {
  readonly digests?: Digests;
  readonly clock?: Clock;
  /** Called each time the mirror is used as the header of the file, because the primary is damaged or cannot be read. */
  readonly onMirror?: (index: QdbIndex) => void;
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
  readonly isUnchanged: () => Promise<boolean>;
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

/** Options of {@link fileViews}. */
interface ViewOptions {
  /** The primary, if it was read earlier. The first view uses it and does not read the primary again. */
  readonly known?: AreaRead | undefined;
  /** Whether all of the file is needed. A small file is then read into memory as a whole at the first attempt already. */
  readonly whole?: boolean;
}

/**
 * Yields a view for each attempt; the caller throws {@link busy} when there are no more. A small file is read into memory as a whole if
 * `whole` is set, or after two attempts. This takes less time than running a plan on the file, so that it can succeed between two commits
 * of a busy writer.
 */
export async function* fileViews(
  source: AnySource,
  options: RetryOptions,
  { known, whole = false }: ViewOptions = {},
): AsyncGenerator<FileView, void> {
  let attempt = 0;
  for await (const _ of attempts(options)) {
    const isWhole = whole || attempt >= ATTEMPTS_IN_PARTS;
    const memory = isWhole ? await readWhole(source, options) : undefined;
    if (memory !== undefined) {
      const primary = await run(readArea(0, memory.size), memory, options);
      if (await isPrimaryUnchanged(source, primary, options))
        yield { source: memory, primary, isUnchanged: async () => true };
    } else {
      let primary = attempt === 0 ? known : undefined;
      if (primary === undefined) {
        primary = await run(readArea(0, source.size), source, options);
        // The length is read after the primary. If a commit has made the file longer, it then includes all that the primary refers to.
        await source.refresh?.();
      }
      const read = primary;
      yield { source, primary, isUnchanged: () => isPrimaryUnchanged(source, read, options) };
    }
    attempt++;
  }
}

/** Reads a whole file into memory. Returns undefined if the file is too long, cannot be read, or changes its length meanwhile. */
async function readWhole(source: AnySource, options: RunOptions): Promise<AnySource | undefined> {
  await source.refresh?.();
  const { size } = source;
  if (size > MAX_WHOLE_BYTES) return undefined;
  let bytes: Uint8Array | undefined;
  try {
    [bytes] = await run(read([{ offset: 0, length: size }]), source, options);
  } catch (error) {
    if (!isQdbError(error, "IO", "SHORT_READ")) throw error;
  }
  await source.refresh?.();
  // If the length has changed, the bytes may be those of two generations.
  if (bytes === undefined || source.size !== size) return undefined;
  const { fixedSize } = source;
  return { ...bytesSource(bytes), ...(fixedSize === undefined ? {} : { fixedSize }) };
}

/**
 * Reads header and table of a view. Returns undefined if a writer has committed meanwhile.
 * @throws {QdbError} the code of the first error of the file (spec §7)
 */
export async function openView(view: FileView, options: RetryOptions): Promise<QdbIndex | undefined> {
  let result: { value: QdbIndex } | { error: unknown };
  try {
    const plan = readIndex(view.source.size, options.digests, view.primary);
    result = { value: await run(plan, view.source, options) };
  } catch (error) {
    result = { error };
  }
  if (!(await view.isUnchanged())) return undefined;
  if ("error" in result) throw result.error;
  if (result.value.headerSource === "mirror") options.onMirror?.(result.value);
  return result.value;
}

/**
 * Reads the primary again, unless the source is immutable. Returns whether it has the same bytes as `primary`.
 * @throws {QdbError} IO if bytes that could be read before cannot be read now; ABORTED
 */
export async function isPrimaryUnchanged(source: AnySource, primary: AreaRead, options: RunOptions): Promise<boolean> {
  checkSignal(options.signal);
  if (source.immutable === true) return true;
  const length = Math.min(source.size, Math.max(primary.bytes.length, HEADER_AREA_SIZE));
  const { bytes, unread } = await run(readArea(0, length), source, options);
  if (equalBytes(bytes, primary.bytes)) return true;
  // IO does not mean that a writer has committed. SHORT_READ does: the file has become shorter.
  if (isQdbError(unread, "IO")) throw unread;
  return false;
}

/**
 * Reads header and table of a file. Starts over if a writer commits meanwhile.
 * @throws {QdbError} the code of the first error of the file (spec §7); LOCKED if a writer commits during every attempt
 */
export async function openWithRetry(source: AnySource, options: RetryOptions): Promise<QdbIndex> {
  for await (const view of fileViews(source, options)) {
    const index = await openView(view, options);
    if (index !== undefined) return index;
  }
  throw busy();
}
