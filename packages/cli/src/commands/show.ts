import { basename } from "node:path";
import { isQdbError, QdbError, type QdbFile, quote, type StoredBitmap } from "@qdb/format";
import { type Call, type CommandSpec, PROGRESS } from "../command.ts";
import { requireNewOutput, writeOutput } from "../new-output.ts";
import { about, openFile } from "../open.ts";
import { Raster, type RasterSpace } from "../raster.ts";
import { type Picture, pictureOf } from "../raster-picture.ts";
import { GLYPHS, isUtf8Locale, legendLine, pictureLines, type TextStyle, textSpace } from "../raster-text.ts";
import { svgOf, svgSpace } from "../svg.ts";

/** Rows of a map in the terminal: of a single one, and of one of many. */
const ROWS = { single: 16, many: 8 } as const;
const WIDTHS = { min: 20, max: 1000 } as const;

/** `qdb show`: bitmaps as pictures. */
export const command: CommandSpec = {
  name: "show",
  summary: "show the map of a bitmap as a picture",
  synopsis: ["[--width=COLUMNS] [--ascii] FILE [BITMAP]", "--svg=OUT FILE [BITMAP]"],
  description: [
    "Shows where the disk is dirty: a grid of cells, row by row from its start, with the offset of each row. A cell in which anything is dirty is never shown clean. Without BITMAP every bitmap is shown; one whose bits cannot be used says why. A map whose disk has changed since, or cannot be looked at, says so.",
  ],
  operands: { min: 1, max: 2, names: ["FILE", "BITMAP"] },
  options: [
    { long: "svg", value: "OUT", help: "make one SVG file, which must not exist; - is standard output" },
    { long: "width", value: "COLUMNS", help: "columns of the grid with its offsets (default: the terminal's, or 80)" },
    { long: "ascii", help: "use ASCII characters only, as where the locale is not UTF-8" },
    ...PROGRESS,
  ],
  examples: [
    ["qdb show vm.qdb daily", "one bitmap in the terminal"],
    ["qdb show --svg vm.svg vm.qdb", "all of them as a picture for a browser or a report"],
  ],
  run,
};

async function run(call: Call): Promise<number> {
  const [path = "", name] = call.operands;
  const out = call.value("svg");
  if (out !== undefined) refuseTextOptions(call);
  if (out !== undefined) requireNewOutput(out);
  const width = widthOf(call);
  const file = await openFile(path, call);
  try {
    const bitmaps = await about(path, () => (name === undefined ? file.bitmaps : [file.bitmap(name)]));
    const rows = bitmaps.length === 1 ? ROWS.single : ROWS.many;
    const spaceFor = (bits: number): RasterSpace => (out === undefined ? textSpace(width, rows) : svgSpace(bits));
    const pictures = await about(path, () => draw(bitmaps, spaceFor, name === undefined, call));
    if (out === undefined) printText(pictures, file, call);
    else {
      const svg = Buffer.from(svgOf(quote(basename(path)), pictures), "utf8");
      await writeOutput(out, () => [svg], call);
    }
  } finally {
    await file.close();
  }
  return 0;
}

function refuseTextOptions(call: Call): void {
  const given = ["width", "ascii"].find((option) => call.has(option));
  if (given !== undefined) throw new QdbError("USAGE", `--${given} does not go with --svg; try: qdb show --help`);
}

function widthOf(call: Call): number {
  const text = call.value("width");
  if (text === undefined) return Math.min(WIDTHS.max, Math.max(WIDTHS.min, call.output.columns));
  const width = /^[0-9]{1,4}$/.test(text) ? Number(text) : 0;
  if (width >= WIDTHS.min && width <= WIDTHS.max) return width;
  throw new QdbError("USAGE", `--width ${quote(text)} is no number from ${WIDTHS.min} to ${WIDTHS.max}`);
}

/** Reads the bitmaps' extents into grids. A bitmap in error is a fact where all are shown, and an error where it was asked for. */
async function draw(
  bitmaps: readonly StoredBitmap[],
  spaceFor: (bits: number) => RasterSpace,
  keepProblems: boolean,
  call: Call,
): Promise<Picture[]> {
  const progress = call.progress("reading");
  const pictures: Picture[] = [];
  try {
    for (const [index, bitmap] of bitmaps.entries()) {
      try {
        const raster = new Raster(bitmap.shape, spaceFor(bitmap.entry.bits));
        const onProgress = (done: number, total: number): void =>
          progress.onProgress(index + (total === 0 ? 1 : done / total), bitmaps.length);
        for await (const batch of bitmap.extents({ signal: call.signal, onProgress })) raster.add(batch);
        pictures.push(pictureOf(bitmap, raster));
      } catch (error) {
        if (!keepProblems || !isQdbError(error) || !isOfBitmap(error)) throw error;
        pictures.push(pictureOf(bitmap, { problem: `[${error.code}] ${error.message}` }));
      }
    }
  } finally {
    progress.end();
  }
  return pictures;
}

/** Whether an error says something of one bitmap, and not of the file, of reading it or of the command. */
function isOfBitmap(error: QdbError): boolean {
  return (
    error.where.bitmap !== undefined &&
    !isQdbError(error, "ABORTED", "IO", "SHORT_READ", "LOCKED", "SOURCE_CHANGED", "NOT_FOUND")
  );
}

function printText(pictures: readonly Picture[], file: QdbFile, call: Call): void {
  const { output } = call;
  const isAscii = call.has("ascii") || !isUtf8Locale(process.env);
  const style: TextStyle = { glyphs: isAscii ? GLYPHS.ascii : GLYPHS.unicode, colors: output.colors };
  for (const picture of pictures) {
    for (const line of pictureLines(picture, style)) output.line(line);
    output.line();
  }
  output.line(file.bitmaps.length === 0 ? "The file holds no bitmaps." : legendLine(style));
}
