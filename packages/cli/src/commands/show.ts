import { basename } from "node:path";
import { QdbError, type QdbFile, quote } from "@qdb/format";
import type { LongCallOptions } from "@qdb/format/container";
import { type DrawOptions, drawAllBitmaps, drawBitmap, type Picture, svgOf, svgSpace } from "@qdb/format/picture";
import { type ByFormat, readBitmapFile } from "../files/bitmap-file.ts";
import { putPieces, requireNewOutput, writeOutput } from "../files/new-output.ts";
import { warningOf } from "../info/disk-info.ts";
import { GLYPHS, isUtf8Locale, legendLine, pictureLines, type TextStyle, textSpace } from "../picture/text.ts";
import { type Call, type CommandSpec, IMAGES, PROGRESS } from "../shell/command.ts";

/** Maximum number of rows of a map in the terminal: of the only map, and of each of several maps. */
const ROWS = { single: 16, many: 8 } as const;
const WIDTHS = { min: 20, max: 1000 } as const;

/** `qdb show`: draws bitmaps. */
export const command: CommandSpec = {
  name: "show",
  summary: "show the map of a bitmap as a picture",
  synopsis: ["[--width=COLUMNS] [--ascii] FILE [BITMAP]", "--svg=OUT FILE [BITMAP]"],
  description: [
    "Shows where the disk is dirty: a grid of cells, row by row from its start, with the offset of each row. A cell in which anything is dirty is never shown clean. Without BITMAP every bitmap is shown; one whose bits cannot be used says why. A map whose disk has changed since, or cannot be looked at, says so.",
    IMAGES,
  ],
  operands: { min: 1, max: 2, names: ["FILE", "BITMAP"] },
  options: [
    { long: "svg", value: "OUT", help: "make one SVG file, which must not exist; - is standard output" },
    { long: "width", value: "COLUMNS", help: "columns of the grid with its offsets (default: the terminal's, or 80)" },
    { long: "ascii", help: "use ASCII characters only, as is done if the locale is not UTF-8" },
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
  const space: NonNullable<DrawOptions["space"]> = (bitCount, isOnly) =>
    out === undefined ? textSpace(width, isOnly ? ROWS.single : ROWS.many) : svgSpace(bitCount);
  const pictures = await drawing(call, (progress) => {
    const options = { ...progress, space };
    const work: ByFormat<Iterable<Picture>> = {
      qdb: (file) => drawFile(file, name, { ...options, warningOf }),
      qcow2: async (image, reader) =>
        name === undefined
          ? reader.drawQcow2Bitmaps(image, options)
          : [await reader.drawQcow2Bitmap(image, name, options)],
    };
    // A picture says beside the map whether the disk has changed.
    return readBitmapFile(path, call, work, { acceptMirror: true, disk: "ignore" });
  });
  if (out === undefined) printText(pictures, call);
  else await writeOutput(out, (put) => putPieces(inPieces(svgOf(basename(path), pictures)), put, call), call);
  return 0;
}

/** Draws one bitmap of a QDB file, or all of them. @throws {QdbError} as `drawBitmap` and `drawAllBitmaps` */
async function drawFile(file: QdbFile, name: string | undefined, options: DrawOptions): Promise<Iterable<Picture>> {
  return name === undefined ? drawAllBitmaps(file, options) : [await drawBitmap(file.bitmap(name), options)];
}

/** Runs work that draws bitmaps, and shows its progress. @throws {unknown} as the work */
async function drawing<T>(call: Call, work: (options: LongCallOptions) => Promise<T>): Promise<T> {
  const progress = call.progress("reading");
  try {
    return await work({ signal: call.signal, onProgress: progress.onProgress });
  } finally {
    progress.end();
  }
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

function printText(pictures: Iterable<Picture>, call: Call): void {
  const { output } = call;
  const isAscii = call.has("ascii") || !isUtf8Locale(process.env);
  const style: TextStyle = { glyphs: isAscii ? GLYPHS.ascii : GLYPHS.unicode, colors: output.colors };
  let count = 0;
  for (const picture of pictures) {
    count++;
    for (const line of pictureLines(picture, style)) output.line(line);
    output.line();
  }
  output.line(count === 0 ? "The file holds no bitmaps." : legendLine(style));
}

/** Minimum number of characters of a piece of output, except for the last piece. */
const PIECE = 64 * 1024;

/** Joins texts to larger pieces, and encodes each piece as UTF-8. */
function* inPieces(texts: Iterable<string>): Generator<Uint8Array, void> {
  let piece = "";
  for (const text of texts) {
    piece += text;
    if (piece.length < PIECE) continue;
    yield Buffer.from(piece, "utf8");
    piece = "";
  }
  if (piece !== "") yield Buffer.from(piece, "utf8");
}
