/** What a shell would act on; the runner starts no shell, so it says so instead of passing the sign on. */
const SHELL_SIGNS = "|&;<>$`\n";

/**
 * Splits a command into words as a shell does: blanks separate, quotes and backslashes join. No shell runs: signs that
 * would need one are refused unless they are quoted.
 * @throws {Error} a quote that does not end, a sign that needs a shell, nothing but blanks
 */
export function shellWords(text: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  for (let at = 0; at < text.length; at++) {
    const sign = text.charAt(at);
    if (sign === " " || sign === "\t") {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (sign === "'") {
      const end = text.indexOf("'", at + 1);
      if (end < 0) throw new Error(`the ' at character ${at + 1} has no end`);
      word = (word ?? "") + text.slice(at + 1, end);
      at = end;
    } else if (sign === '"') {
      const [inside, end] = doubleQuoted(text, at);
      word = (word ?? "") + inside;
      at = end;
    } else if (sign === "\\" && at + 1 < text.length) {
      at++;
      word = (word ?? "") + text.charAt(at);
    } else if (SHELL_SIGNS.includes(sign)) {
      throw new Error(
        `no shell runs the command, so ${JSON.stringify(sign)} does nothing; quote it, or put it in a script`,
      );
    } else {
      word = (word ?? "") + sign;
    }
  }
  if (word !== undefined) words.push(word);
  if (words.length === 0) throw new Error("the command is empty");
  return words;
}

function doubleQuoted(text: string, start: number): [inside: string, end: number] {
  let inside = "";
  for (let at = start + 1; at < text.length; at++) {
    const sign = text.charAt(at);
    if (sign === '"') return [inside, at];
    const next = text.charAt(at + 1);
    if (sign === "\\" && next !== "" && '"\\$`'.includes(next)) {
      inside += next;
      at++;
    } else {
      inside += sign;
    }
  }
  throw new Error(`the " at character ${start + 1} has no end`);
}

/** A command that a shell splits into these words again. */
export function quoted(words: readonly string[]): string {
  return words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(" ");
}
