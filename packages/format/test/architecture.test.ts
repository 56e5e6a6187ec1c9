import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { circlesIn } from "../../../scripts/circles.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));

/** Files at the root of @qdb/format that every room may import; they import each other only. */
const BASE = ["elements.ts", "errors.ts", "integers.ts", "limits.ts", "number-list.ts", "quote.ts"];

/** How bits are stored: files of bitmap/ that no other room imports. */
const PRIVATE = [
  "granularity",
  "page-counts",
  "page-store",
  "page-stores",
  "paged-bits",
  "regranulated-pages",
  "words",
];

const LOW = ["base", "ports", "layout", "records", "bitmap"];

/** What each room of a package may import: never upward, never sideways. "." are the files at its root. */
const ROOMS: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  format: {
    base: [],
    kernels: ["base"],
    ports: ["base", "kernels"],
    layout: ["base"],
    records: ["base", "ports", "layout"],
    "json-text": ["base", "layout"],
    bitmap: ["base", "kernels"],
    extents: ["base", "kernels", "ports", "layout", "bitmap", "json-text"],
    copy: ["base", "ports", "bitmap"],
    open: ["base", "ports", "layout", "records"],
    bits: LOW,
    maps: [...LOW, "open", "bits"],
    check: [...LOW, "open", "bits", "maps"],
    commit: [...LOW, "open", "bits", "maps"],
    edit: [...LOW, "bits"],
    queue: [...LOW, "open", "bits", "maps", "commit", "edit"],
    picture: ["base", "bitmap", "records"],
    json: [...LOW, "json-text", "open", "bits", "maps", "commit"],
    retry: [...LOW, "open", "bits", "maps", "check"],
    ".": [
      ...LOW,
      "json-text",
      "extents",
      "copy",
      "open",
      "bits",
      "maps",
      "check",
      "commit",
      "edit",
      "queue",
      "picture",
      "json",
      "retry",
    ],
  },
  "io-node": {
    system: [],
    create: ["system"],
    disk: ["system"],
    files: ["system", "create", "disk"],
    ".": ["system", "create", "disk", "files"],
  },
  "io-web": {
    system: [],
    blob: ["system"],
    http: ["system"],
    opfs: ["system"],
    files: ["system", "blob", "http", "opfs"],
    ".": ["blob", "http", "opfs", "files"],
  },
  qcow2: {
    image: [],
    bitmaps: ["image"],
    files: ["image", "bitmaps"],
    guest: ["image", "bitmaps"],
    create: ["image"],
    write: ["image", "bitmaps", "files"],
    shell: ["image", "bitmaps", "files", "create"],
    ".": ["image", "bitmaps", "files", "guest", "create", "write", "shell"],
  },
  cli: {
    shell: [],
    info: ["shell", "files"],
    files: ["shell"],
    bitmap: ["shell", "files", "import"],
    map: ["shell"],
    picture: ["shell"],
    import: ["shell", "files"],
    export: ["shell", "files"],
    commands: ["shell", "files", "info", "bitmap", "map", "picture", "import", "export"],
    ".": ["shell", "commands"],
  },
  conformance: {
    text: [],
    corpus: ["text"],
    program: ["text", "corpus"],
    bench: ["text", "corpus", "program"],
    kinds: ["text", "corpus", "program", "bench"],
    report: ["text", "corpus", "program"],
    run: ["text", "corpus", "program", "bench", "kinds", "report"],
    ".": ["text", "corpus", "program", "bench", "kinds", "report", "run"],
  },
};

/** What each package may import from the others. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  format: [],
  "io-node": ["@qdb/format", "@qdb/format/container", "@qdb/format/internal"],
  "io-web": ["@qdb/format", "@qdb/format/container", "@qdb/format/internal"],
  qcow2: ["@qdb/format", "@qdb/format/container", "@qdb/format/internal", "@qdb/format/picture"],
  cli: [
    "@qdb/format",
    "@qdb/format/container",
    "@qdb/format/internal",
    "@qdb/format/picture",
    "@qdb/io-node",
    "@qdb/io-node/container",
    "@qdb/qcow2",
  ],
  conformance: [],
};

/** What each room of conformance/, the package of the suite's authors, may import: rooms of it, and packages. */
const AUTHORING: Readonly<Record<string, readonly string[]>> = {
  // The tools make expected values, so they see no implementation, only its field tables.
  tools: ["@qdb/conformance/authoring", "@qdb/format/field-tables"],
  "adapters/ts": [
    "@qdb/format",
    "@qdb/format/container",
    "@qdb/format/package.json",
    "@qdb/io-node",
    "@qdb/io-node/container",
    "@qdb/io-node/package.json",
  ],
  stryker: ["tools", "adapters/ts", "@qdb/conformance/authoring", "@qdb/format", "@qdb/format/container"],
};

function sources(name: string): string[] {
  return filesIn(join(root, "packages", name, "src"));
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts") && !file.endsWith(".d.ts"))
    .map((file) => join(folder, file));
}

function imports(text: string): string[] {
  return [...text.matchAll(/\b(?:from|import)\s*\(?\s*"([^"]+)"/g)].map((match) => match[1] ?? "");
}

/** The files that each file imports by path. */
function importGraph(files: readonly string[]): Map<string, Set<string>> {
  return new Map(
    files.map((file) => {
      const paths = imports(readFileSync(file, "utf8")).filter((name) => name.startsWith("."));
      return [file, new Set(paths.map((name) => join(dirname(file), name)))];
    }),
  );
}

/** Imports by path that lead out of a folder. */
function leaving(folder: string, files: readonly string[]): string[] {
  return files.flatMap((file) =>
    imports(readFileSync(file, "utf8"))
      .filter((name) => name.startsWith(".") && relative(folder, join(dirname(file), name)).startsWith(".."))
      .map((name) => `${relative(root, file)} imports ${name}`),
  );
}

/** What of a source breaks the table of rooms of its package. */
function wrongRooms(name: string, file: string, text: string): string[] {
  const src = join(root, "packages", name, "src");
  const roomOf = (path: string): string => {
    const folder = relative(src, dirname(path));
    if (folder !== "") return folder;
    return BASE.includes(relative(src, path)) && name === "format" ? "base" : ".";
  };
  const room = roomOf(file);
  return imports(text)
    .filter((target) => target.startsWith(".") && target.endsWith(".ts"))
    .filter((target) => {
      const other = roomOf(join(dirname(file), target));
      return other !== room && !(ROOMS[name]?.[room] ?? []).includes(other);
    })
    .map((target) => `${relative(src, file)} imports ${target}`);
}

describe("@qdb/format", () => {
  test("imports nothing from outside", () => {
    const outside = sources("format").flatMap((file) =>
      imports(readFileSync(file, "utf8"))
        .filter((name) => !name.startsWith("."))
        .map((name) => `${relative(root, file)} imports ${name}`),
    );
    expect(outside).toEqual([]);
  });

  test("has no dependency of any kind at run time, and its compiler sees no Node and no DOM types", () => {
    const manifest: unknown = JSON.parse(readFileSync(join(root, "packages/format/package.json"), "utf8"));
    for (const key of ["dependencies", "peerDependencies", "optionalDependencies"])
      expect(manifest).not.toHaveProperty(key);
    const text =
      readFileSync(join(root, "tsconfig.base.json"), "utf8") +
      readFileSync(join(root, "packages/format/tsconfig.json"), "utf8");
    expect(text).toMatch(/"types":\s*\[\]/);
    expect(text).toMatch(/"lib":\s*\["ES2023", "ESNext.Disposable"\]/i);
  });
});

describe("rooms", () => {
  test.each(Object.keys(ROOMS))("of %s: imports run one way between them", (name) => {
    expect(sources(name).flatMap((file) => wrongRooms(name, file, readFileSync(file, "utf8")))).toEqual([]);
  });

  test.each(Object.keys(ROOMS))("of %s: the table names those that are there, and no others", (name) => {
    const src = join(root, "packages", name, "src");
    const folders = new Set(sources(name).map((file) => relative(src, dirname(file)) || "."));
    expect([...folders].sort()).toEqual(
      Object.keys(ROOMS[name] ?? {})
        .filter((room) => room !== "base")
        .sort(),
    );
  });

  test("only bitmap/ knows how bits are stored", () => {
    const src = join(root, "packages/format/src");
    const secrets = PRIVATE.map((file) => join(src, "bitmap", `${file}.ts`));
    const files = sources("format");
    expect(files).toEqual(expect.arrayContaining(secrets));
    const outside = [...importGraph(files)].filter(([file]) => dirname(file) !== join(src, "bitmap"));
    const wrong = outside.flatMap(([file, targets]) =>
      secrets.filter((secret) => targets.has(secret)).map((secret) => `${relative(src, file)} imports ${secret}`),
    );
    expect(wrong).toEqual([]);
  });

  test("the table would notice an import that runs upward or sideways", () => {
    const src = join(root, "packages/format/src");
    const text = 'import { readIndex } from "../open/qdb-index.ts";\nimport { QdbFile } from "../qdb-file.ts";\n';
    expect(wrongRooms("format", join(src, "bitmap/x.ts"), text)).toHaveLength(2);
    expect(wrongRooms("format", join(src, "layout/x.ts"), 'import { read } from "../ports/plan.ts";')).toHaveLength(1);
    expect(wrongRooms("format", join(src, "errors.ts"), 'import { read } from "./ports/plan.ts";')).toHaveLength(1);
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

  test.each(Object.keys(PACKAGES))("%s: no file imports itself through others", (name) => {
    expect(circlesIn(importGraph(sources(name)))).toEqual([]);
  });

  test("source files stay small: past 300 lines they explain themselves or are split", () => {
    const long = Object.keys(PACKAGES)
      .flatMap(sources)
      .filter((file) => readFileSync(file, "utf8").split("\n").length > 301);
    expect(long.map((file) => relative(root, file))).toEqual([]);
  });
});

describe("conformance/ and packages/conformance", () => {
  const suite = join(root, "conformance");
  const runner = join(root, "packages/conformance");
  const own = (folder: string): string[] => filesIn(folder).filter((file) => !file.includes("/node_modules/"));

  test("reach each other by name only, but for the build that copies the corpus", () => {
    const shared = "scripts/circles.ts";
    const wrong = [...leaving(suite, own(suite)), ...leaving(runner, own(runner))];
    expect(wrong.filter((line) => !line.endsWith(shared))).toEqual([]);
    const paths = own(runner).filter((file) => /(\.\.\/)+conformance\//.test(readFileSync(file, "utf8")));
    expect(paths).toEqual([]);
    expect(readFileSync(join(runner, "build.mjs"), "utf8").match(/(\.\.\/)+conformance\//g)).toHaveLength(1);
  });

  test.each(Object.entries(AUTHORING))("conformance/%s imports only what stands below it", (room, allowed) => {
    const wrong = filesIn(join(suite, room)).flatMap((file) =>
      imports(readFileSync(file, "utf8"))
        .filter((name) => {
          if (!name.startsWith(".")) return name.startsWith("@qdb/") && !allowed.includes(name);
          const target = relative(suite, dirname(join(dirname(file), name)));
          return target !== room && !allowed.includes(target);
        })
        .map((name) => `${relative(root, file)} imports ${name}`),
    );
    expect(wrong).toEqual([]);
  });

  test("no file imports itself through others", () => {
    expect(circlesIn(importGraph(own(suite)))).toEqual([]);
  });

  test("define nothing twice that both export", () => {
    const exported = (files: readonly string[]): Map<string, string> =>
      new Map(
        files.flatMap((file) =>
          [
            ...readFileSync(file, "utf8").matchAll(
              /^export (?:async )?(?:function\*?|class|interface|type|const) (\w+)/gm,
            ),
          ].map(([, name = ""]) => [name, relative(root, file)] as const),
        ),
      );
    const [theirs, ours] = [
      exported(own(runner)),
      exported([...own(join(suite, "tools")), ...own(join(suite, "stryker"))]),
    ];
    expect(
      [...ours].filter(([name]) => theirs.has(name)).map(([name, file]) => `${name}: ${theirs.get(name)}, ${file}`),
    ).toEqual([]);
  });
});
