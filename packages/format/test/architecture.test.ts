import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../../..", import.meta.url));

/** What each room of @qdb/format may import: never upward, never sideways. */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  ".": [],
  ports: ["."],
  layout: ["."],
  records: [".", "ports", "layout"],
  bitmap: ["."],
  file: [".", "ports", "layout", "records", "bitmap"],
};

/** What each package may import from the others. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  format: [],
  "io-node": ["@qdb/format"],
  qcow2: ["@qdb/format"],
  cli: ["@qdb/format", "@qdb/io-node", "@qdb/qcow2"],
};

function sources(name: string): string[] {
  const src = join(root, "packages", name, "src");
  return readdirSync(src, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts") && !file.endsWith(".d.ts"))
    .map((file) => join(src, file));
}

function imports(text: string): string[] {
  return [...text.matchAll(/\b(?:from|import)\s*\(?\s*"([^"]+)"/g)].map((match) => match[1] ?? "");
}

/** What of a source breaks the table of rooms. */
function wrongRooms(file: string, text: string, src: string): string[] {
  const roomOf = (path: string): string => relative(src, dirname(path)) || ".";
  const room = roomOf(file);
  if (relative(src, file) === "index.ts") return [];
  return imports(text)
    .filter((name) => {
      if (!name.startsWith(".")) return true;
      const target = roomOf(join(dirname(file), name));
      return target !== room && !(ROOMS[room] ?? []).includes(target);
    })
    .map((name) => `${relative(src, file)} imports ${name}`);
}

describe("@qdb/format", () => {
  const src = join(root, "packages/format/src");

  test("imports run one way between its rooms, and nothing else is imported", () => {
    const wrong = sources("format").flatMap((file) => wrongRooms(file, readFileSync(file, "utf8"), src));
    expect(wrong).toEqual([]);
  });

  test("the table of rooms would notice an import that runs upward, sideways or outside", () => {
    const bad = 'import { readIndex } from "../file/qdb-index.ts";\nimport fs from "node:fs";\n';
    expect(wrongRooms(join(src, "bitmap/x.ts"), bad, src)).toHaveLength(2);
    expect(wrongRooms(join(src, "layout/x.ts"), 'import { read } from "../ports/plan.ts";', src)).toHaveLength(1);
  });

  test("has no dependency of any kind at run time, and its compiler sees no Node and no DOM types", () => {
    const manifest: unknown = JSON.parse(readFileSync(join(root, "packages/format/package.json"), "utf8"));
    for (const key of ["dependencies", "peerDependencies", "optionalDependencies"])
      expect(manifest).not.toHaveProperty(key);
    const text =
      readFileSync(join(root, "tsconfig.base.json"), "utf8") +
      readFileSync(join(root, "packages/format/tsconfig.json"), "utf8");
    expect(text).toMatch(/"types":\s*\[\]/);
    expect(text).toMatch(/"lib":\s*\["ES2023"\]/i);
  });
});

describe("packages", () => {
  test.each(Object.entries(PACKAGES))("%s imports only what stands below it", (name, allowed) => {
    const wrong = sources(name).flatMap((file) =>
      imports(readFileSync(file, "utf8"))
        .filter((target) => target.startsWith("@qdb/") && !allowed.includes(target))
        .map((target) => `${relative(root, file)} imports ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  test("source files stay small: past 300 lines they explain themselves or are split", () => {
    const long = Object.keys(PACKAGES)
      .flatMap(sources)
      .filter((file) => readFileSync(file, "utf8").split("\n").length > 301);
    expect(long.map((file) => relative(root, file))).toEqual([]);
  });
});
