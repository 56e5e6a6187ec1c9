import { type ByteRange, type ByteSource, isQdbError, QdbError, type ReadOptions } from "@qdb/format";
import { shortRead } from "@qdb/format/container";
import { checkSignal, itemAt } from "@qdb/format/internal";
import { closedError } from "../system/errors.ts";
import { cutFrom, joinRanges, type Span } from "../system/spans.ts";
import { type HttpState, isHeld } from "./answer.ts";
import { type RequestOptions, requestRange } from "./request.ts";
import { type RetryOptions, withRetries } from "./retry.ts";
import { SpanCache } from "./span-cache.ts";

/** What a source has received from its server so far. */
export interface Received {
  /** Requests that were sent, those that were sent again counted each time. */
  readonly requests: number;
  /** Bytes of bodies that arrived. */
  readonly bytes: number;
}

/** Options of {@link openHttpSource}. */
export interface HttpOptions extends RequestOptions, RetryOptions {
  /** Ends opening and every read with ABORTED. */
  readonly signal?: AbortSignal | undefined;
  /** Maximum number of bytes that are kept to answer later reads (default 4 MiB). */
  readonly cacheBytes?: number | undefined;
  /** Called at each request and each part of a body that arrives. */
  readonly onReceived?: ((received: Received) => void) | undefined;
}

/** Length of the first request: the header, and mostly the table of a small file. */
const FIRST_BYTES = 16 * 1024;
const CACHE_BYTES = 4 * 1024 * 1024;
/** Browsers send no more requests than this to one HTTP/1.1 server at the same time. */
const MAX_REQUESTS = 6;

/**
 * A file at an HTTP server that answers requests for ranges, as a source. A read returns exactly the bytes asked for or throws. All answers
 * must have the ETag, the Last-Modified and the length of the first one, so that all bytes belong to one state of the file: with a strong
 * ETag the source is immutable. Without one nothing is cached, and readers compare the header again after they have read the bits.
 *
 * Requests have no If-Range and no If-Match: a browser would have to ask a server of another origin for permission first.
 *
 * After an error of the server every later read throws the same error: a source cannot be used any more then.
 */
export class HttpSource implements ByteSource {
  readonly url: string;
  readonly size: number;
  /** Whether the state of the file is held by a strong ETag. */
  readonly immutable: boolean;
  readonly #state: HttpState;
  readonly #loader: Loader;
  readonly #cache: SpanCache;
  #failed: QdbError | undefined;

  private constructor(loader: Loader, state: HttpState, cache: SpanCache) {
    this.url = loader.url;
    this.size = state.size;
    this.immutable = isHeld(state);
    this.#loader = loader;
    this.#state = state;
    this.#cache = cache;
  }

  /** Opens a file. @throws {QdbError} as {@link openHttpSource} */
  static async open(url: string | URL, options: HttpOptions = {}): Promise<HttpSource> {
    const loader = new Loader(String(url), options);
    const { state, bytes } = await loader.load({ offset: 0, length: FIRST_BYTES }, undefined, undefined);
    const cache = new SpanCache(isHeld(state) ? (options.cacheBytes ?? CACHE_BYTES) : 0);
    cache.add({ offset: 0, bytes });
    return new HttpSource(loader, state, cache);
  }

  /** What was received from the server so far. */
  get received(): Received {
    return this.#loader.received;
  }

  /** Reads exactly `length` bytes at `offset`. @throws {QdbError} as {@link readMany} */
  async read(offset: number, length: number, options: ReadOptions = {}): Promise<Uint8Array> {
    return itemAt(await this.readMany([{ offset, length }], options), 0);
  }

  /**
   * Reads ranges in as few requests as their places allow, up to six at the same time.
   * @throws {QdbError} SHORT_READ if a range ends past the end; ABORTED; SOURCE_CHANGED if the file at the server was changed; NOT_FOUND,
   * NOT_SUPPORTED, IO with what the server did; USAGE if the source is closed
   */
  async readMany(ranges: readonly ByteRange[], { signal }: ReadOptions = {}): Promise<readonly Uint8Array[]> {
    for (const { offset, length } of ranges) {
      // The condition is written so that NaN fails it.
      if (!(offset >= 0 && length >= 0 && offset + length <= this.size)) throw shortRead(offset, length, this.size);
    }
    if (this.#failed !== undefined) throw this.#failed;
    const known = ranges.map((range) => (range.length === 0 ? new Uint8Array(0) : this.#cache.get(range)));
    const missing = ranges.filter((_, index) => known[index] === undefined);
    const spans = missing.length === 0 ? [] : await this.#loadAll(joinRanges(missing), signal);
    return ranges.map((range, index) => known[index] ?? cutFrom(spans, range));
  }

  /** Ends the use of the source, and the requests that are under way. */
  close(): void {
    this.#loader.close();
  }

  async #loadAll(ranges: readonly ByteRange[], signal: AbortSignal | undefined): Promise<Span[]> {
    const spans: Span[] = new Array(ranges.length);
    // When one request fails, the others of the round end too.
    const round = new AbortController();
    let next = 0;
    const loadSome = async (): Promise<void> => {
      while (next < ranges.length) {
        const index = next++;
        const range = itemAt(ranges, index);
        const { bytes } = await this.#loader.load(range, this.#state, signal, round.signal);
        const span = { offset: range.offset, bytes };
        spans[index] = span;
        this.#cache.add(span);
      }
    };
    try {
      await Promise.all(Array.from({ length: Math.min(MAX_REQUESTS, ranges.length) }, loadSome));
    } catch (error) {
      round.abort();
      if (isQdbError(error) && error.code !== "ABORTED" && error.code !== "USAGE") this.#failed ??= error;
      throw error;
    }
    return spans;
  }
}

/** Loads spans from one address, and counts what is received. */
class Loader {
  readonly url: string;
  received: Received = { requests: 0, bytes: 0 };
  readonly #options: HttpOptions;
  readonly #closed = new AbortController();

  constructor(url: string, options: HttpOptions) {
    this.url = url;
    this.#options = options;
  }

  close(): void {
    this.#closed.abort();
  }

  async load(
    range: ByteRange,
    known: HttpState | undefined,
    ...signals: readonly (AbortSignal | undefined)[]
  ): Promise<{ readonly state: HttpState; readonly bytes: Uint8Array }> {
    const { signal: ofSource } = this.#options;
    const given = [ofSource, ...signals].filter((signal) => signal !== undefined);
    const { signal, release } = anyOf([this.#closed.signal, ...given]);
    const onBytes = (count: number): void => this.#count(0, count);
    try {
      return await withRetries(
        () => {
          this.#count(1, 0);
          return requestRange(this.url, range, known, { ...this.#options, signal, onBytes });
        },
        this.#options,
        signal,
      );
    } catch (error) {
      if (this.#closed.signal.aborted) throw closedError("the source");
      for (const one of given) checkSignal(one);
      if (!isQdbError(error)) throw error;
      const where = { ...error.where, offset: range.offset };
      throw new QdbError(error.code, `${this.url}: ${error.message}`, where, { cause: error });
    } finally {
      release();
    }
  }

  #count(requests: number, bytes: number): void {
    const { received } = this;
    this.received = { requests: received.requests + requests, bytes: received.bytes + bytes };
    this.#options.onReceived?.(this.received);
  }
}

/** A signal that is aborted when one of others is. `AbortSignal.any` is newer than the hosts of this package. */
function anyOf(signals: readonly AbortSignal[]): { readonly signal: AbortSignal; readonly release: () => void } {
  const control = new AbortController();
  const abort = (): void => control.abort(signals.find((signal) => signal.aborted)?.reason);
  for (const signal of signals) signal.addEventListener("abort", abort);
  if (signals.some((signal) => signal.aborted)) abort();
  const release = (): void => {
    for (const signal of signals) signal.removeEventListener("abort", abort);
  };
  return { signal: control.signal, release };
}

/**
 * Opens a file at an HTTP address, by one request for its first 16 KiB.
 *
 * The server must answer requests for ranges (206) with Content-Range and with an ETag or a Last-Modified. A server of another origin must
 * send `Access-Control-Allow-Origin` and `Access-Control-Expose-Headers: Content-Range, ETag, Content-Encoding, Retry-After`.
 * @throws {QdbError} NOT_FOUND if there is no such file; NOT_SUPPORTED if the server ignores ranges, compresses them, or does not show a
 * header that is needed, which the message names; LIMIT for 2^53 bytes or more; IO for no connection after all tries, and for every other
 * answer, with what the server did; ABORTED
 * @example
 * const source = await openHttpSource("https://example.org/vm.qdb", { signal });
 */
export async function openHttpSource(url: string | URL, options: HttpOptions = {}): Promise<HttpSource> {
  return HttpSource.open(url, options);
}
