import { shortSize } from "@qdb/format/internal";
import {
  dirtyLine,
  factsLine,
  type Grid,
  hasMap,
  LEVELS,
  type Level,
  type Picture,
  type RasterSpace,
} from "@qdb/format/picture";
import type { Colors } from "../shell/terminal.ts";

/** How a grid is printed on a terminal. */
export interface TextStyle {
  /** The characters for the levels 0 to 4. */
  readonly glyphs: readonly [string, string, string, string, string];
  readonly colors: Colors;
}

/**
 * The characters for the levels, for terminals with Unicode and for those without. In Unicode, the higher a level, the more of the cell is
 * filled.
 */
export const GLYPHS = {
  unicode: ["·", "░", "▒", "▓", "█"],
  ascii: [".", "-", "+", "*", "#"],
} as const;

/** Number of columns for the offset of a row and the space after it. */
const LABEL_WIDTH = 10;
/** The number of cells in a row is a multiple of this number, so that rows begin at round offsets. */
const COLUMN_UNIT = 16;

/** Whether the locale of the environment uses UTF-8. The first of LC_ALL, LC_CTYPE and LANG that is set decides, as POSIX says. */
export function isUtf8Locale(env: NodeJS.ProcessEnv): boolean {
  const locale = [env.LC_ALL, env.LC_CTYPE, env.LANG].find((value) => value !== undefined && value !== "");
  return /utf-?8/i.test(locale ?? "");
}

/** Returns the space for a map on lines of `width` columns, which begin with the offset of the row. */
export function textSpace(width: number, rows: number): RasterSpace {
  const room = Math.max(1, width - LABEL_WIDTH);
  return { columns: room < COLUMN_UNIT ? room : room - (room % COLUMN_UNIT), rows };
}

/** Returns a picture as lines of text: the properties of the bitmap, then the grid with the offset of each row. */
export function pictureLines(picture: Picture, style: TextStyle): string[] {
  const { colors } = style;
  const { warning } = picture;
  const lines = [colors.bold(factsLine(picture)), ...(warning === undefined ? [] : [colors.red(warning)])];
  const raster = picture.map;
  if (!hasMap(raster)) return [...lines, `no map: ${raster.problem}`];
  lines.push(dirtyLine(raster));
  for (let row = 0; row < raster.rows; row++) {
    const label = shortSize(raster.rowOffset(row)).padStart(LABEL_WIDTH - 1);
    lines.push(`${colors.dim(label)} ${cellsText(raster, row, style)}`);
  }
  return lines;
}

function cellsText(raster: Grid, row: number, style: TextStyle): string {
  let text = "";
  let run = "";
  let last: Level = 0;
  // Adjacent cells of the same level are coloured together, which makes the output much shorter.
  for (const level of raster.rowLevels(row)) {
    if (level !== last && run !== "") {
      text += colored(run, last, style.colors);
      run = "";
    }
    run += style.glyphs[level];
    last = level;
  }
  return text + colored(run, last, style.colors);
}

function colored(text: string, level: Level, colors: Colors): string {
  if (level === 0) return colors.dim(text);
  return level === 4 ? colors.red(text) : colors.yellow(text);
}

/** Returns the legend: each character with the meaning of its level. */
export function legendLine({ glyphs, colors }: TextStyle): string {
  const words = ["clean", "some dirty", "over 1/3", "over 2/3", "all dirty"] as const;
  return LEVELS.map((level) => `${colored(glyphs[level], level, colors)} ${words[level]}`).join("   ");
}
