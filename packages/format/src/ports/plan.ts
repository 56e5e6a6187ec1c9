import { isQdbError, QdbError } from "../errors.ts";
import type { AnySource, ByteRange, SyncByteSource } from "./source.ts";

/** One step of a plan: ranges that it wants read (in one round), or a value that it puts out. */
export type Step<O> = { readonly read: readonly ByteRange[] } | { readonly put: O };

/**
 * The order of reads, written once: a generator that asks for ranges and is handed their bytes.
 * It runs under a synchronous driver (files, memory) or an asynchronous one (HTTP, browsers), and can be
 * tested without either. `O` is what it puts out on the way, `T` what it returns.
 */
export type Plan<T, O = never> = Generator<Step<O>, T, readonly Uint8Array[]>;

/** What every long call takes. */
export interface RunOptions {
  /** Ends the call with ABORTED at its next step. */
  readonly signal?: AbortSignal;
}

const NOTHING: readonly Uint8Array[] = [];

/** Asks for ranges and gives their bytes, in order: one round. Empty ranges are not asked for. */
export function* read(ranges: readonly ByteRange[]): Plan<readonly Uint8Array[]> {
  const asked = ranges.filter((range) => range.length > 0);
  if (asked.length === ranges.length) return asked.length === 0 ? NOTHING : yield { read: asked };
  const pieces = asked.length === 0 ? NOTHING : yield { read: asked };
  let next = 0;
  return ranges.map((range) => (range.length === 0 ? undefined : pieces[next++]) ?? new Uint8Array(0));
}

/**
 * Asks for ranges as {@link read} does; where the round fails, asks again one by one, so that bytes that cannot be read do not take the
 * others with them: their error stands in their place.
 */
export function* readEach(ranges: readonly ByteRange[]): Plan<readonly (Uint8Array | QdbError)[]> {
  try {
    return yield* read(ranges);
  } catch (error) {
    if (!isQdbError(error, "IO", "SHORT_READ")) throw error;
  }
  const result: (Uint8Array | QdbError)[] = [];
  for (const range of ranges) {
    try {
      result.push(...(yield* read([range])));
    } catch (error) {
      if (!isQdbError(error, "IO", "SHORT_READ")) throw error;
      result.push(error);
    }
  }
  return result;
}

/** Puts a value out. */
export function* put<O>(value: O): Plan<void, O> {
  yield { put: value };
}

/** Runs a plan inside another one and changes what it puts out; what becomes undefined is dropped. `onRead` is called before each round. */
export function* mapPut<T, A, B>(
  plan: Plan<T, A>,
  change: (value: A) => B | undefined,
  onRead?: () => void,
): Plan<T, B> {
  try {
    let step = plan.next(NOTHING);
    while (step.done !== true) {
      if ("put" in step.value) {
        const changed = change(step.value.put);
        if (changed !== undefined) yield { put: changed };
        step = plan.next(NOTHING);
        continue;
      }
      onRead?.();
      let bytes: readonly Uint8Array[];
      try {
        bytes = yield step.value;
      } catch (error) {
        step = plan.throw(error);
        continue;
      }
      step = plan.next(bytes);
    }
    return step.value;
  } finally {
    // Ends the inner plan where the outer one was ended early; one that has ended already takes no notice.
    plan.return(undefined as T);
  }
}

/** Runs a plan inside another one and tells of each round that it asks for, before it is read. */
export function tellReads<T, O>(plan: Plan<T, O>, tell: () => void): Plan<T, O> {
  return mapPut(plan, (value) => value, tell);
}

/** Runs a plan inside another one and drops what it puts out. */
export function quietly<T, O>(plan: Plan<T, O>): Plan<T> {
  return mapPut<T, O, never>(plan, () => undefined);
}

function checkSignal(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) {
    throw new QdbError("ABORTED", "the call was aborted by its caller", {}, { cause: signal.reason });
  }
}

function exact(bytes: Uint8Array, range: ByteRange): Uint8Array {
  // A port that breaks its promise must not turn into clean bits.
  if (bytes.length === range.length) return bytes;
  throw new QdbError(
    "SHORT_READ",
    `a source gave ${bytes.length} bytes where ${range.length} at offset ${range.offset} were asked for`,
    { offset: range.offset },
  );
}

/** Runs a plan on a synchronous source, giving what it puts out. @throws {QdbError} ABORTED, and what plan and source throw */
export function* streamSync<T, O>(plan: Plan<T, O>, source: SyncByteSource, options: RunOptions = {}): Generator<O, T> {
  let finished = false;
  try {
    let step = plan.next(NOTHING);
    for (;;) {
      if (step.done === true) {
        finished = true;
        return step.value;
      }
      checkSignal(options.signal);
      if ("put" in step.value) {
        yield step.value.put;
        step = plan.next(NOTHING);
        continue;
      }
      let input: readonly Uint8Array[];
      try {
        input = fetchSync(step.value.read, source);
      } catch (error) {
        // The plan hears of it: for a header, bytes that cannot be read are wrong bytes (spec §2).
        step = plan.throw(error);
        continue;
      }
      step = plan.next(input);
    }
  } finally {
    if (!finished) plan.return(undefined as T);
  }
}

/** How long a plan may keep the event loop before timers and signals get their turn, in ms. */
const BREATH_MS = 15;

/** Runs a plan on any source, giving what it puts out. @throws {QdbError} ABORTED, and what plan and source throw */
export async function* stream<T, O>(
  plan: Plan<T, O>,
  source: AnySource,
  options: RunOptions = {},
): AsyncGenerator<O, T> {
  let finished = false;
  try {
    let since = performance.now();
    let step = plan.next(NOTHING);
    for (;;) {
      if (step.done === true) {
        finished = true;
        return step.value;
      }
      checkSignal(options.signal);
      if ("put" in step.value) {
        yield step.value.put;
        step = plan.next(NOTHING);
      } else {
        step = await advance(plan, step.value.read, source, options);
        if (!("readSync" in source)) since = performance.now();
      }
      if (performance.now() - since > BREATH_MS) {
        await new Promise<void>((resolve) => setTimeout(resolve, 0));
        since = performance.now();
      }
    }
  } finally {
    if (!finished) plan.return(undefined as T);
  }
}

/** Reads what a plan asks for and hands it over; an error of the source is thrown into the plan. @throws {QdbError} ABORTED */
async function advance<T, O>(
  plan: Plan<T, O>,
  ranges: readonly ByteRange[],
  source: AnySource,
  options: RunOptions,
): Promise<IteratorResult<Step<O>, T>> {
  let input: readonly Uint8Array[];
  try {
    input = await fetchRanges(ranges, source, options);
  } catch (error) {
    // A source that was told to stop says so in its own words, which are no error of its bytes.
    checkSignal(options.signal);
    return plan.throw(error);
  }
  return plan.next(input);
}

/** Reads the ranges of one round. @internal */
export function fetchSync(ranges: readonly ByteRange[], source: SyncByteSource): readonly Uint8Array[] {
  return ranges.map((range) => exact(source.readSync(range.offset, range.length), range));
}

/** Reads the ranges of one round, awaited where the source wants it. @internal */
export async function fetchRanges(
  ranges: readonly ByteRange[],
  source: AnySource,
  options: RunOptions,
): Promise<readonly Uint8Array[]> {
  if ("readSync" in source) return fetchSync(ranges, source);
  return Promise.all(ranges.map(async (range) => exact(await source.read(range.offset, range.length, options), range)));
}

/** Runs a plan that puts nothing out on a synchronous source. @throws {QdbError} ABORTED, and what plan and source throw */
export function runSync<T>(plan: Plan<T>, source: SyncByteSource, options: RunOptions = {}): T {
  const steps = streamSync(plan, source, options);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** Runs a plan that puts nothing out on any source. @throws {QdbError} ABORTED, and what plan and source throw */
export async function run<T>(plan: Plan<T>, source: AnySource, options: RunOptions = {}): Promise<T> {
  const steps = stream(plan, source, options);
  for (;;) {
    const step = await steps.next();
    if (step.done === true) return step.value;
  }
}
