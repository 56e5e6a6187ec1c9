// The modules of the reader in C, NAME.c with NAME.h, depend on each other without a circle.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { describe, expect, test } from "vitest";
import { circlesIn } from "../../scripts/circles.ts";
import { SUITE } from "../tools/places.ts";

const FOLDER = `${SUITE}c/`;
const files = [
  ...readdirSync(FOLDER)
    .filter((name) => /\.[ch]$/.test(name))
    .map((name) => FOLDER + name),
  `${SUITE}adapters/c/adapter.c`,
];
const moduleOf = (path: string): string => basename(path).replace(/\.[ch]$/, "");

/** The modules that each module includes. */
function includes(sources: readonly (readonly [path: string, text: string])[]): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const [path, text] of sources) {
    const own = moduleOf(path);
    const included = found.get(own) ?? new Set();
    for (const [, name = ""] of text.matchAll(/^#include "([^"]+)"/gm))
      if (moduleOf(name) !== own) included.add(moduleOf(name));
    found.set(own, included);
  }
  return found;
}

const texts = files.map((path) => [path, readFileSync(path, "utf8")] as const);

describe("the modules of the reader in C", () => {
  test("include each other without a circle", () => {
    const graph = includes(texts);
    expect(graph.size).toBeGreaterThan(20);
    expect(circlesIn(graph)).toEqual([]);
  });

  // Otherwise a header that declares functions of several modules hides a circle.
  test.each(
    texts
      .filter(([path]) => path.endsWith(".c") && !path.endsWith("/adapter.c"))
      .map(([path, text]) => [moduleOf(path), text] as const),
  )("%s declares what it defines in its own header", (name, text) => {
    const defined = [...text.matchAll(/^(?!static\b)[a-z]\w*[\w *]*?(\w+)\([^;{]*\) \{/gm)].map(([, id]) => id);
    expect(defined.length).toBeGreaterThan(0);
    const header = readFileSync(`${FOLDER}${name}.h`, "utf8");
    const declared = [...header.matchAll(/^[a-z]\w*[\w *]*?(\w+)\([^;{]*\);/gm)].map(([, id]) => id);
    expect(declared.sort()).toEqual(defined.sort());
    expect(text).toContain(`#include "${name}.h"`);
  });

  test("a header is not named like one of the system", () => {
    const headers = files.filter((path) => path.endsWith(".h")).map((path) => basename(path));
    expect(headers.filter((name) => existsSync(`/usr/include/${name}`))).toEqual([]);
  });

  test("a circle is found, through a header too", () => {
    const source = (name: string, other: string) => [name, `#include "${other}"\n`] as const;
    expect(circlesIn(includes([source("a.c", "b.h"), source("b.h", "c.h"), source("c.c", "a.h")]))).toEqual([
      ["a", "b", "c"],
    ]);
    expect(circlesIn(includes([source("a.c", "a.h"), source("a.h", "b.h"), source("b.c", "b.h")]))).toEqual([]);
  });
});
