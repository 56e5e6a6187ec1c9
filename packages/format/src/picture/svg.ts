import { itemAt } from "../elements.ts";
import { quote } from "../quote.ts";
import { dirtyLine, factsLine, hasMap, type Picture } from "./picture.ts";
import { type Grid, LEVELS, type RasterSpace } from "./raster.ts";
import { shortSize } from "./size-text.ts";

/** Layout of the picture in pixels: its width, the width of the map in it, the margins, and the height of a line of text. */
const WIDTH = 880;
const MAP_WIDTH = 768;
const MARGIN = 24;
const MAP_LEFT = WIDTH - MARGIN - MAP_WIDTH;
const LINE = 20;
/** Maximum number of characters of a name, and of the text of a problem, on one line. Longer texts are cut. */
const LONGEST_NAME = 48;
const LONGEST_PROBLEM = 118;

/**
 * Colours. Clean cells are grey; dirty cells have one hue that becomes darker (in the dark theme, brighter) with the level. The levels
 * differ in lightness, so that colour-blind readers can tell them apart, also in print.
 */
const THEMES = {
  light: {
    back: "#ffffff",
    text: "#1f2328",
    dim: "#59636e",
    levels: ["#e4e8ed", "#fdbe85", "#f0812d", "#bf4a08", "#6f2203"],
  },
  dark: {
    back: "#0d1117",
    text: "#e6edf3",
    dim: "#9198a1",
    levels: ["#232a33", "#7a3a0d", "#bd5f14", "#f08f3c", "#ffe0bd"],
  },
} as const;

/** Returns the CSS rules of a theme. They use no custom properties, because not every SVG viewer supports them. */
function rulesOf({ back, text, dim, levels }: (typeof THEMES)[keyof typeof THEMES]): string {
  const cells = levels.map((color, level) => `.l${level} { fill: ${color}; }`).join(" ");
  return `text { fill: ${text}; } text.dim, text.at { fill: ${dim}; } .back { fill: ${back}; } .grid { stroke: ${back}; } ${cells}`;
}

const STYLE = `
text { font-family: system-ui, sans-serif; font-size: 13px; }
text.name, text.doubt { font-weight: bold; } text.at { font-size: 11px; text-anchor: end; } .grid { fill: none; }
${rulesOf(THEMES.light)}
@media (prefers-color-scheme: dark) {
${rulesOf(THEMES.dark)}
}
`;

/** Returns the space for the map of a bitmap with `bitCount` bits in an SVG. A bitmap with few bits gets larger cells. */
export function svgSpace(bitCount: number): RasterSpace {
  return bitCount <= 64 * 32 ? { columns: 64, rows: 32 } : { columns: 128, rows: 64 };
}

/**
 * Yields the text of one SVG file with pictures of bitmaps, which are iterated three times. It is well-formed whatever the names hold, and
 * has no scripts and no external resources. `file` is the name in its title.
 */
export function* svgOf(file: string, pictures: Iterable<Picture>): Generator<string, void> {
  const title = quote(file);
  let count = 0;
  let height = MARGIN + 2 * LINE;
  for (const picture of pictures) {
    count++;
    height += heightOf(picture) + MARGIN;
  }
  yield `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="title desc">\n`;
  yield `<title id="title">${escapeXml(`Dirty bitmaps of ${title}`)}</title>\n<desc id="desc">`;
  let before = "";
  for (const picture of pictures) {
    yield escapeXml(`${before}${factsLine(picture)}: ${summaryOf(picture)}.`);
    before = " ";
  }
  if (count === 0) yield "The file holds no bitmaps.";
  yield `</desc>\n<style>${STYLE}</style>\n<rect class="back" width="${WIDTH}" height="${height}"/>\n`;
  yield `<text class="dim" x="${MARGIN}" y="${MARGIN + 8}">${escapeXml(shorten(title, LONGEST_PROBLEM))}</text>\n`;
  let top = MARGIN + LINE;
  for (const picture of pictures) {
    const { map } = picture;
    yield hasMap(map) ? mapPanel(picture, map, top) : problemPanel(picture, map.problem, top);
    top += heightOf(picture) + MARGIN;
  }
  yield `${legend(top)}\n</svg>\n`;
}

function summaryOf({ warning, map }: Picture): string {
  const summary = hasMap(map) ? dirtyLine(map) : `no map, ${map.problem}`;
  return warning === undefined ? summary : `${summary}; ${warning}`;
}

/** Returns the height of a picture with its heading, in pixels. */
function heightOf({ warning, map }: Picture): number {
  const lines = (warning === undefined ? 2 : 3) * LINE;
  return hasMap(map) ? lines + 6 + map.rows * sideOf(map) : lines;
}

/** Returns width and height of a cell in pixels. */
function sideOf({ columns }: Grid): number {
  return MAP_WIDTH / columns;
}

/** Returns the heading of a bitmap: its name and properties, and why its map may be outdated. `height` is the height of the heading in pixels. */
function heading(picture: Picture, top: number): { readonly text: string; readonly height: number } {
  const { warning } = picture;
  const lines = [
    `<title>${escapeXml(factsLine(picture))}</title>`,
    `<text class="name" x="${MARGIN}" y="${top + 14}">${escapeXml(factsLine(picture, LONGEST_NAME))}</text>`,
  ];
  if (warning === undefined) return { text: lines.join("\n"), height: LINE };
  const text = escapeXml(shorten(warning, LONGEST_PROBLEM));
  const line = `<text class="doubt" x="${MARGIN}" y="${top + LINE + 14}"><title>${escapeXml(warning)}</title>${text}</text>`;
  return { text: [...lines, line].join("\n"), height: 2 * LINE };
}

function problemPanel(picture: Picture, problem: string, top: number): string {
  const text = escapeXml(shorten(`no map: ${problem}`, LONGEST_PROBLEM));
  const { text: head, height } = heading(picture, top);
  const parts = ["<g>", head, `<text class="dim" x="${MARGIN}" y="${top + height + 14}">${text}</text>`, "</g>\n"];
  return parts.join("\n");
}

function mapPanel(picture: Picture, raster: Grid, top: number): string {
  const side = sideOf(raster);
  const { text: head, height } = heading(picture, top);
  const mapTop = top + height + LINE + 6;
  const parts = [
    "<g>",
    head,
    `<text class="dim" x="${MARGIN}" y="${top + height + 14}">${escapeXml(dirtyLine(raster))}</text>`,
    ...levelPaths(raster, side, mapTop),
    gridPath(raster, side, mapTop),
  ];
  const labelEvery = Math.max(1, Math.ceil(14 / side));
  for (let row = 0; row < raster.rows; row += labelEvery) {
    const baseline = mapTop + row * side + Math.min(10, side);
    parts.push(`<text class="at" x="${MAP_LEFT - 6}" y="${baseline}">${shortSize(raster.rowOffset(row))}</text>`);
  }
  parts.push("</g>\n");
  return parts.join("\n");
}

/** Returns one SVG path for each level. Adjacent cells of the same level in a row are one rectangle. */
function levelPaths(raster: Grid, side: number, top: number): string[] {
  const paths = LEVELS.map(() => "");
  for (let row = 0; row < raster.rows; row++) {
    const levels = raster.rowLevels(row);
    for (let column = 0; column < levels.length; ) {
      const level = itemAt(levels, column);
      let end = column + 1;
      while (end < levels.length && levels[end] === level) end++;
      const width = (end - column) * side;
      paths[level] += `M${MAP_LEFT + column * side} ${top + row * side}h${width}v${side}h-${width}z`;
      column = end;
    }
  }
  return paths.flatMap((path, level) => (path === "" ? [] : [`<path class="l${level}" d="${path}"/>`]));
}

/** Returns an SVG path with the lines between the cells. */
function gridPath(raster: Grid, side: number, top: number): string {
  const height = raster.rows * side;
  let path = "";
  for (let column = 1; column < raster.columns; column++) path += `M${MAP_LEFT + column * side} ${top}v${height}`;
  for (let row = 1; row < raster.rows; row++) path += `M${MAP_LEFT} ${top + row * side}h${MAP_WIDTH}`;
  return `<path class="grid" stroke-width="${side / 12}" d="${path}"/>`;
}

function legend(top: number): string {
  const words = ["clean", "some dirty", "over 1/3 dirty", "over 2/3 dirty", "all dirty"] as const;
  const parts = LEVELS.map((level) => {
    const left = MAP_LEFT + level * 130;
    return `<rect class="l${level}" x="${left}" y="${top - 12}" width="12" height="12"/><text class="dim" x="${left + 18}" y="${top - 1}">${words[level]}</text>`;
  });
  return `<g>\n${parts.join("\n")}\n</g>`;
}

function shorten(text: string, longest: number): string {
  return text.length > longest ? `${text.slice(0, longest - 1)}…` : text;
}

const XML_ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Escapes the characters that have a meaning in XML, and replaces those that must not be in it by U+FFFD. */
function escapeXml(text: string): string {
  return text.replace(/[&<>"'\p{Cc}\p{Cs}\ufffe\uffff]/gu, (character) => XML_ESCAPES[character] ?? "\ufffd");
}
