import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { quoted, shellWords } from "../src/text/shell-words.ts";

/** The words as a shell makes them of the same text. */
function byShell(text: string): string[] {
  const { stdout } = spawnSync("sh", ["-c", `for word in ${text}; do printf '%s\\0' "$word"; done`], {
    encoding: "utf8",
  });
  return stdout.split("\0").slice(0, -1);
}

describe("words are those of a shell", () => {
  test.each([
    "python3 reader.py",
    "  a\tb  ",
    "'one word' two",
    '"one word" two',
    "a' 'b\" \"c\\ d",
    "'' \"\"",
    '"a \\" b \\\\ c \\n"',
    "'a \\ \"b'",
    "--path='/a b/c'",
    "a\\'b",
    "'; rm -rf /' \"| cat\" '$HOME'",
    "caf\u00e9 \u{1f4be}",
  ])("%s", (text) => {
    expect(shellWords(text)).toEqual(byShell(text));
  });
});

test.each([
  ["'a", /the ' at character 1 has no end/],
  ['b "a', /the " at character 3 has no end/],
  ["a | b", /no shell runs.*"\|"/],
  ["a; b", /no shell runs.*";"/],
  ["a && b", /no shell runs/],
  ["echo $HOME", /no shell runs/],
  ["echo `id`", /no shell runs/],
  ["a > b", /no shell runs/],
  ["   ", /empty/],
])("%j is refused", (text, message) => {
  expect(() => shellWords(text)).toThrow(message);
});

test("quoted words come back as they were, through a shell too", () => {
  const words = ["plain", "two words", "it's", '"', "$HOME", "a\\b", "", "*", "-x=1", "\u00e9"];
  expect(shellWords(quoted(words))).toEqual(words);
  expect(byShell(quoted(words))).toEqual(words);
});
