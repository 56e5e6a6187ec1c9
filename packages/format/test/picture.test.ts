// Maps of bitmaps as grids and as SVG. What a grid shows of many bits is tested with the command `qdb show`.
import { spawnSync } from "node:child_process";
import { type AnySource, Bitmap, bytesSource, ExtentBatch, QdbFile } from "@qdb/format";
import { percent } from "@qdb/format/internal";
import * as picture from "@qdb/format/picture";
import { describe, expect, test } from "vitest";
import { bits, file } from "./hand.ts";
import { ZLIB } from "./store.ts";
import { fc, runs } from "./support/seed.ts";

const { drawAllBitmaps, drawBitmap, hasMap, Raster, svgOf } = picture;
type Picture = picture.Picture;

const open = (source: AnySource) => QdbFile.open(source, { digests: ZLIB });
const svg = (title: string, pictures: Iterable<Picture>): string => [...svgOf(title, pictures)].join("");

/** The first `count` bits of bytes, and zeros after them. */
function lowBits(bytes: Uint8Array, count: number): Uint8Array {
  return bytes.map((byte, at) => byte & (2 ** Math.max(0, Math.min(8, count - at * 8)) - 1));
}

/** The levels of all cells of a picture, or its problem. */
function levelsOf({ map }: Picture): string {
  if (!hasMap(map)) return map.problem.replace(/\].*/, "]");
  return Array.from({ length: map.count }, (_, cell) => map.level(cell)).join("");
}

test("what @qdb/format/picture exports at run time", () => {
  // A change here is a change of the public interface: it needs a changeset.
  expect(Object.keys(picture).sort()).toEqual([
    "Grid",
    "LEVELS",
    "Raster",
    "dirtyLine",
    "drawAllBitmaps",
    "drawBitmap",
    "factsLine",
    "hasMap",
    "svgOf",
    "svgSpace",
  ]);
});

describe("cells", () => {
  test("2^32 bits: every run counts in its own cells", () => {
    const shape = { size: 2n ** 32n * 512n, granularity: 512 };
    const raster = new Raster(shape, { columns: 64, rows: 16 });
    expect([raster.bitsPerCell, raster.count]).toEqual([2 ** 22, 1024]);
    raster.add(new ExtentBatch(shape, Uint32Array.of(5, 5, 2 ** 22, 2 ** 23 - 1, 2 ** 32 - 1, 2 ** 32 - 1)));
    expect([0, 1, 2, 1022, 1023].map((cell) => raster.level(cell))).toEqual([1, 4, 0, 0, 1]);
    expect(raster.dirtyBytes).toBe((2n + 2n ** 22n) * 512n);
  });

  test("the last granule counts with the bytes that the disk has of it", () => {
    const shape = { size: 4096n * 3n + 1n, granularity: 4096 };
    const raster = new Raster(shape, { columns: 16, rows: 1 });
    for (const batch of Bitmap.dirty(shape).batches()) raster.add(batch);
    expect(raster.dirtyBytes).toBe(shape.size);
    expect(raster.rowLevels(0)).toEqual([4, 4, 4, 4]);
  });

  test("percentages are 0 only of nothing and 100 only of everything", () => {
    const whole = 10n ** 18n;
    const cases: [bigint, string][] = [
      [0n, "0 %"],
      [1n, "< 0.01 %"],
      [whole / 8n, "12.5 %"],
      [whole - 1n, "> 99.9 %"],
      [whole, "100 %"],
    ];
    for (const [part, text] of cases) expect(percent(part, whole)).toBe(text);
  });
});

describe("bitmaps of a file", () => {
  const size = 16n * 512n;
  const bytes = file({
    bitmaps: [
      { name: "daily", size, granularity: 512, flags: 1, clusters: [bits(512, 0, 1, 5)] },
      { name: "clean", size, granularity: 512, clusters: ["zeros"] },
      { name: "used", size, granularity: 512, flags: 3, clusters: ["zeros"] },
    ],
  });
  const space = () => ({ columns: 4, rows: 2 });
  const warningOf = ({ label }: { readonly label: string }): string | undefined =>
    label === "daily" ? "changed since: yes" : undefined;

  test("are drawn one by one, with their flags and a warning", async () => {
    const opened = await open(bytesSource(bytes));
    const daily = await drawBitmap(opened.bitmap("daily"), { space, warningOf });
    expect(daily).toMatchObject({ name: "daily", flags: ["enabled"], warning: "changed since: yes" });
    // Cells of two bits: 0 and 1 are dirty, and one of 4 and 5.
    expect(levelsOf(daily)).toBe("40200000");
    expect(levelsOf(await drawBitmap(opened.bitmap("clean"), { space }))).toBe("00000000");
    await expect(drawBitmap(opened.bitmap("used"))).rejects.toMatchObject({ code: "INCONSISTENT" });
    const signal = AbortSignal.abort();
    await expect(drawBitmap(opened.bitmap("daily"), { signal })).rejects.toMatchObject({ code: "ABORTED" });
  });

  test("have in each cell as many dirty bits as their extents, whatever cells and clusters are", async () => {
    const space = fc.record({ columns: fc.integer({ min: 1, max: 700 }), rows: fc.integer({ min: 1, max: 16 }) });
    const cluster = fc.oneof(
      fc.constantFrom("zeros" as const, "ones" as const),
      fc.uint8Array({ minLength: 512, maxLength: 512 }),
      fc.array(fc.nat(4095), { maxLength: 5 }).map((dirty) => bits(512, ...dirty)),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(cluster, { minLength: 1, maxLength: 9 }),
        space,
        fc.nat(4095),
        async (all, cells, cut) => {
          // The bits after the last one of the bitmap are zero in the file.
          const last = all.at(-1);
          const clusters = last instanceof Uint8Array ? [...all.slice(0, -1), lowBits(last, 4096 - cut)] : all;
          const size = BigInt(clusters.length * 4096 - cut) * 512n;
          const daily = { name: "daily", size, granularity: 512, clusters };
          const opened = await open(bytesSource(file({ header: { incompatible: 1n }, bitmaps: [daily] })));
          const expected = new Raster({ size: daily.size, granularity: 512 }, cells);
          for await (const batch of opened.bitmap("daily").batches()) expected.add(batch);
          for (const { map } of [
            await drawBitmap(opened.bitmap("daily"), { space: () => cells }),
            ...(await drawAllBitmaps(opened, { space: () => cells })),
          ]) {
            if (!hasMap(map)) throw new Error(map.problem);
            expect(map.dirty).toEqual(expected.dirty);
            for (let row = 0; row < map.rows; row++) expect(map.rowLevels(row)).toEqual(expected.rowLevels(row));
            if (!(map instanceof Raster)) continue;
            for (let cell = 0; cell < map.count; cell++) expect(map.dirtyBits(cell)).toBe(expected.dirtyBits(cell));
          }
        },
      ),
      runs(60),
    );
  });

  test("are drawn all at once, as often as they are iterated", async () => {
    const pictures = await drawAllBitmaps(await open(bytesSource(bytes)), { space, warningOf });
    for (const _ of ["first", "second"])
      expect([...pictures].map(levelsOf)).toEqual(["40200000", "00000000", "[INCONSISTENT]"]);
    expect([...pictures].map(({ warning }) => warning)).toEqual(["changed since: yes", undefined, undefined]);
  });

  test("have the shape that a writer gave them since the handle was made", async () => {
    const longer = file({
      header: { generation: 2n },
      bitmaps: [{ name: "daily", size: 64n * 512n, granularity: 512, clusters: [bits(512, 0, 63)] }],
    });
    let { readSync } = bytesSource(bytes);
    const source = { size: bytes.length, readSync: (offset: number, length: number) => readSync(offset, length) };
    const handle = (await open(source)).bitmap("daily");
    ({ readSync } = bytesSource(longer));
    const drawn = await drawBitmap(handle, { space });
    expect(drawn.shape.size).toBe(64n * 512n);
    expect(levelsOf(drawn)).toBe("10000001");
  });
});

test("an SVG is well-formed whatever its names, warnings and problems hold", () => {
  const shape = { size: 2n * 512n, granularity: 512 };
  const evil = `</text><script>&"'\u0000\u001b\ud800\uffff\n`;
  const map = new Raster(shape, { columns: 2, rows: 1 });
  const text = svg(evil, [
    { name: evil, shape, flags: [], warning: evil, map },
    { name: evil, shape, flags: [], warning: undefined, map: { problem: evil } },
  ]);
  expect(text).not.toMatch(/<script|[^\P{Cc}\n]|[\p{Cs}\uffff]/u);
  const script =
    "import sys, xml.dom.minidom as m; d = m.parseString(sys.stdin.buffer.read()); print(sorted({e.tagName for e in d.getElementsByTagName('*')}))";
  const { error, status, stdout, stderr } = spawnSync("python3", ["-c", script], { input: text, encoding: "utf8" });
  expect({ error, status, stderr }).toEqual({ error: undefined, status: 0, stderr: "" });
  expect(stdout.trim()).toBe("['desc', 'g', 'path', 'rect', 'style', 'svg', 'text', 'title']");
  expect(text).toContain("&lt;/text&gt;&lt;script&gt;&amp;&quot;&#39;\ufffd\ufffd\ufffd\ufffd\ufffd");
  expect(svg("empty.qdb", [])).toContain("The file holds no bitmaps.");
});
