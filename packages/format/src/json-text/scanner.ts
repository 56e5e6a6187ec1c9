import { QdbError } from "../errors.ts";
import { hasLoneSurrogate } from "../layout/text.ts";
import { quote } from "../quote.ts";

/**
 * A parser of text that arrives in parts. It yields when it needs more text, and is resumed with the next part, or with undefined at the
 * end of the input.
 */
export type Parse<T> = Generator<void, T, string | undefined>;

/** Passes text to a parser as it arrives. */
export class JsonInput<T extends object> {
  readonly #parser: Parse<T>;
  #result: T | undefined;

  constructor(parser: Parse<T>) {
    this.#parser = parser;
    this.#parser.next();
  }

  /** Passes the next part of the text to the parser. @throws {Error} what the parser throws; {QdbError} USAGE if the parser has ended */
  push(text: string): void {
    if (text.length > 0) this.#step(text);
  }

  /** Tells the parser that the input has ended, and returns its result. @throws {Error} as {@link push} */
  finish(): T {
    while (this.#result === undefined) this.#step(undefined);
    return this.#result;
  }

  #step(text: string | undefined): void {
    const step = this.#parser.next(text);
    if (step.done !== true) return;
    // A generator that has ended returns undefined at every call, so `finish` would loop forever.
    if (step.value === undefined) throw new QdbError("USAGE", "the loader has ended; each input needs its own");
    this.#result = step.value;
  }
}

/** The settings in which kinds of JSON input differ. */
export interface JsonKind {
  /** Maximum length of a string, number or word, in UTF-16 units. The quotes of a string do not count. */
  readonly maxToken: number;
  /** Message for an input that ends inside a string. */
  readonly unendedString: string;
  /** Makes the error for a message. `path` is the place in the input, such as `bitmaps[2].size`. Line and column are counted from 1. */
  error(message: string, path: string, line: number, column: number): QdbError;
}

const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?[0-9.eE+-]*/y;
/**
 * Matches a token: a whole string, one punctuation character, or the characters up to the next space, quote or punctuation. The last are a
 * number or a word such as `true`, whose syntax is not checked here.
 */
const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[[\]{}:,]|[^ \t\n\r"[\]{}:,]+/sy;
/** Matches the first character of a token that is complete by itself: a string or punctuation. A number or a word ends at the character after it. */
const CLOSED = /^["[\]{}:,]/;

/** Quotes a text for a message, cut to 40 characters. */
function excerpt(text: string): string {
  return text.length > 40 ? `${quote(text.slice(0, 40))}…` : quote(text);
}

/**
 * Reads JSON as its text arrives, in memory that does not grow with the input. Each method reads one kind of value and refuses any other.
 * `path` is the place in the input for messages, such as `bitmaps[2].size`.
 */
export class JsonScanner {
  readonly #kind: JsonKind;
  #text = "";
  #at = 0;
  #ended = false;
  /** Line and column of the first character of #text, both counted from 1. */
  #line = 1;
  #column = 1;

  constructor(kind: JsonKind) {
    this.#kind = kind;
  }

  /** Refuses the input at the current position. @throws {QdbError} the error that the kind of input makes of the message */
  fail(path: string, message: string): never {
    const { line, column } = this.#position();
    throw this.#kind.error(message, path, line, column);
  }

  #position(): { readonly line: number; readonly column: number } {
    let line = this.#line;
    let column = this.#column + this.#at;
    for (let end = this.#text.indexOf("\n"); end >= 0 && end < this.#at; end = this.#text.indexOf("\n", end + 1)) {
      line++;
      column = this.#at - end;
    }
    return { line, column };
  }

  /** Waits for the next part of the text, and drops the part that was read. Returns false at the end of the input. */
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

  /** Returns the next character after spaces, without consuming it; "" at the end of the input. */
  *peek(): Parse<string> {
    for (;;) {
      this.#skipSpace();
      if (this.#at < this.#text.length) return this.#text.charAt(this.#at);
      if (!(yield* this.#more())) return "";
    }
  }

  /** Consumes the next character after spaces. @throws {QdbError} USAGE if it is another one than `character` */
  *expect(character: string, path: string): Parse<void> {
    const found = yield* this.peek();
    if (found !== character)
      this.fail(path, `${JSON.stringify(character)} expected, ${found === "" ? "the end" : quote(found)} found`);
    this.#at++;
  }

  /**
   * Consumes what a sticky regular expression matches at the current position, and returns the match. Returns undefined and consumes
   * nothing if there is no match in the text that has arrived. Faster than reading token by token, for long lists.
   */
  takeMatch(sticky: RegExp): RegExpExecArray | undefined {
    sticky.lastIndex = this.#at;
    const match = sticky.exec(this.#text);
    if (match === null) return undefined;
    this.#at = sticky.lastIndex;
    return match;
  }

  /**
   * Consumes what `read` reads at the current position. It gets the text that has arrived and the position in it, and returns the position
   * after what it read; a negative number if it reads nothing. As {@link takeMatch}, without an array for each match.
   */
  takeBy(read: (text: string, at: number) => number): void {
    const end = read(this.#text, this.#at);
    if (end >= 0) this.#at = end;
  }

  /**
   * Returns the next token after spaces without consuming it: a string with its quotes, one of `[]{}:,`, or a run of other characters.
   * Returns undefined if the token may not be complete: a number or word at the end of the text that has arrived can continue in the next
   * part. Faster than {@link token}, which is a generator.
   * @throws {QdbError} USAGE for a token that is too long
   */
  tokenHere(path: string): string | undefined {
    this.#skipSpace();
    TOKEN.lastIndex = this.#at;
    const token = TOKEN.exec(this.#text)?.[0];
    const left = this.#text.length - this.#at;
    const length = token?.length ?? left;
    if (length > this.#kind.maxToken) this.#requireShort(length, path);
    const mayContinue = length === left && token !== undefined && !this.#ended && !CLOSED.test(token);
    return mayContinue ? undefined : token;
  }

  #requireShort(length: number, path: string): void {
    const { maxToken } = this.#kind;
    const isString = this.#text.charAt(this.#at) === '"';
    // The two quotes of a string do not count.
    if (length <= maxToken + (isString ? 2 : 0)) return;
    this.fail(path, `a ${isString ? "string" : "value"} of more than ${maxToken} characters`);
  }

  /**
   * Returns the next token as {@link tokenHere} does, but waits for more text until the token is complete; "" at the end of the input.
   * @throws {QdbError} USAGE if the input ends inside a string, or for a token that is too long
   */
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

  /** Consumes a token that {@link tokenHere} or {@link token} returned. */
  take(token: string): void {
    this.#at += token.length;
  }

  /**
   * Returns the text of a string token, without quotes and escapes.
   * @throws {QdbError} USAGE for a control character, or for an escape that JSON does not have
   */
  textOf(token: string, path: string): string {
    try {
      return String(JSON.parse(token));
    } catch {
      return this.fail(path, "a string with a control character or a bad escape");
    }
  }

  /** Consumes a string, and returns its text. @throws {QdbError} USAGE for another kind of value, or for a string with a lone surrogate */
  *string(path: string): Parse<string> {
    const found = yield* this.peek();
    if (found !== '"') this.fail(path, `a string expected, ${found === "" ? "the end" : quote(found)} found`);
    const token = yield* this.token(path);
    const value = this.textOf(token, path);
    if (hasLoneSurrogate(value)) this.fail(path, "a string with a lone surrogate, which UTF-8 cannot hold");
    this.take(token);
    return value;
  }

  /** Consumes a whole number from 0 to 2^32-1. @throws {QdbError} USAGE for any other value */
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

  /**
   * Consumes an object. `keys` has a reader for each key that is allowed; it must consume the value. Returns the keys that the object had.
   * @throws {QdbError} USAGE for another kind of value, an unknown key, or a key that stands there twice
   */
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

  /** Consumes an array. The reader `item` must consume each item. @throws {QdbError} USAGE for another kind of value */
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

  /** Consumes the end of the input. @throws {QdbError} USAGE if more text follows */
  *end(): Parse<void> {
    const found = yield* this.peek();
    if (found !== "") this.fail("", `the end expected, ${quote(found)} found`);
  }
}
