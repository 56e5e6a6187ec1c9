import { QdbError } from "../errors.ts";
import { hasLoneSurrogate } from "../layout/text.ts";
import { quote } from "../quote.ts";

/** A piece of parsing that may need more text: it yields, and is handed the next piece, or undefined at the end. */
export type Parse<T> = Generator<void, T, string | undefined>;

/** Longest string or number that is taken, in UTF-16 units; the longest legal one is a comment in escapes. */
const MAX_TOKEN = 256 * 1024;
const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?[0-9.eE+-]*/y;

/** The beginning of a text in quotes: messages stay short, whatever the input is. */
function excerpt(text: string): string {
  return text.length > 40 ? `${quote(text.slice(0, 40))}…` : quote(text);
}

/**
 * Reads JSON piece by piece, as text comes in: what is asked for is read, anything else is refused with its place.
 * `path` is the place in words of the form, `bitmaps[2].size`.
 */
export class JsonScanner {
  #text = "";
  #at = 0;
  #ended = false;
  /** Line (from 1) and column of the first character of #text. */
  #line = 1;
  #column = 1;

  /** Refuses the input here. @throws {QdbError} USAGE */
  fail(path: string, message: string): never {
    const before = this.#text.slice(0, this.#at).split("\n");
    const line = this.#line + before.length - 1;
    const column = (before.length === 1 ? this.#column : 1) + (before.at(-1) ?? "").length;
    const place = path === "" ? "" : `${path}: `;
    throw new QdbError("USAGE", `${place}${message} (line ${line}, column ${column})`, {
      structure: "JSON form",
      ...(path === "" ? {} : { field: path }),
    });
  }

  /** Gets more text; gives false at the end of the input. */
  *#more(): Parse<boolean> {
    if (this.#ended) return false;
    const piece = yield;
    if (piece === undefined) {
      this.#ended = true;
      return false;
    }
    const lines = this.#text.slice(0, this.#at).split("\n");
    this.#line += lines.length - 1;
    this.#column = (lines.length === 1 ? this.#column : 1) + (lines.at(-1) ?? "").length;
    this.#text = this.#text.slice(this.#at) + piece;
    this.#at = 0;
    return true;
  }

  /** The next character that is no space, "" at the end; it is not taken. */
  *peek(): Parse<string> {
    for (;;) {
      SPACE.lastIndex = this.#at;
      SPACE.test(this.#text);
      this.#at = SPACE.lastIndex;
      if (this.#at < this.#text.length) return this.#text.charAt(this.#at);
      if (!(yield* this.#more())) return "";
    }
  }

  /** Takes a character. @throws {QdbError} USAGE when another one comes */
  *expect(character: string, path: string): Parse<void> {
    const found = yield* this.peek();
    if (found !== character)
      this.fail(path, `${JSON.stringify(character)} expected, ${found === "" ? "the end" : quote(found)} found`);
    this.#at++;
  }

  /** Takes text that matches and is accepted, when the whole match is there already: a way past the single steps for long lists. */
  takeMatch(sticky: RegExp, accept: (match: RegExpExecArray) => boolean): RegExpExecArray | undefined {
    sticky.lastIndex = this.#at;
    const match = sticky.exec(this.#text);
    if (match === null || !accept(match)) return undefined;
    this.#at = sticky.lastIndex;
    return match;
  }

  /** Takes a string. @throws {QdbError} USAGE for anything else, a lone surrogate included */
  *string(path: string): Parse<string> {
    const found = yield* this.peek();
    if (found !== '"') this.fail(path, `a string expected, ${found === "" ? "the end" : quote(found)} found`);
    let end = this.#at + 1;
    for (;;) {
      const character = this.#text.charAt(end);
      if (character === '"') break;
      if (end - this.#at > MAX_TOKEN) this.fail(path, `a string of more than ${MAX_TOKEN} characters`);
      if (character === "" || (character === "\\" && end + 1 >= this.#text.length)) {
        const length = end - this.#at;
        if (!(yield* this.#more())) this.fail(path, "the input ends inside a string");
        end = this.#at + length;
      } else {
        end += character === "\\" ? 2 : 1;
      }
    }
    const raw = this.#text.slice(this.#at, end + 1);
    let value: unknown;
    try {
      value = JSON.parse(raw);
    } catch {
      this.fail(path, "a string with a control character or a bad escape");
    }
    if (typeof value !== "string") this.fail(path, "a string expected");
    if (hasLoneSurrogate(value)) this.fail(path, "a string with a lone surrogate, which UTF-8 cannot hold");
    this.#at = end + 1;
    return value;
  }

  /** Takes a whole number from 0 to 2^32-1. @throws {QdbError} USAGE */
  *u32(path: string): Parse<number> {
    const found = yield* this.peek();
    for (;;) {
      NUMBER.lastIndex = this.#at;
      NUMBER.test(this.#text);
      if (NUMBER.lastIndex < this.#text.length || !(yield* this.#more())) break;
      if (this.#text.length - this.#at > MAX_TOKEN) this.fail(path, "a number of too many digits");
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
