import { QdbError, quote } from "@qdb/format";

/** A value of a flat JSON object. Whole numbers are exact at any size; a `number` is one that was written with a fraction or an exponent. */
export type Scalar = string | boolean | null | bigint | number;

/** An object of the array: its place in it, from 0, and its keys with their values. */
export interface ScannedObject {
  readonly index: number;
  readonly values: ReadonlyMap<string, Scalar>;
}

/** The spelling that most objects of a large map have: a way past the single tokens. */
export interface UsualObject {
  /** Sticky; matches from behind `[` or a comma up to and with the comma behind the object. Group 1 is a newline or empty. */
  readonly pattern: RegExp;
  take(match: RegExpExecArray): void;
}

/** Longest string or number that is taken, in UTF-16 units. */
const MAX_TOKEN = 64 * 1024;
const SPACE = /[ \t\n\r]*/y;
/** A string, punctuation, or what numbers and words are made of. */
const TOKEN = /"(?:[^"\\]|\\.)*"|[[\]{}:,]|[^ \t\n\r"[\]{}:,]+/sy;
const NEWLINE = 10;
const PUNCTUATION = /^[[\]{}:,]$/;
const NUMBER = /^-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$/;
const WORDS: ReadonlyMap<string, Scalar> = new Map<string, Scalar>([
  ["true", true],
  ["false", false],
  ["null", null],
]);

type State =
  | "array"
  | "first item"
  | "item"
  | "first key"
  | "key"
  | "colon"
  | "value"
  | "after value"
  | "after item"
  | "end";

/**
 * Reads a JSON array of flat objects as its text comes in. `JSON.parse` would round numbers past 2^53 and hold everything at
 * once; a map of a large disk has both. What is no such array is refused with its place: nothing is guessed about extents.
 */
export class ExtentScanner {
  readonly #take: (object: ScannedObject) => void;
  readonly #usual: UsualObject | undefined;
  #text = "";
  #at = 0;
  #state: State = "array";
  #line = 1;
  #index = 0;
  #key = "";
  #values = new Map<string, Scalar>();

  /** @param take is given each object when it is complete, but for those that `usual` takes */
  constructor(take: (object: ScannedObject) => void, usual?: UsualObject) {
    this.#take = take;
    this.#usual = usual;
  }

  /** Takes the next piece of text. @throws {QdbError} USAGE with the place in the JSON */
  push(text: string): void {
    this.#text = this.#text.slice(this.#at) + text;
    this.#at = 0;
    this.#takeUsual();
    for (let token = this.#next(false); token !== undefined; token = this.#next(false)) {
      this.#step(token);
      this.#takeUsual();
    }
  }

  /** Takes objects of the usual spelling in one step each. */
  #takeUsual(): void {
    const usual = this.#usual;
    if (usual === undefined || (this.#state !== "first item" && this.#state !== "item")) return;
    usual.pattern.lastIndex = this.#at;
    for (let match = usual.pattern.exec(this.#text); match !== null; match = usual.pattern.exec(this.#text)) {
      if (match[1] !== "") this.#line++;
      usual.take(match);
      this.#index++;
      this.#at = usual.pattern.lastIndex;
      this.#state = "item";
    }
  }

  /** Ends the input. @throws {QdbError} USAGE when the array is not complete */
  finish(): void {
    for (let token = this.#next(true); token !== undefined; token = this.#next(true)) this.#step(token);
    if (this.#state !== "end") this.fail(this.#state === "array" ? "there is nothing in it" : "it ends too early");
  }

  /** Refuses the input here. @throws {QdbError} USAGE */
  fail(message: string): never {
    const inside = this.#state === "colon" || this.#state === "value" || this.#state === "after value";
    const place = this.#state === "array" ? "" : `[${this.#index}]${inside ? `.${this.#key}` : ""}, `;
    throw new QdbError("USAGE", `the extents cannot be read: ${message} (${place}line ${this.#line})`, {
      structure: "extents",
      ...(place === "" ? {} : { field: `[${this.#index}]` }),
    });
  }

  /** The next token that is there whole; one that touches the end of the text may go on in the next piece. */
  #next(last: boolean): string | undefined {
    SPACE.lastIndex = this.#at;
    SPACE.test(this.#text);
    for (; this.#at < SPACE.lastIndex; this.#at++) if (this.#text.charCodeAt(this.#at) === NEWLINE) this.#line++;
    TOKEN.lastIndex = this.#at;
    const token = TOKEN.exec(this.#text)?.[0];
    const left = this.#text.length - this.#at;
    if (token === undefined) {
      if (left > MAX_TOKEN) this.fail(`a string of more than ${MAX_TOKEN} characters`);
      if (last && left > 0) this.fail("it ends inside a string");
      return undefined;
    }
    if (token.length > MAX_TOKEN) this.fail(`a value of more than ${MAX_TOKEN} characters`);
    if (!last && token.length === left && !PUNCTUATION.test(token)) return undefined;
    this.#at += token.length;
    return token;
  }

  #step(token: string): void {
    switch (this.#state) {
      case "array":
        if (token !== "[") this.fail(`an array of objects is expected, it begins with ${quote(token)}`);
        this.#state = "first item";
        return;
      case "first item":
      case "item":
        if (token === "]" && this.#state === "first item") this.#state = "end";
        else this.#begin(token);
        return;
      case "first key":
      case "key":
        if (token === "}" && this.#state === "first key") this.#finishObject();
        else this.#beginValue(token);
        return;
      case "colon":
        this.#expect(token, ":", "value");
        return;
      case "value":
        this.#values.set(this.#key, this.#scalar(token));
        this.#state = "after value";
        return;
      case "after value":
        if (token === "}") this.#finishObject();
        else this.#expect(token, ",", "key");
        return;
      case "after item":
        this.#index++;
        if (token === "]") this.#state = "end";
        else this.#expect(token, ",", "item");
        return;
      default:
        this.fail(`more follows behind the array: ${quote(token)}`);
    }
  }

  #expect(token: string, expected: string, next: State): void {
    if (token !== expected) this.fail(`${quote(expected)} is expected, ${quote(token)} found`);
    this.#state = next;
  }

  #begin(token: string): void {
    this.#expect(token, "{", "first key");
    this.#values = new Map();
  }

  #beginValue(token: string): void {
    if (!token.startsWith('"')) this.fail(`a key in quotes is expected, ${quote(token)} found`);
    this.#key = this.#string(token);
    this.#state = "colon";
    // Which of two would count is anyone's guess.
    if (this.#values.has(this.#key)) this.fail("the key stands there twice");
  }

  #scalar(token: string): Scalar {
    if (token.startsWith('"')) return this.#string(token);
    const word = WORDS.get(token);
    if (word !== undefined) return word;
    const number = NUMBER.exec(token);
    if (number !== null) return number[1] === undefined && number[2] === undefined ? BigInt(token) : Number(token);
    return this.fail(
      PUNCTUATION.test(token)
        ? "a plain value is expected, not an array or object"
        : `${quote(token)} is no JSON value`,
    );
  }

  #string(token: string): string {
    try {
      return String(JSON.parse(token));
    } catch {
      return this.fail("a string with a control character or a bad escape");
    }
  }

  #finishObject(): void {
    this.#state = "after item";
    this.#take({ index: this.#index, values: this.#values });
  }
}
