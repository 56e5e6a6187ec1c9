// One request for a range: its head is checked, and its body has exactly the length of the range.
import { type ByteRange, isQdbError, QdbError } from "@qdb/format";
import { messageOf } from "../system/errors.ts";
import { checkAnswer, type HttpState, Overload, rangeText } from "./answer.ts";

/** How requests are sent. */
export interface RequestOptions {
  /** Replaces `fetch`, for example to sign requests. */
  readonly fetch?: typeof fetch | undefined;
  /** Headers of each request. Most make a browser ask the server of another origin for permission first, in a request of its own. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Whether cookies are sent to other origins; see `fetch`. */
  readonly credentials?: RequestCredentials | undefined;
  /** Milliseconds without a byte after which a request counts as failed (default 30000). */
  readonly timeoutMs?: number | undefined;
}

/** A failure that may pass: the connection broke, or the server is overloaded. The request can be sent again. */
export class Passing extends Error {
  /** Seconds after which the server asks for another try. */
  readonly seconds: number | undefined;

  constructor(message: string, cause: unknown, seconds?: number) {
    super(message, { cause });
    this.seconds = seconds;
  }
}

const TIMEOUT_MS = 30_000;

/**
 * Sends one request for a range. `onBytes` is called with the length of each part of the body as it arrives. An abort throws what `fetch`
 * throws.
 * @throws {QdbError} as `checkAnswer`; IO if the body is longer than the range
 * @throws {Passing} if there is no answer, the answer is 429 or 503, or the body ends early
 */
export async function requestRange(
  url: string,
  asked: ByteRange,
  known: HttpState | undefined,
  options: RequestOptions & { readonly signal: AbortSignal; readonly onBytes: (count: number) => void },
): Promise<{ readonly state: HttpState; readonly bytes: Uint8Array }> {
  const { fetch: send = fetch, headers, credentials, timeoutMs = TIMEOUT_MS, signal, onBytes } = options;
  const control = new AbortController();
  const abort = (): void => control.abort(signal.reason);
  signal.addEventListener("abort", abort);
  if (signal.aborted) abort();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const wait = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => control.abort(new Error(`no byte arrived for ${timeoutMs} ms`)), timeoutMs);
  };
  try {
    wait();
    const response = await send(url, {
      headers: { ...headers, Range: `bytes=${rangeText(asked)}` },
      ...(credentials === undefined ? {} : { credentials }),
      // A cache could mix answers of two states.
      cache: "no-store",
      signal: control.signal,
    });
    const { state, length } = checkAnswer(response, asked, known);
    const bytes = await bodyOf(response, length, (count) => {
      wait();
      onBytes(count);
    });
    return { state, bytes };
  } catch (error) {
    if (isQdbError(error) || error instanceof Passing || signal.aborted) throw error;
    if (error instanceof Overload) throw new Passing(error.message, error, error.seconds);
    throw new Passing(`the server gave no complete answer: ${reasonOf(error)}`, error);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
    // What is left of a body that is not wanted is not downloaded.
    control.abort();
  }
}

/** The message of a failed `fetch`. Browsers say little: they do not tell a redirect loop or a refusal of another origin from no connection. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? ` (${error.cause.message})` : "";
  const hint =
    error instanceof TypeError
      ? "; no connection, too many redirects, a compressed range, or no permission for this origin"
      : "";
  return `${messageOf(error)}${cause}${hint}`;
}

/** Reads a body of exactly `length` bytes, in memory of its own. */
async function bodyOf(response: Response, length: number, onBytes: (count: number) => void): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  const reader = response.body?.getReader();
  let have = 0;
  while (reader !== undefined) {
    const { done, value } = await reader.read();
    if (done) break;
    onBytes(value.length);
    if (have + value.length > length)
      throw new QdbError("IO", `the server sent more than the ${length} bytes that its answer announced`);
    bytes.set(value, have);
    have += value.length;
  }
  if (have < length) throw new Passing(`the body ended after ${have} of ${length} bytes`, undefined);
  return bytes;
}
