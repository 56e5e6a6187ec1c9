// What a server may answer to a request for a range of a file, and what is wrong with every other answer.
import { type ByteRange, QdbError, type QdbErrorCode, quote } from "@qdb/format";

/** The state of a file, as the headers of an answer describe it. All answers that are used together must have the same. */
export interface HttpState {
  /** Length of the file in bytes. */
  readonly size: number;
  readonly etag: string | null;
  readonly lastModified: string | null;
}

/** An answer that can be different when the request is sent again: 429 and 503. `seconds` is its Retry-After, if it has one. */
export class Overload extends Error {
  readonly seconds: number | undefined;

  constructor(message: string, seconds: number | undefined) {
    super(message);
    this.seconds = seconds;
  }
}

/** What a page is not shown by a server of another origin, unless the server says so. */
const EXPOSE =
  "a server of another origin must send Access-Control-Expose-Headers: Content-Range, ETag, Content-Encoding, Retry-After";

/**
 * Whether a state is held by a validator that changes with every byte: a strong ETag. A weak one may stay, and Last-Modified has whole
 * seconds.
 */
export function isHeld({ etag }: HttpState): boolean {
  return etag !== null && !etag.startsWith("W/");
}

/**
 * Checks the head of the answer to a request for `asked`. `known` is the state of earlier answers; without it, the file may end inside
 * `asked`. Returns the state and the range that the body must have.
 * @throws {QdbError} NOT_FOUND for 404 and 410; SOURCE_CHANGED if the file is another one than before; NOT_SUPPORTED if the server ignores
 * Range, compresses the answer, or does not show a header that is needed; LIMIT for 2^53 bytes or more; IO for every other answer
 * @throws {Overload} for 429 and 503
 */
export function checkAnswer(
  response: Response,
  asked: ByteRange,
  known: HttpState | undefined,
): { readonly state: HttpState; readonly length: number } {
  const { headers, status } = response;
  if (status !== 206) throw refusal(response, known);
  const type = headers.get("Content-Type") ?? "";
  if (/^multipart\//i.test(type)) throw answered("NOT_SUPPORTED", `several ranges at once (${quote(type)})`);
  if (/^(text\/html|application\/xhtml)/i.test(type))
    throw answered("IO", `a page (${quote(type)}) instead of the file`);
  const encoding = headers.get("Content-Encoding");
  if (encoding !== null && encoding.toLowerCase() !== "identity")
    throw answered("NOT_SUPPORTED", `a compressed body (Content-Encoding ${quote(encoding)}), whose ranges are others`);
  const state = stateOf(headers);
  if (known !== undefined) requireSame(known, state);
  const length = Math.min(asked.length, state.size - asked.offset);
  const [, first, last] = rangeOf(headers);
  if (Number(first) !== asked.offset || Number(last) !== asked.offset + length - 1)
    throw answered("IO", `bytes ${first}-${last}, but ${rangeText(asked)} were asked for`);
  const announced = headers.get("Content-Length");
  if (announced !== null && Number(announced) !== length)
    throw answered("IO", `a body of ${quote(announced)} bytes for a range of ${length}`);
  return { state, length };
}

/** A range as the header Range has it, without its unit. */
export function rangeText({ offset, length }: ByteRange): string {
  return `${offset}-${offset + length - 1}`;
}

function answered(code: QdbErrorCode, what: string): QdbError {
  return new QdbError(code, `the server answered with ${what}`);
}

function missing(header: string): QdbError {
  return new QdbError("NOT_SUPPORTED", `the answer of the server shows no ${header}; ${EXPOSE}`);
}

/** The parts of Content-Range: all of it, first, last, length of the file. */
function rangeOf(headers: Headers): readonly string[] {
  const text = headers.get("Content-Range");
  if (text === null) throw missing("Content-Range");
  const parts = /^bytes (\d+)-(\d+)\/(\d+|\*)$/i.exec(text.trim());
  if (parts === null) throw answered("IO", `Content-Range ${quote(text)}, which is no range`);
  return parts;
}

function stateOf(headers: Headers): HttpState {
  const [, , , total] = rangeOf(headers);
  if (total === "*") throw answered("NOT_SUPPORTED", "a range of a file whose length it does not know");
  const size = Number(total);
  if (!Number.isSafeInteger(size)) throw new QdbError("LIMIT", `the file has ${total} bytes: 2^53 or more`);
  const etag = headers.get("ETag");
  const lastModified = headers.get("Last-Modified");
  if (etag === null && lastModified === null) throw missing("ETag and no Last-Modified");
  return { size, etag, lastModified };
}

function requireSame(known: HttpState, now: HttpState): void {
  const names = [
    ["length", "size"],
    ["ETag", "etag"],
    ["Last-Modified", "lastModified"],
  ] as const;
  for (const [header, key] of names) {
    if (known[key] === now[key]) continue;
    throw changed(`${header} was ${shown(known[key])} and is ${shown(now[key])}`);
  }
}

function shown(value: string | number | null): string {
  return value === null ? "missing" : typeof value === "number" ? String(value) : quote(value);
}

function changed(how: string): QdbError {
  return new QdbError("SOURCE_CHANGED", `the file at the server was changed while it was read: ${how}; open it anew`);
}

/** What to say of an answer that is no 206. */
function refusal(response: Response, known: HttpState | undefined): Error {
  const { headers, status } = response;
  const type = headers.get("Content-Type") ?? "";
  const page = /html/i.test(type) ? `, with a page (${quote(type)}) instead of the file` : "";
  const what = `the server answered ${status}${page}`;
  switch (status) {
    case 200:
      return new QdbError("NOT_SUPPORTED", `${what}: it ignores the header Range and sends the whole file`);
    case 404:
    case 410:
      return new QdbError("NOT_FOUND", `${what}: there is no such file`);
    case 416: {
      const total = /^bytes \*\/(\d+)$/i.exec(headers.get("Content-Range") ?? "")?.[1];
      if (known !== undefined && total !== undefined && Number(total) !== known.size)
        return changed(`length was ${known.size} and is ${total}`);
      if (total === "0") return new QdbError("IO", `${what}: the file is empty`);
      return new QdbError("IO", `${what}: it cannot give the range that was asked for`);
    }
    case 429:
    case 503:
      return new Overload(what, secondsOf(headers.get("Retry-After")));
    default:
      return new QdbError("IO", what);
  }
}

function secondsOf(retryAfter: string | null): number | undefined {
  return retryAfter !== null && /^\d+$/.test(retryAfter.trim()) ? Number(retryAfter) : undefined;
}
