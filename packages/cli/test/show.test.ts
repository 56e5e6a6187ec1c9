import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import type { Level } from "@qdb/format/picture";
import { describe, expect, test } from "vitest";
import { COMMAND, NODE, qdb, qdbFails, runQdb, temporaryDirectory } from "./built.ts";
import { runPeer, seededRandom } from "./peers.ts";
import { handFile } from "./samples.ts";

const directory = temporaryDirectory();
const ASCII = ".-+*#";
const UNICODE = "·░▒▓█";
const UTF8 = { LC_ALL: "C.UTF-8", NO_COLOR: "" };

/** A file with one bitmap of so many bits at 4 KiB, and the bits. */
function makeFile(name: string, bits: readonly boolean[], bitmap = "b"): string {
  const bytes = Buffer.alloc(Math.ceil(bits.length / 8));
  for (const [bit, dirty] of bits.entries()) if (dirty) bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (1 << (bit % 8));
  const file = join(directory, `${name}.qdb`);
  const args = [
    "import",
    "--from",
    "raw-bits",
    "-g",
    "4K",
    "--size",
    `${bits.length * 4096}`,
    `--bitmap=${bitmap}`,
    "-",
    file,
  ];
  const { status, stderr } = runQdb(args, { input: bytes });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return file;
}

/** Random bits in clusters, so that all levels appear. */
function randomBits(seed: number, count: number): boolean[] {
  const random = seededRandom(seed);
  const shares = [0, 0, 5, 40, 80, 100, 100];
  let share = 0;
  return Array.from({ length: count }, () => {
    if (random(60) === 0) share = shares[random(shares.length)] ?? 0;
    return random(100) < share;
  });
}

/** The levels that cells of so many bits must have. */
function modelLevels(bits: readonly boolean[], bitsPerCell: number): Level[] {
  const levels: Level[] = [];
  for (let start = 0; start < bits.length; start += bitsPerCell) {
    const cell = bits.slice(start, start + bitsPerCell);
    const share = cell.filter(Boolean).length / cell.length;
    levels.push(share === 0 ? 0 : share === 1 ? 4 : share <= 1 / 3 ? 1 : share <= 2 / 3 ? 2 : 3);
  }
  return levels;
}

/** The cells of a grid in the terminal as levels. */
function shownLevels(text: string, glyphs: string): number[] {
  return text
    .split("\n")
    .slice(2, -3)
    .flatMap((line) => [...line.slice(10)].map((glyph) => glyphs.indexOf(glyph)));
}

describe("the grid", () => {
  test.each([
    [1, 1, 1],
    [2, 64, 1],
    [3, 1024, 1],
    [4, 1025, 2],
    [5, 5000, 8],
    [6, 40_000, 64],
  ])("seed %i: %i bits in cells of %i", (seed, count, bitsPerCell) => {
    const bits = randomBits(seed, count);
    const file = makeFile(`grid-${seed}`, bits);
    const expected = modelLevels(bits, bitsPerCell);
    expect(shownLevels(qdb("show", "--ascii", "--width", "80", file), ASCII)).toEqual(expected);
    const { stdout } = runQdb(["show", "--width", "80", file, "b"], { env: UTF8 });
    expect(shownLevels(stdout.toString("utf8"), UNICODE)).toEqual(expected);
  });

  test("rows begin where their offsets say, and no line is longer than told", () => {
    const file = makeFile("rows", randomBits(7, 3000));
    for (const width of [20, 60, 80, 200]) {
      const lines = qdb("show", "--ascii", `--width=${width}`, file).split("\n");
      const rows = lines.slice(2, -3);
      expect(Math.max(...rows.map((line) => line.length))).toBeLessThanOrEqual(width);
      expect(rows[0]?.slice(0, 9).trim()).toBe("0 B");
    }
    // 3000 bits in 64 columns of 16 rows: cells of 4 bits, 16 KiB; rows of 1 MiB.
    const rows = qdb("show", "--ascii", "--width=80", file).split("\n").slice(2, -3);
    expect(rows.map((line) => line.slice(0, 9).trim())).toEqual(
      Array.from({ length: 12 }, (_, row) => (row === 0 ? "0 B" : `${row} MiB`)),
    );
  });

  test("ASCII where the locale is not UTF-8, no colours where it is no terminal", () => {
    const file = makeFile("locale", [true, false]);
    const show = (env: NodeJS.ProcessEnv): string => runQdb(["show", file], { env }).stdout.toString("utf8");
    const none = { LC_ALL: undefined, LC_CTYPE: undefined, LANG: undefined };
    for (const env of [{ ...none, LC_ALL: "C" }, none, { ...none, LC_ALL: "C", LANG: "de_DE.UTF-8" }]) {
      expect(show(env)).toContain(" #.\n");
    }
    for (const env of [
      { ...none, LANG: "de_DE.UTF-8" },
      { ...none, LC_ALL: "", LC_CTYPE: "en_US.utf8", LANG: "C" },
    ]) {
      expect(show(env)).toContain(" █·\n");
    }
    expect(show({ FORCE_COLOR: "1" })).not.toContain("\u001b");
  });

  test("a terminal gets colours, its width, and none of them with NO_COLOR", () => {
    const file = makeFile("terminal", randomBits(8, 20_000));
    const script = (setting: string): string => {
      const command = `stty cols 120; ${setting} ${NODE} ${COMMAND} show ${file}`;
      const env = `import os,pty,sys\nos.environ.update(TERM='xterm', LC_ALL='C.UTF-8')\nos.environ.pop('NO_COLOR', None)\npty.spawn(['sh','-c',sys.argv[1]])`;
      return runPeer("python3", ["-c", env, command]);
    };
    const colored = script("");
    expect(colored).toContain("\u001b[31m█");
    const plain = script("NO_COLOR=1");
    expect(plain).not.toContain("\u001b");
    expect(stripVTControlCharacters(colored)).toBe(plain);
    const longest = Math.max(...plain.split("\n").map((line) => line.trimEnd().length));
    expect([longest > 80, longest <= 120]).toEqual([true, true]);
  });
});

/** The rectangles of each level in an SVG, as sets of cells `column,row`. */
function svgCells(svg: string, level: number, side: number): Set<string> {
  const path = new RegExp(`<path class="l${level}" d="([^"]*)"`).exec(svg)?.[1] ?? "";
  const all = [...svg.matchAll(/<path class="l\d" d="([^"]*)"/g)].flatMap(([, d = ""]) => [
    ...d.matchAll(/M([\d.]+) ([\d.]+)/g),
  ]);
  const left = Math.min(...all.map(([, x]) => Number(x)));
  const top = Math.min(...all.map(([, , y]) => Number(y)));
  const cells = new Set<string>();
  for (const [, x, y, width] of path.matchAll(/M([\d.]+) ([\d.]+)h([\d.]+)/g)) {
    for (let at = 0; at < Number(width); at += side)
      cells.add(`${(Number(x) - left + at) / side},${(Number(y) - top) / side}`);
  }
  return cells;
}

describe("--svg", () => {
  test("holds every cell with its level, and nothing else", () => {
    const bits = randomBits(11, 30_000);
    const out = join(directory, "levels.svg");
    expect(qdb("show", "--svg", out, makeFile("levels", bits))).toBe("");
    const svg = readFileSync(out, "utf8");
    // 128 columns of 64 rows: cells of 4 bits.
    const expected = modelLevels(bits, 4);
    for (const level of [0, 1, 2, 3, 4] as const) {
      const cells = expected.flatMap((other, cell) =>
        other === level ? [`${cell % 128},${Math.floor(cell / 128)}`] : [],
      );
      expect(svgCells(svg, level, 6)).toEqual(new Set(cells));
    }
  });

  test("is well-formed, speaks in words, and takes nothing from elsewhere; names cannot break out", () => {
    const name = `</text><script>alert("1")</script>&\u202e\u0007]]>`;
    const out = join(directory, "words.svg");
    qdb("show", "--svg", out, makeFile("words <&>", [true, false, false, false], name));
    const svg = readFileSync(out, "utf8");
    const script =
      "import sys,xml.dom.minidom as m; d=m.parse(sys.argv[1]); print([e.tagName for e in d.getElementsByTagName('*')]); print(d.getElementsByTagName('desc')[0].firstChild.data)";
    const parsed = runPeer("python3", ["-c", script, out]);
    expect(parsed).not.toContain("script'");
    expect(parsed).toContain("4 KiB of 16 KiB dirty (25 %)");
    expect(parsed).toContain("\\u202e\\x07");
    expect(svg).not.toMatch(/<script|href|url\(|@import|\p{Bidi_Control}|[^\P{Cc}\n]/u);
    expect(svg.match(/https?:[^"]*/g)).toEqual(["http://www.w3.org/2000/svg"]);
    expect(svg).toContain("prefers-color-scheme: dark");
  });

  test("goes to standard output, and over nothing that exists", () => {
    const file = makeFile("target", [true]);
    const out = join(directory, "target.svg");
    qdb("show", "--svg", out, file, "b");
    const before = readFileSync(out);
    expect(qdb("show", "--svg", "-", file, "b")).toBe(before.toString("utf8"));
    writeFileSync(out, "mine");
    qdbFails("ALREADY_EXISTS", ["show", "--svg", out, file]);
    expect(readFileSync(out, "utf8")).toBe("mine");
    qdbFails("USAGE", ["show", "--svg", "-", "--ascii", file]);
    expect(readdirSync(directory).filter((entry) => entry.includes("tmp"))).toEqual([]);
  });
});

test("all bitmaps: one that cannot be used says why, and does not take the others with it", () => {
  const file = makeFile("damaged", randomBits(12, 4096 * 8));
  const bytes = readFileSync(file);
  bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 1;
  writeFileSync(file, bytes);
  expect(qdb("show", "--ascii", file)).toContain("no map: [BAD_CHECKSUM]");
  expect(qdb("show", "--svg", "-", file)).toContain("no map: [BAD_CHECKSUM]");
  qdbFails("BAD_CHECKSUM", ["show", file, "b"]);
});

test("all bitmaps: each is shown as it is alone", () => {
  const random = seededRandom(31);
  // Some bytes of lone bits, some plain ones: cells of every level, in short runs and in long ones.
  const data = (): Uint8Array => Uint8Array.from({ length: 512 }, (_, at) => (at % 64 < 20 ? random(256) : 255));
  const bitmap = { size: 8192n * 512n, granularity: 512 };
  const file = handFile(directory, "several.qdb", {
    header: { incompatible: 1n },
    bitmaps: [
      { ...bitmap, name: "a", clusters: [data(), data()] },
      { ...bitmap, name: "clean", clusters: ["zeros", "zeros"] },
      { ...bitmap, name: "rotten", clusters: [data(), { data: data(), crc: 1 }] },
      {
        ...bitmap,
        size: 32_768n * 512n,
        name: "b",
        clusters: [data(), "zeros", data(), "ones", data(), data(), "ones", data()],
      },
      { ...bitmap, name: "dirty", clusters: ["ones", "ones"] },
      { size: 0n, granularity: 512, name: "none" },
    ],
  });
  // The paths of the cells, their rows counted from the first one of each path.
  const cells = (svg: string): string[] =>
    [...svg.matchAll(/<path class="l\d" d="M[\d.]+ ([\d.]+)[^"]*"/g)].map(([path, top]) =>
      path.replaceAll(/(M[\d.]+) ([\d.]+)/g, (_, x, y) => `${x} ${Number(y) - Number(top)}`),
    );
  const alone = ["a", "clean", "b", "dirty", "none"].flatMap((name) => cells(qdb("show", "--svg=-", file, name)));
  const together = qdb("show", "--svg=-", file);
  expect(cells(together)).toEqual(alone);
  expect(together.match(/no map: \[\w+\]/g)).toEqual(["no map: [BAD_CHECKSUM]"]);
  for (const name of ["a", "b", "dirty"]) {
    const [heading, dirty] = qdb("show", "--width=80", file, name).split("\n");
    expect(qdb("show", "--width=80", file)).toContain(`${heading}\n${dirty?.split(",")[0]}`);
  }
});

test("wrong calls", () => {
  const file = makeFile("usage", [true]);
  for (const width of ["0", "19", "1001", "x", "1e2"]) qdbFails("USAGE", ["show", `--width=${width}`, file]);
  qdbFails("NOT_FOUND", ["show", file, "none"]);
  qdbFails("NOT_FOUND", ["show", join(directory, "none")]);
  qdbFails("USAGE", ["show", directory]);
  qdbFails("USAGE", ["show", "-"]);
});

test("a file without bitmaps", () => {
  const file = join(directory, "empty.qdb");
  qdb("create", file);
  expect(qdb("show", file)).toContain("no bitmaps");
  expect(qdb("show", "--svg", "-", file)).toContain("The file holds no bitmaps.");
});
