// What the actions of `qdb bitmap` do, as plainly as it can be said: an array of booleans a bitmap, one loop an action.

/** A bitmap of the model. */
export interface ModelBitmap {
  name: string;
  /** Bytes of the disk. */
  size: number;
  /** Bytes a bit. */
  granularity: number;
  /** Whether each granule is dirty. */
  bits: boolean[];
  isEnabled: boolean;
  isInUse: boolean;
  /** Name of the bitmap that collects since this one was frozen. */
  successor?: string;
  /** Grows whenever dirt may have gone: the bitmap is then another point in its chain. */
  point: number;
}

/** What keeps a script from being done: nothing of it may be. */
export class Refusal extends Error {
  readonly code: string;

  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

/** An option that is an action, and its value. */
export type ModelAction = readonly [option: string, value?: string];

/** A bitmap as JSON. */
export function cleanBits(size: number, granularity: number): boolean[] {
  return new Array<boolean>(Math.ceil(size / granularity)).fill(false);
}

/** The bits of a bitmap that touch bit `at` of another granularity. */
function touching(source: ModelBitmap, granularity: number, at: number): boolean[] {
  const start = at * granularity;
  const end = Math.min(start + granularity, source.size);
  return source.bits.slice(Math.floor(start / source.granularity), Math.ceil(end / source.granularity));
}

/** The bitmaps of a file. */
export class Model {
  bitmaps: ModelBitmap[];

  constructor(bitmaps: readonly ModelBitmap[]) {
    this.bitmaps = bitmaps.map((bitmap) => ({ ...bitmap, bits: [...bitmap.bits] }));
  }

  /**
   * Does actions on a bitmap, all or none; sources come from `others`, or are in the file itself.
   * @throws {Refusal} then the model is as it was
   */
  run(
    name: string,
    actions: readonly ModelAction[],
    added: { size: number; granularity: number },
    others?: Model,
  ): void {
    const next = new Model(this.bitmaps);
    let current = name;
    for (const action of actions) current = next.#act(current, action, added, others ?? next);
    this.bitmaps = next.bitmaps;
  }

  /** @throws {Refusal} NOT_FOUND */
  find(name: string): ModelBitmap {
    const bitmap = this.bitmaps.find((candidate) => candidate.name === name);
    if (bitmap === undefined) throw new Refusal("NOT_FOUND");
    return bitmap;
  }

  #usable(name: string): ModelBitmap {
    const bitmap = this.find(name);
    if (bitmap.isInUse) throw new Refusal("INCONSISTENT");
    return bitmap;
  }

  /** A bitmap that is about to lose dirt. */
  #removable(name: string): ModelBitmap {
    const bitmap = this.#usable(name);
    if (bitmap.successor !== undefined) throw new Refusal("USAGE");
    bitmap.point++;
    return bitmap;
  }

  #isSuccessor(name: string): boolean {
    return this.bitmaps.some(({ successor }) => successor === name);
  }

  #requireNew(name: string): void {
    if (this.bitmaps.some((bitmap) => bitmap.name === name)) throw new Refusal("ALREADY_EXISTS");
  }

  #act(
    name: string,
    [option, value = ""]: ModelAction,
    added: { size: number; granularity: number },
    others: Model,
  ): string {
    switch (option) {
      case "add": {
        this.#requireNew(name);
        const bits = cleanBits(added.size, added.granularity);
        this.bitmaps.push({ name, ...added, bits, isEnabled: true, isInUse: false, point: 0 });
        break;
      }
      case "remove":
        this.find(name);
        if (this.#isSuccessor(name)) throw new Refusal("USAGE");
        this.bitmaps = this.bitmaps.filter((bitmap) => bitmap.name !== name);
        break;
      case "clear":
        this.#removable(name).bits.fill(false);
        break;
      case "enable":
        if (this.#usable(name).successor !== undefined) throw new Refusal("USAGE");
        this.find(name).isEnabled = true;
        break;
      case "disable":
        this.#usable(name).isEnabled = false;
        break;
      case "merge":
      case "intersect":
      case "subtract":
      case "xor":
        this.#combine(option, name, others.#usable(value));
        break;
      case "invert": {
        const bitmap = this.#removable(name);
        bitmap.bits = bitmap.bits.map((dirty) => !dirty);
        break;
      }
      case "mark":
      case "unmark":
        this.#mark(option === "mark" ? this.#usable(name) : this.#removable(name), option, value);
        break;
      case "mark-all": {
        const bitmap = this.find(name);
        bitmap.bits.fill(true);
        bitmap.isInUse = false;
        break;
      }
      case "rename":
        this.find(name);
        if (value === name) break;
        this.#requireNew(value);
        for (const bitmap of this.bitmaps) if (bitmap.successor === name) bitmap.successor = value;
        this.find(name).name = value;
        return value;
      case "resize":
      case "resize-clean":
        this.#resize(name, Number(value), option === "resize-clean");
        break;
      case "regranulate": {
        const bitmap = this.#usable(name);
        const granularity = Number(value);
        bitmap.bits = cleanBits(bitmap.size, granularity).map((_, at) =>
          touching(bitmap, granularity, at).includes(true),
        );
        bitmap.granularity = granularity;
        break;
      }
      case "freeze": {
        const { size, granularity, successor } = this.#usable(name);
        if (successor !== undefined) throw new Refusal("USAGE");
        this.#requireNew(value);
        const bits = cleanBits(size, granularity);
        this.bitmaps.push({ name: value, size, granularity, bits, isEnabled: true, isInUse: false, point: 0 });
        Object.assign(this.find(name), { isEnabled: false, successor: value });
        break;
      }
      case "release":
        this.#release(name, value);
        break;
      default:
        throw new Error(`no such action: ${option}`);
    }
    return name;
  }

  #combine(option: "merge" | "intersect" | "subtract" | "xor", name: string, source: ModelBitmap): void {
    const from = { ...source, bits: [...source.bits] };
    const bitmap = option === "merge" ? this.#usable(name) : this.#removable(name);
    if (from.size !== bitmap.size) throw new Refusal("SIZE_MISMATCH");
    if (option === "xor" && from.granularity !== bitmap.granularity) throw new Refusal("USAGE");
    bitmap.bits = bitmap.bits.map((dirty, at) => {
      const under = touching(from, bitmap.granularity, at);
      if (option === "merge") return dirty || under.includes(true);
      if (option === "intersect") return dirty && under.includes(true);
      if (option === "subtract") return dirty && under.includes(false);
      return dirty !== under[0];
    });
  }

  #mark(bitmap: ModelBitmap, option: "mark" | "unmark", value: string): void {
    const [offset = 0, length = 0] = value.split("+").map(Number);
    const end = offset + length;
    if (end > bitmap.size) throw new Refusal("USAGE");
    for (let at = 0; at < bitmap.bits.length; at++) {
      const first = at * bitmap.granularity;
      const last = Math.min(first + bitmap.granularity, bitmap.size);
      if (option === "mark" && length > 0 && first < end && last > offset) bitmap.bits[at] = true;
      if (option === "unmark" && first >= offset && last <= end) bitmap.bits[at] = false;
    }
  }

  #resize(name: string, size: number, isClean: boolean): void {
    if (this.find(name).successor !== undefined || this.#isSuccessor(name)) throw new Refusal("USAGE");
    const bitmap = this.#usable(name);
    if (size < bitmap.size) bitmap.point++;
    bitmap.bits = cleanBits(size, bitmap.granularity).map((_, at) => {
      const isNew = (at + 1) * bitmap.granularity > bitmap.size && size > bitmap.size;
      return bitmap.bits[at] === true || (isNew && !isClean);
    });
    bitmap.size = size;
  }

  #release(name: string, outcome: string): void {
    const frozen = this.#usable(name);
    if (frozen.successor === undefined) throw new Refusal("USAGE");
    if (outcome === "failed") this.#combine("merge", frozen.successor, frozen);
    this.bitmaps = this.bitmaps.filter((bitmap) => bitmap !== frozen);
  }
}

/** The dirty ranges of a model's bitmap as `dump` writes them: `[offset, length]`, joined, clipped to the disk. */
export function dirtyOf({
  bits,
  granularity,
  size,
}: Pick<ModelBitmap, "bits" | "granularity" | "size">): [string, string][] {
  const ranges: [number, number][] = [];
  for (const [at, dirty] of bits.entries()) {
    if (!dirty) continue;
    const start = at * granularity;
    const end = Math.min(start + granularity, size);
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === start) last[1] = end;
    else ranges.push([start, end]);
  }
  return ranges.map(([start, end]) => [`${start}`, `${end - start}`]);
}

/** The flags as `dump` writes them. */
export function flagsOf({ isEnabled, isInUse, successor }: ModelBitmap): string[] {
  return [
    ...(isEnabled ? ["enabled"] : []),
    ...(isInUse ? ["in_use"] : []),
    ...(successor === undefined ? [] : ["frozen"]),
  ];
}
