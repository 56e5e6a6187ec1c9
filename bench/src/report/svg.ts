/** A drawing that is put together as text. */
export class Drawing {
  readonly #title: string;
  readonly #width: number;
  readonly #height: number;
  readonly #parts: string[] = [];

  /** Begins a drawing. `title` is what it is called where it cannot be seen. */
  constructor(title: string, width: number, height: number) {
    this.#title = title;
    this.#width = width;
    this.#height = height;
  }

  /** Writes text; `anchor` is what of it is at `x`. */
  text(x: number, y: number, text: string, anchor: "start" | "middle" | "end" = "start", color?: string): void {
    const place = anchor === "start" ? "" : ` text-anchor="${anchor}"`;
    const fill = color === undefined ? "" : ` fill="${color}"`;
    this.#parts.push(`<text x="${round(x)}" y="${round(y)}"${place}${fill}>${escaped(text)}</text>`);
  }

  /** Draws a line through points. */
  line(points: readonly (readonly [x: number, y: number])[], color: string, width = 1): void {
    const path = points.map(([x, y]) => `${round(x)} ${round(y)}`).join("L");
    const stroke = width === 1 ? "" : ` stroke-width="${width}"`;
    this.#parts.push(`<path d="M${path}" fill="none" stroke="${color}"${stroke}/>`);
  }

  /** Draws a dot. */
  dot(x: number, y: number, color: string, radius = 3): void {
    this.#parts.push(`<circle cx="${round(x)}" cy="${round(y)}" r="${radius}" fill="${color}"/>`);
  }

  /** Draws a circle that is empty. */
  ring(x: number, y: number, color: string, radius = 3): void {
    this.#parts.push(`<circle cx="${round(x)}" cy="${round(y)}" r="${radius}" fill="#fff" stroke="${color}"/>`);
  }

  /** Returns the drawing as SVG, on a white ground. */
  toString(): string {
    const size = `width="${this.#width}" height="${this.#height}" viewBox="0 0 ${this.#width} ${this.#height}"`;
    const open = `<svg xmlns="http://www.w3.org/2000/svg" ${size} font-family="sans-serif" font-size="11" fill="#1f2328">`;
    return `${[open, `<title>${escaped(this.#title)}</title>`, '<rect width="100%" height="100%" fill="#fff"/>', ...this.#parts, "</svg>"].join("\n")}\n`;
  }
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

/** Colors that people with any color vision tell apart (Okabe and Ito). */
export const COLORS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9"] as const;

/** Returns the place of a value on a logarithmic axis from `low` to `high` that begins at `start` and is `length` long. */
export function logarithmic(value: number, low: number, high: number, start: number, length: number): number {
  return start + (length * Math.log(value / low)) / Math.log(high / low);
}

/** Returns the powers of ten in a range. */
export function decades(low: number, high: number): number[] {
  const result: number[] = [];
  for (let power = Math.ceil(Math.log10(low) - 1e-9); 10 ** power <= high * (1 + 1e-9); power++)
    result.push(10 ** power);
  return result;
}
