// What each attempt to read beside a writer reads, and whether that is of one state (spec §5, Readers).
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
import { attempts } from "./attempts.ts";

/** What reading beside a writer takes. */
export interface StableOptions extends RunOptions {
  readonly digests?: Digests;
  readonly clock?: Clock;
  /** Called each time that a state of the file was read through the mirror. */
  readonly onMirror?: (index: QdbIndex) => void;
}

/** What one attempt reads. */
export interface View {
  /** The file, or the bytes that it had in memory. */
  readonly source: AnySource;
  readonly primary: AreaRead;
  /** Whether no commit passed by until now. @throws {QdbError} IO where that cannot be seen */
  readonly isStill: () => Promise<boolean>;
}

/** Length of a file that is read in one piece at most. */
const MAX_WHOLE_BYTES = 8 * 1024 * 1024;

/** Attempts that come before a small file is read in one piece, for who needs only a part of it. */
const ATTEMPTS_IN_PARTS = 2;

/** How a file is viewed. */
interface ViewOptions {
  /** A primary that was read before: the first view is that of its state. */
  readonly known?: AreaRead | undefined;
  /** Whether all of the file is wanted: a small one is read in one piece from the first attempt on. */
  readonly whole?: boolean;
}

/**
 * A view for each attempt. To read a small file in one piece takes much less time than what is made of its bytes, so no commit
 * passes by for long; after two attempts that were too slow every small file is read so. Ends with `busy` to be thrown.
 */
export async function* views(
  source: AnySource,
  options: StableOptions,
  { known, whole = false }: ViewOptions = {},
): AsyncGenerator<View, void> {
  let attempt = 0;
  for await (const _ of attempts(options)) {
    const isWhole = whole || attempt >= ATTEMPTS_IN_PARTS;
    const memory = isWhole ? await readWhole(source, options) : undefined;
    if (memory !== undefined) {
      const primary = await run(readArea(0, memory.size), memory, options);
      if (await isUnchanged(source, primary, options)) yield { source: memory, primary, isStill: async () => true };
    } else {
      let primary = attempt === 0 ? known : undefined;
      if (primary === undefined) {
        primary = await run(readArea(0, source.size), source, options);
        // The length after the header: what it reaches may lie behind the end that the file had when it was opened.
        await source.refresh?.();
      }
      const read = primary;
      yield { source, primary, isStill: () => isUnchanged(source, read, options) };
    }
    attempt++;
  }
}

/** The bytes of a small file; undefined for a longer one, and where they cannot be read in one piece. */
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
  // A header that was read reaches no further than the length that the file has afterwards.
  if (bytes === undefined || source.size !== size) return undefined;
  const { fixedSize } = source;
  return { ...bytesSource(bytes), ...(fixedSize === undefined ? {} : { fixedSize }) };
}

/** Header and table in a view; undefined where a commit passed by. @throws {QdbError} the first error of the file (spec §7) */
export async function openView(view: View, options: StableOptions): Promise<QdbIndex | undefined> {
  let result: { value: QdbIndex } | { error: unknown };
  try {
    const plan = readIndex(view.source.size, options.digests, view.primary);
    result = { value: await run(plan, view.source, options) };
  } catch (error) {
    result = { error };
  }
  if (!(await view.isStill())) return undefined;
  if ("error" in result) throw result.error;
  if (result.value.headerSource === "mirror") options.onMirror?.(result.value);
  return result.value;
}

/** Whether the primary is as it was read. @throws {QdbError} IO where it could be read before, and cannot be read now */
export async function isUnchanged(source: AnySource, primary: AreaRead, options: RunOptions): Promise<boolean> {
  const length = Math.min(source.size, Math.max(primary.bytes.length, HEADER_AREA_SIZE));
  const { bytes, unread } = await run(readArea(0, length), source, options);
  if (equalBytes(bytes, primary.bytes)) return true;
  // What cannot be looked at says nothing of a commit. Bytes that are gone are a change.
  if (isQdbError(unread, "IO")) throw unread;
  return false;
}
