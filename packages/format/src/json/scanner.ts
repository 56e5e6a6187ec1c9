import { itemAt } from "../elements.ts";
import { QdbError } from "../errors.ts";
import { hasLoneSurrogate } from "../layout/text.ts";
import { quote } from "../quote.ts";

/** A parser of text that arrives in pieces. It yields when it needs more text, and receives the next piece, or undefined at the end. */
export type Parse<T> = Generator<void, T, string | undefined>;

/** Runs a parser over text as it arrives. */
export class JsonInput<T extends object> {
  readonly #parser: Parse<T>;
  #result: T | undefined;

  constructor(parser: Parse<T>) {
    this.#parser = parser;
    this.#parser.next();
  }

  /** Passes the next piece of text to the parser. @throws what the parser throws; {QdbError} USAGE once it has ended */
  push(text: string): void {
    if (text.length > 0) this.#step(text);
  }

  /** Ends the input and returns the result of the parser. @throws as {@link push} */
  finish(): T {
    while (this.#result === undefined) this.#step(undefined);
    return this.#result;
  }

  #step(text: string | undefined): void {
    const step = this.#parser.next(text);
    if (step.done !== true) return;
    // A generator that has ended returns undefined at every call, and finish() would never end.
    if (step.value === undefined) throw new QdbError("USAGE", "the loader has ended; each JSON form needs its own");
    this.#result = step.value;
  }
}

/** What differs between kinds of JSON input. */
export interface JsonKind {
  /** Longest string or number that is accepted, in UTF-16 units. */
  readonly maxToken: number;
  /** Message for an input that ends inside a string. */
  readonly unendedString: string;
  /** The error for a message. `path` is the place in the input, as in `bitmaps[2].size`; line and column count from 1. */
  error(message: string, path: string, line: number, column: number): QdbError;
}

const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?[0-9.eE+-]*/y;
/** A string, punctuation, or a run of what numbers and words are made of. */
const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[[\]{}:,]|[^ \t\n\r"[\]{}:,]+/sy;
const CLOSED = /^["[\]{}:,]/;

/** The beginning of a text in quotes, so that messages stay short. */
function excerpt(text: string): string {
  return text.length > 40 ? `${quote(text.slice(0, 40))}…` : quote(text);
}

/**
 * Reads JSON as its text arrives, in memory that does not grow with the input. Each method reads one kind of value and refuses any
 * other. `path` is the place in the input for messages, as in `bitmaps[2].size`.
 */
export class JsonScanner {
  readonly #kind: JsonKind;
  #text = "";
  #at = 0;
  #ended = false;
  /** Line (from 1) and column of the first character of #text. */
  #line = 1;
  #column = 1;

  constructor(kind: JsonKind) {
    this.#kind = kind;
  }

  /** Refuses the input here. @throws {QdbError} the error of the kind of input */
  fail(path: string, message: string): never {
    const { line, column } = this.#position();
    throw this.#kind.error(message, path, line, column);
  }

  #position(): { readonly line: number; readonly column: number } {
    const lines = this.#text.slice(0, this.#at).split("\n");
    const last = itemAt(lines, lines.length - 1);
    return {
      line: this.#line + lines.length - 1,
      column: (lines.length === 1 ? this.#column : 1) + last.length,
    };
  }

  /** Waits for more text. Returns false at the end of the input. */
  *#more(): Parse<boolean> {
    if (this.#ended) return false;
    const piece = yield;
    if (piece === undefined) {
      this.#ended = true;
      return false;
    }
    ({ line: this.#line, column: this.#column } = this.#position());
    this.#text = this.#text.slice(this.#at) + piece;
    this.#at = 0;
    return true;
  }

  #skipSpace(): void {
    SPACE.lastIndex = this.#at;
    SPACE.test(this.#text);
    this.#at = SPACE.lastIndex;
  }

  /** The next character that is no space, "" at the end; it is not taken. */
  *peek(): Parse<string> {
    for (;;) {
      this.#skipSpace();
      if (this.#at < this.#text.length) return this.#text.charAt(this.#at);
      if (!(yield* this.#more())) return "";
    }
  }

  /** Takes a character. @throws {QdbError} USAGE for any other */
  *expect(character: string, path: string): Parse<void> {
    const found = yield* this.peek();
    if (found !== character)
      this.fail(path, `${JSON.stringify(character)} expected, ${found === "" ? "the end" : quote(found)} found`);
    this.#at++;
  }

  /** Takes text that matches and is accepted, when the whole match is there already: a way past the single steps for long lists. */
  takeMatch(sticky: RegExp, accept?: (match: RegExpExecArray) => boolean): RegExpExecArray | undefined {
    sticky.lastIndex = this.#at;
    const match = sticky.exec(this.#text);
    if (match === null || accept?.(match) === false) return undefined;
    this.#at = sticky.lastIndex;
    return match;
  }

  /**
   * The next token, which is not taken: a string in its quotes, one of `[]{}:,`, or a run of other characters. Undefined where it
   * is not there whole: a number or word at the end of the text may go on. A way past {@link token} for long inputs.
   * @throws {QdbError} for one that is too long
   */
  tokenHere(path: string): string | undefined {
    this.#skipSpace();
    TOKEN.lastIndex = this.#at;
    const token = TOKEN.exec(this.#text)?.[0];
    const left = this.#text.length - this.#at;
    const length = token?.length ?? left;
    if (length > this.#kind.maxToken) this.#requireShort(length, path);
    const mayGoOn = length === left && token !== undefined && !this.#ended && !CLOSED.test(token);
    return mayGoOn ? undefined : token;
  }

  #requireShort(length: number, path: string): void {
    const { maxToken } = this.#kind;
    const isString = this.#text.charAt(this.#at) === '"';
    // Two more for the quotes.
    if (length <= maxToken + (isString ? 2 : 0)) return;
    this.fail(path, `a ${isString ? "string" : "value"} of more than ${maxToken} characters`);
  }

  /** The next token, as {@link tokenHere} tells; "" at the end. @throws {QdbError} for a string without an end */
  *token(path: string): Parse<string> {
    for (;;) {
      const token = this.tokenHere(path);
      if (token !== undefined) return token;
      if (yield* this.#more()) continue;
      if (this.#at < this.#text.length && this.#text.charAt(this.#at) === '"')
        this.fail(path, this.#kind.unendedString);
      return this.tokenHere(path) ?? "";
    }
  }

  /** Takes the token that was looked at. */
  take(token: string): void {
    this.#at += token.length;
  }

  /** The text of a string token. @throws {QdbError} for a control character or an escape that JSON does not have */
  textOf(token: string, path: string): string {
    try {
      return String(JSON.parse(token));
    } catch {
      return this.fail(path, "a string with a control character or a bad escape");
    }
  }

  /** Takes a string. @throws {QdbError} USAGE for anything else, a lone surrogate included */
  *string(path: string): Parse<string> {
    const found = yield* this.peek();
    if (found !== '"') this.fail(path, `a string expected, ${found === "" ? "the end" : quote(found)} found`);
    const token = yield* this.token(path);
    const value = this.textOf(token, path);
    if (hasLoneSurrogate(value)) this.fail(path, "a string with a lone surrogate, which UTF-8 cannot hold");
    this.take(token);
    return value;
  }

  /** Takes a whole number from 0 to 2^32-1. @throws {QdbError} USAGE */
  *u32(path: string): Parse<number> {
    const found = yield* this.peek();
    for (;;) {
      NUMBER.lastIndex = this.#at;
      NUMBER.test(this.#text);
      if (NUMBER.lastIndex < this.#text.length || !(yield* this.#more())) break;
      if (this.#text.length - this.#at > this.#kind.maxToken) this.fail(path, "a number of too many digits");
    }
    const raw = this.#text.slice(this.#at, NUMBER.lastIndex);
    if (!/^(0|[1-9][0-9]{0,9})$/.test(raw) || Number(raw) > 0xffffffff) {
      this.fail(path, `a whole number from 0 to 4294967295 expected, ${excerpt(raw === "" ? found : raw)} found`);
    }
    this.#at = NUMBER.lastIndex;
    return Number(raw);
  }

  /** Takes an object whose keys each have a reader; unknown and doubled keys are refused. Gives the keys that were there. */
  *object(path: string, keys: Readonly<Record<string, (path: string) => Parse<void>>>): Parse<ReadonlySet<string>> {
    const readers = new Map(Object.entries(keys));
    const seen = new Set<string>();
    yield* this.expect("{", path);
    if ((yield* this.peek()) !== "}") {
      for (;;) {
        const key = yield* this.string(path);
        const reader = readers.get(key);
        const place = path === "" ? key : `${path}.${key}`;
        if (reader === undefined) this.fail(path, `the key ${excerpt(key)} is not known`);
        if (seen.has(key)) this.fail(place, "the key stands there twice");
        seen.add(key);
        yield* this.expect(":", place);
        yield* reader(place);
        if ((yield* this.peek()) !== ",") break;
        yield* this.expect(",", path);
      }
    }
    yield* this.expect("}", path);
    return seen;
  }

  /** Takes an array; each item has the reader. */
  *array(path: string, item: (path: string, index: number) => Parse<void>): Parse<void> {
    yield* this.expect("[", path);
    if ((yield* this.peek()) !== "]") {
      for (let index = 0; ; index++) {
        yield* item(`${path}[${index}]`, index);
        if ((yield* this.peek()) !== ",") break;
        yield* this.expect(",", path);
      }
    }
    yield* this.expect("]", path);
  }

  /** Takes the end of the input. @throws {QdbError} USAGE when more follows */
  *end(): Parse<void> {
    const found = yield* this.peek();
    if (found !== "") this.fail("", `the end expected, ${quote(found)} found`);
  }
}
