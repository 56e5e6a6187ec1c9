// The parser that Kaitai Struct makes of spec/qdb.ksy reads the golden files, and refuses the errors that it can express.
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { load } from "js-yaml";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { REPOSITORY, SUITE } from "../tools/places.ts";
import { inputOf, loadSources, type Source } from "../tools/sources.ts";
import { type Parsed, parsedModel } from "./ksy-model.ts";

interface Compiler {
  compile(language: string, ksy: unknown, importer: null, debug: boolean): Promise<Record<string, string>>;
}

const fromHere = createRequire(import.meta.url);
const sources = loadSources();
const directory = mkdtempSync(join(tmpdir(), "qdb-ksy-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

let parse: (bytes: Uint8Array) => Parsed;

beforeAll(async () => {
  const compiler = fromHere("kaitai-struct-compiler") as Compiler;
  const ksy = load(readFileSync(`${REPOSITORY}spec/qdb.ksy`, "utf8"));
  const files = await compiler.compile("javascript", ksy, null, false);
  // The compiled parser is CommonJS and requires its runtime by name.
  symlinkSync(`${SUITE}node_modules`, join(directory, "node_modules"));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name.replace(/\.js$/, ".cjs")), text);
  const load_ = createRequire(join(directory, "x.cjs"));
  const { Qdb } = load_("./Qdb.cjs") as { Qdb: new (stream: object) => Parsed };
  const Stream = load_("kaitai-struct/KaitaiStream") as new (buffer: ArrayBuffer) => object;
  parse = (bytes) => new Qdb(new Stream(bytes.slice().buffer));
});

const bytesOf = (source: Source): Uint8Array => inputOf(source, sources)?.bytes() ?? new Uint8Array();
const golden = [...sources.values()].filter(({ id }) => id.startsWith("golden-"));

describe("a golden file holds what its model says", () => {
  test.each(golden.map((source) => [source.id, source] as const))("%s", (id, source) => {
    const model = JSON.parse(readFileSync(`${SUITE}models/${id}.json`, "utf8"));
    for (const bitmap of model.bitmaps) delete bitmap.bits_sha256;
    expect(parsedModel(parse(bytesOf(source)))).toEqual(model);
  });

  test("there are some", () => expect(golden.length).toBeGreaterThan(4));
});

/** The class of the error that the parser throws. A bug in the description throws another one. */
function nameOfError(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    return error instanceof Error ? error.constructor.name : String(error);
  }
  return "none";
}

/** Vectors of the boundary matrix that Kaitai cannot refuse, and why. */
const BEYOND: readonly (readonly [RegExp, string])[] = [
  [/^matrix-(header|entry|l1)-\w+-checksum-|^matrix-entry-l1-checksum-/, "checksums"],
  [/in-use$|^matrix-session-/, "in_use breaks no rule of a file"],
  [/frozen$/, "other bitmaps"],
  [/in-table$|in-own-l1-area$/, "owners of clusters"],
  [/record-type-as-the-first$/, "types that stand twice"],
];

describe("the boundary matrix", () => {
  const vectors = [...sources.values()].filter(
    ({ id, length }) => id.startsWith("matrix-") && Number(length ?? 0) < 1e6,
  );
  const isBeyond = (id: string): boolean => BEYOND.some(([pattern]) => pattern.test(id));
  const isRefused = ({ expect: { error, bitmaps } }: Source): boolean =>
    error !== undefined || Object.values(bitmaps ?? {}).some((bits) => typeof bits === "string");

  test.each(vectors.filter(isRefused).map((source) => [source.id, source] as const))("%s", (id, source) => {
    const read = (): unknown => parsedModel(parse(bytesOf(source)));
    if (isBeyond(id)) expect(read, "now it can: take it from the list").not.toThrow();
    else expect(nameOfError(read)).toMatch(/^(Validation\w+|EOF)Error$/);
  });

  test.each(vectors.filter((source) => !isRefused(source)).map((source) => [source.id, source] as const))(
    "%s",
    (_, source) => {
      const model = parsedModel(parse(bytesOf(source)));
      const bitmaps = Object.fromEntries(model.bitmaps.map(({ name, dirty }) => [name, dirty]));
      expect(bitmaps).toEqual(source.expect.bitmaps);
      expect(model.header).toMatchObject(source.expect.head ?? {});
      if (source.expect.extensions !== undefined) expect(model.extensions).toEqual(source.expect.extensions);
      for (const [name, records] of Object.entries(source.expect.records ?? {}))
        expect(model.bitmaps.find((bitmap) => bitmap.name === name)?.extra_data).toEqual(records);
    },
  );
});
