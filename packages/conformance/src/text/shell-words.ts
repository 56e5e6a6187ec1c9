/** Characters that a shell acts on. No shell runs the command, so that they are refused unless they are quoted. */
const SHELL_CHARACTERS = "|&;<>$`\n";

/**
 * Splits a command into words as a shell does: blanks separate words, quotes and backslashes join them. Expands nothing.
 * @throws {Error} if a quote has no end, if a character that only a shell can act on is not quoted, or if there are no words
 */
export function shellWords(text: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  for (let at = 0; at < text.length; at++) {
    const character = text.charAt(at);
    if (character === " " || character === "\t") {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (character === "'") {
      const end = text.indexOf("'", at + 1);
      if (end < 0) throw new Error(`the ' at character ${at + 1} has no end`);
      word = (word ?? "") + text.slice(at + 1, end);
      at = end;
    } else if (character === '"') {
      const [inside, end] = doubleQuoted(text, at);
      word = (word ?? "") + inside;
      at = end;
    } else if (character === "\\" && at + 1 < text.length) {
      at++;
      word = (word ?? "") + text.charAt(at);
    } else if (SHELL_CHARACTERS.includes(character)) {
      throw new Error(
        `no shell runs the command, so ${JSON.stringify(character)} does nothing; quote it, or put it in a script`,
      );
    } else {
      word = (word ?? "") + character;
    }
  }
  if (word !== undefined) words.push(word);
  if (words.length === 0) throw new Error("the command is empty");
  return words;
}

/** Returns the text inside the double quotes that begin at `start`, and the index of the closing quote. */
function doubleQuoted(text: string, start: number): [inside: string, end: number] {
  let inside = "";
  for (let at = start + 1; at < text.length; at++) {
    const character = text.charAt(at);
    if (character === '"') return [inside, at];
    const next = text.charAt(at + 1);
    if (character === "\\" && next !== "" && '"\\$`'.includes(next)) {
      inside += next;
      at++;
    } else {
      inside += character;
    }
  }
  throw new Error(`the " at character ${start + 1} has no end`);
}

/** Joins words to a command that a shell splits into the same words. */
export function quoted(words: readonly string[]): string {
  return words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(" ");
}
