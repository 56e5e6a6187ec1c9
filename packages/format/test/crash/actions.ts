// Every action on a file's bitmaps: what the library is asked for, and the same on the plain model.
import { type Edits, FLAG, type Plan, type QdbEditor } from "@qdb/format/container";
import { granules } from "./bits.ts";
import type { PlainBitmap, PlainFile } from "./plain.ts";
import { below, type Dice, libraryBits, pick, randomBits, randomShape } from "./start-file.ts";

/** An action with its values. */
export interface Action {
  /** One of {@link ACTIONS}. */
  readonly name: string;
  /** As a reader of a failure wants it. */
  readonly text: string;
  /** @throws {Refusal} as the library is to refuse it */
  plainly(file: PlainFile): void;
  perform(editor: QdbEditor): Promise<void>;
}

/** What an action is made from. */
export interface Situation {
  readonly dice: Dice;
  /** The file as the actions so far make it. */
  readonly file: PlainFile;
  readonly clusterSize: number;
  /** Makes a name that no bitmap has. */
  readonly newName: () => string;
}

type Made = Omit<Action, "name">;
type Maker = (situation: Situation) => Made | undefined;

/** No more bits than this in one bitmap, so that a state is judged in a moment. */
const MAX_BITS = 40_000;

const some = ({ dice, file }: Situation): PlainBitmap | undefined =>
  file.bitmaps.length === 0 ? undefined : pick(dice, file.bitmaps);

/** A range of a bitmap in bytes; not always whole granules, at times everything. */
function range(dice: Dice, { size }: PlainBitmap): { offset: number; length: number } {
  if (dice() < 0.1) return { offset: 0, length: size };
  const offset = below(dice, size);
  return { offset, length: below(dice, Math.min(size - offset, dice() < 0.5 ? 2 ** 18 : size)) };
}

/** An action on the bits of one bitmap. */
function onBits(
  make: (
    situation: Situation,
    bitmap: PlainBitmap,
  ) => {
    readonly text: string;
    readonly removes: boolean;
    readonly plain: (bits: Uint8Array, bitmap: PlainBitmap) => void;
    readonly real: (edits: Edits, name: string) => Plan<void>;
  },
): Maker {
  return (situation) => {
    const bitmap = some(situation);
    if (bitmap === undefined || bitmap.size === 0) return undefined;
    const { name } = bitmap;
    const { text, removes, plain, real } = make(situation, bitmap);
    return {
      text: `${text} of ${name}`,
      plainly: (file) =>
        file.change(name, removes, (before) => {
          const bits = before.bits.slice();
          plain(bits, before);
          return bits;
        }),
      perform: (editor) => editor.read(real(editor.edits, name)),
    };
  };
}

const mark = onBits(({ dice }, bitmap) => {
  const where = range(dice, bitmap);
  const { offset, length } = where;
  return {
    text: `mark ${offset}+${length}`,
    removes: false,
    plain: (bits, { granularity }) => {
      if (length > 0) bits.fill(1, Math.floor(offset / granularity), Math.ceil((offset + length) / granularity));
    },
    real: (edits, name) => edits.mark(name, where),
  };
});

const unmark = onBits(({ dice }, bitmap) => {
  const where = range(dice, bitmap);
  const { offset, length } = where;
  return {
    text: `unmark ${offset}+${length}`,
    removes: true,
    plain: (bits, { granularity, size }) => {
      const end = offset + length === size ? bits.length : Math.floor((offset + length) / granularity);
      bits.fill(0, Math.ceil(offset / granularity), Math.max(end, Math.ceil(offset / granularity)));
    },
    real: (edits, name) => edits.unmark(name, where),
  };
});

const invert = onBits(() => ({
  text: "invert",
  removes: true,
  plain: (bits) => {
    for (let bit = 0; bit < bits.length; bit++) bits[bit] = 1 - bits[bit]!;
  },
  real: (edits, name) => edits.invert(name),
}));

const clear: Maker = (situation) => {
  const bitmap = some(situation);
  if (bitmap === undefined) return undefined;
  const { name } = bitmap;
  return {
    text: `clear ${name}`,
    plainly: (file) => file.change(name, true, ({ bits }) => new Uint8Array(bits.length)),
    perform: (editor) => editor.read(editor.edits.clear(name)),
  };
};

/** An action that one call of the library does. */
function named(
  make: (
    name: string,
    situation: Situation,
    bitmap: PlainBitmap,
  ) => Omit<Made, "perform"> & { readonly perform: (editor: QdbEditor) => Promise<void> | void },
): Maker {
  return (situation) => {
    const bitmap = some(situation);
    if (bitmap === undefined) return undefined;
    const { text, plainly, perform } = make(bitmap.name, situation, bitmap);
    return { text, plainly, perform: async (editor) => perform(editor) };
  };
}

function combine({ dice, file }: Situation): Made | undefined {
  const pairs = file.bitmaps.flatMap((a) =>
    file.bitmaps.filter((b) => a !== b && a.size === b.size && a.size > 0).map((b) => [a, b] as const),
  );
  if (pairs.length === 0) return undefined;
  const [{ name: target, granularity }, { name: source, granularity: other }] = pick(dice, pairs);
  const same = granularity === other;
  const how = same ? pick(dice, ["merge", "merge", "intersect", "subtract", "xor"] as const) : "merge";
  const isRead = dice() < 0.3;
  return {
    text: `${how} ${source}${isRead ? ", read whole," : ""} into ${target}`,
    plainly: (model) => model.combine(how, target, source),
    async perform(editor) {
      const bits = await (isRead ? editor.bits(source) : editor.source(source));
      await editor.read(editor.edits[how](target, bits));
    },
  };
}

function add({ dice, file, clusterSize, newName }: Situation): Made | undefined {
  if (file.bitmaps.length > 6) return undefined;
  const name = newName();
  const like = dice() < 0.5 ? file.bitmaps[0] : undefined;
  const shape = like ?? randomShape(dice, clusterSize);
  const { size, granularity } = shape;
  const bits = dice() < 0.4 ? new Uint8Array(granules(shape)) : randomBits(dice, granules(shape), clusterSize);
  const bitmap: PlainBitmap = { name, size, granularity, isEnabled: dice() < 0.5, bits, isTouched: true };
  return {
    text: `add ${name} of ${bits.length} bits`,
    plainly: (model) => model.add({ ...bitmap }),
    async perform(editor) {
      const flags = bitmap.isEnabled ? FLAG.enabled : 0;
      editor.edits.add({ name, bits: libraryBits(bitmap), flags, extraData: [] });
    },
  };
}

function replace({ dice, file, clusterSize }: Situation): Made | undefined {
  if (file.bitmaps.length === 0) return undefined;
  const { name } = pick(dice, file.bitmaps);
  const shape = randomShape(dice, clusterSize);
  const bits = randomBits(dice, granules(shape), clusterSize);
  const bitmap: PlainBitmap = { name, ...shape, isEnabled: false, bits, isTouched: true };
  return {
    text: `replace ${name} by ${bits.length} bits`,
    plainly: (model) => model.replace(bitmap),
    async perform(editor) {
      editor.edits.replace({ name, bits: libraryBits(bitmap), flags: 0, extraData: [] });
    },
  };
}

/** The makers of actions by name. */
const MAKERS: Readonly<Record<string, Maker>> = {
  mark,
  unmark,
  invert,
  clear,
  combine,
  add,
  replace,
  remove: named((name) => ({
    text: `remove ${name}`,
    plainly: (file) => file.remove(name),
    perform: (editor) => editor.edits.remove(name),
  })),
  "mark all": named((name) => ({
    text: `mark all of ${name}`,
    plainly: (file) => file.markAll(name),
    perform: (editor) => editor.edits.markAll(name),
  })),
  enable: named((name) => ({
    text: `enable ${name}`,
    plainly: (file) => file.setEnabled(name, true),
    perform: (editor) => editor.edits.setEnabled(name, true),
  })),
  disable: named((name) => ({
    text: `disable ${name}`,
    plainly: (file) => file.setEnabled(name, false),
    perform: (editor) => editor.edits.setEnabled(name, false),
  })),
  rename: named((name, { newName }) => {
    const to = newName();
    return {
      text: `rename ${name} to ${to}`,
      plainly: (file) => file.rename(name, to),
      perform: (editor) => editor.edits.rename(name, to),
    };
  }),
  comment: named((name, { dice }) => {
    const comment = "c".repeat(below(dice, 600));
    return {
      text: `comment on ${name}`,
      plainly: (file) => file.setComment(name, comment),
      perform: (editor) => editor.edits.setRecord(name, { kind: "comment", text: comment }),
    };
  }),
  freeze: named((name, { newName }) => {
    const successor = newName();
    return {
      text: `freeze ${name}, ${successor} collects`,
      plainly: (file) => file.freeze(name, successor),
      perform: (editor) => editor.edits.freeze(name, successor, 5n),
    };
  }),
  release: (situation) => {
    const frozen = situation.file.bitmaps.filter(({ successor }) => successor !== undefined);
    if (frozen.length === 0) return undefined;
    const { name } = pick(situation.dice, frozen);
    const outcome = pick(situation.dice, ["done", "failed"] as const);
    return {
      text: `release ${name}, ${outcome}`,
      plainly: (file) => file.release(name, outcome),
      perform: (editor) => editor.read(editor.edits.release(name, outcome)),
    };
  },
  resize: named((name, { dice }, { size, granularity }) => {
    const asked = pick(dice, [0, size + 1, size * 2, Math.floor(size / 2), size + granularity * 5000]);
    const next = granules({ size: asked, granularity }) > MAX_BITS ? Math.floor(size / 2) : asked;
    const newArea = pick(dice, ["dirty", "clean"] as const);
    return {
      text: `resize ${name} to ${next}, ${newArea}`,
      plainly: (file) => file.resize(name, next, newArea),
      perform: (editor) => editor.read(editor.edits.resize(name, BigInt(next), newArea)),
    };
  }),
  regranulate: named((name, { dice }, { size, granularity }) => {
    const asked = pick(dice, [512, 1024, 4096, 65536]);
    const next = granules({ size, granularity: asked }) > MAX_BITS ? granularity * 2 : asked;
    return {
      text: `regranulate ${name} to ${next}`,
      plainly: (file) => file.regranulate(name, next),
      perform: (editor) => editor.read(editor.edits.regranulate(name, next)),
    };
  }),
};

/** Every action. */
export const ACTIONS: readonly string[] = Object.keys(MAKERS);

/** A random action of a name; undefined where there is nothing to do it on. */
export function actionOf(name: string, situation: Situation): Action | undefined {
  const made = MAKERS[name]?.(situation);
  return made === undefined ? undefined : { name, ...made };
}
