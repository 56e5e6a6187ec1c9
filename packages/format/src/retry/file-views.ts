// The bytes that one attempt to read a file sees, and whether a writer committed meanwhile (spec §5, Readers).
import { isQdbError } from "../errors.ts";
import { equalBytes } from "../layout/bytes.ts";
import { HEADER_AREA_SIZE } from "../limits.ts";
import { type AreaRead, readArea } from "../open/choose-header.ts";
import { type QdbIndex, readIndex } from "../open/qdb-index.ts";
import type { Clock } from "../ports/clock.ts";
import type { Digests } from "../ports/digest.ts";
import { type RunOptions, run } from "../ports/drivers.ts";
import { read } from "../ports/plan.ts";
import { type AnySource, bytesSource } from "../ports/source.ts";
import { attempts, busy } from "./attempts.ts";

/** Options of reading a file to which a writer may commit. */
export interface RetryOptions extends RunOptions {
  readonly digests?: Digests;
  readonly clock?: Clock;
  /** Called each time the file was opened by the mirror of its header, because the primary is damaged. */
  readonly onMirror?: (index: QdbIndex) => void;
}

/** The file as one attempt reads it. */
export interface FileView {
  /** The file, or a copy of all its bytes in memory. */
  readonly source: AnySource;
  /** The primary header area, as it was before anything else was read. */
  readonly primary: AreaRead;
  /** Reads the primary again; returns whether no writer has committed since. @throws {QdbError} IO where it cannot be read any more */
  readonly isUnchanged: () => Promise<boolean>;
}

/** A view whose header and table were read. */
export interface OpenedView {
  readonly index: QdbIndex;
  readonly view: FileView;
}

/** Longest file that is read in one piece, in bytes. */
const MAX_WHOLE_BYTES = 8 * 1024 * 1024;

/** Number of attempts after which a small file is read in one piece also when only a part of it is needed. */
const ATTEMPTS_IN_PARTS = 2;

/** Options of {@link fileViews}. */
interface ViewOptions {
  /** A primary that was read before. The first view has it in place of reading it again. */
  readonly known?: AreaRead | undefined;
  /** Whether all of the file is needed: a small file is then read in one piece from the first attempt on. */
  readonly whole?: boolean;
}

/**
 * Yields a view for each attempt; the caller throws {@link busy} when there are no more. A small file is read in one piece if `whole` is
 * set, and after two attempts. That takes less time than running a plan on the file, so that it succeeds beside a busy writer.
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
        // The length is read after the header: a commit that made the file longer may have come in between.
        await source.refresh?.();
      }
      const read = primary;
      yield { source, primary, isUnchanged: () => isPrimaryUnchanged(source, read, options) };
    }
    attempt++;
  }
}

/** Reads a small file into memory; undefined for a longer one, and where it cannot be read in one piece. */
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
  // A length that changed means that the bytes may be those of two states.
  if (bytes === undefined || source.size !== size) return undefined;
  const { fixedSize } = source;
  return { ...bytesSource(bytes), ...(fixedSize === undefined ? {} : { fixedSize }) };
}

/** Reads header and table of a view; undefined if a writer committed meanwhile. @throws {QdbError} the first error of the file (spec §7) */
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
 * Reads the primary again; returns whether it has the same bytes.
 * @throws {QdbError} IO where it could be read before, and cannot be read now
 */
export async function isPrimaryUnchanged(source: AnySource, primary: AreaRead, options: RunOptions): Promise<boolean> {
  const length = Math.min(source.size, Math.max(primary.bytes.length, HEADER_AREA_SIZE));
  const { bytes, unread } = await run(readArea(0, length), source, options);
  if (equalBytes(bytes, primary.bytes)) return true;
  // A read error says nothing of a commit. A file that became shorter has changed.
  if (isQdbError(unread, "IO")) throw unread;
  return false;
}

/** Reads header and table, again when a writer committed meanwhile. @throws {QdbError} the first error of the file (spec §7); LOCKED */
export async function openWithRetry(source: AnySource, options: RetryOptions): Promise<QdbIndex> {
  for await (const view of fileViews(source, options)) {
    const index = await openView(view, options);
    if (index !== undefined) return index;
  }
  throw busy();
}
