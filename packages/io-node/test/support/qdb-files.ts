// QDB files of several bitmaps, what they say, and how one edit changes them.
import { createHash } from "node:crypto";
import { Bitmap, checkQdb, QdbError } from "@qdb/format";
import {
  type BitmapContents,
  type BitmapEntry,
  bitmapPlan,
  encodeRecord,
  type FileContents,
  FLAG,
  loadMaps,
  type QdbEditor,
  readIndex,
  runSync,
  toHex,
  writeImage,
} from "@qdb/format/container";
import { createFile, openQdbEditor } from "../../src/container.ts";
import { nodeDigests, openFileSource } from "../../src/index.ts";

const MIB = 2 ** 20;
/** At 512 bytes a bit, a cluster of 4096 bytes is for 16 MiB of a disk. */
const SHAPE = { size: 80n * 2n ** 20n, granularity: 512 };

/** A bitmap with a dirty bit here and there in its first so many clusters, others for each seed. */
export function scattered(clusters: number, seed: number): Bitmap {
  const bits = Bitmap.clean(SHAPE);
  for (let bit = seed; bit < clusters * 32768; bit += 97 + seed) bits.markBits({ first: bit, end: bit + 1 });
  return bits;
}

function contents(name: string, bits: Bitmap, flags = 0): BitmapContents {
  const extraData = [
    encodeRecord({ kind: "disk", text: `disk of ${name}` }),
    encodeRecord({ kind: "comment", text: "" }),
  ];
  return { nameBytes: new TextEncoder().encode(name), flags, extraData, bits };
}

const ids = { fileId: new Uint8Array(16).fill(0x11), writerId: new Uint8Array(16).fill(0x22) };

/** Six bitmaps; the edits below leave three of them as they are: plain, all dirty, and in use by someone who died. */
export function sixBitmaps(form: "full" | "draft" = "full"): FileContents {
  const ones = Bitmap.dirty(SHAPE);
  ones.unmark({ offset: 20 * MIB, length: 512 });
  return {
    form,
    clusterBits: 12,
    ...ids,
    allOnes: form === "full",
    extensions: [{ type: 0x0badcafe, data: new Uint8Array([1, 2, 3]) }],
    bitmaps: [
      contents("grows", scattered(3, 1)),
      contents("still", scattered(4, 2), FLAG.enabled),
      contents("shrinks", scattered(5, 3)),
      contents("goes", scattered(1, 4)),
      contents("ones", ones),
      contents("in use", scattered(2, 5), FLAG.enabled | FLAG.in_use),
    ],
  };
}

/** The bitmaps that the edits leave alone. */
export const BYSTANDERS: readonly string[] = ["still", "ones", "in use"];

/** Makes the file. */
export async function makeFile(path: string, form: "full" | "draft" = "full"): Promise<void> {
  await createFile(path, writeImage(sixBitmaps(form), nodeDigests));
}

/** A file, and an edit of it: not committed yet when `edit` is through. */
export interface Scenario {
  readonly make: (path: string) => Promise<void>;
  readonly edit: (editor: QdbEditor) => Promise<void>;
}

const MARKED = [
  { offset: 40 * MIB, length: 30 * MIB },
  { offset: 0, length: 1 },
];

/** Marks in one bitmap, clears in another, removes one, adds one. */
async function mixedEdit(editor: QdbEditor): Promise<void> {
  await change(editor, "grows", (bits) => {
    for (const range of MARKED) bits.mark(range);
  });
  await change(editor, "shrinks", (bits) => bits.unmark({ offset: 16 * MIB, length: 64 * MIB }));
  editor.edits.remove("goes");
  const { nameBytes: _, ...comes } = contents("comes", scattered(2, 6), FLAG.enabled);
  editor.edits.add({ name: "comes", ...comes });
}

async function change(editor: QdbEditor, name: string, how: (bits: Bitmap) => void): Promise<void> {
  const changed = (bits: Bitmap): Bitmap => {
    how(bits);
    return bits;
  };
  await editor.change(name, changed);
}

/** Edits of every way that a commit can go. */
export const SCENARIOS = {
  /** The first commit to a new file: all that is new goes behind its end. */
  first: { make: (path) => makeFile(path), edit: mixedEdit },
  /** A later one: new things go into the space of old ones, and the file is cut. */
  cut: {
    async make(path) {
      await makeFile(path);
      await commit(path, async (editor) => {
        await change(editor, "grows", (bits) => bits.invert());
        await change(editor, "shrinks", (bits) => bits.invert());
      });
    },
    edit: mixedEdit,
  },
  /** One that leaves a file too long for what it holds: its clusters move, and it is cut. */
  packed: {
    async make(path) {
      const bits = Bitmap.clean({ size: 768n * 2n ** 20n, granularity: 512 });
      for (let bit = 5; bit < bits.bitCount; bit += 99) bits.markBits({ first: bit, end: bit + 1 });
      const bitmaps = [contents("still", scattered(4, 2)), contents("large", bits)];
      await createFile(path, writeImage({ ...sixBitmaps(), bitmaps }, nodeDigests));
    },
    edit: (editor) => change(editor, "large", (bits) => bits.unmark({ offset: 0, length: 752 * MIB })),
  },
  /** A file in draft form, which is rewritten whole. */
  draft: { make: (path) => makeFile(path, "draft"), edit: mixedEdit },
} as const satisfies Record<string, Scenario>;

/** Commits an edit under a handle of its own. */
export async function commit(path: string, edit: Scenario["edit"]): Promise<void> {
  const editor = await openQdbEditor(path);
  try {
    await edit(editor);
    await editor.commit();
  } finally {
    await editor.close();
  }
}

/** An edit that every state of every scenario takes. */
export function markLast(editor: QdbEditor): Promise<void> {
  return change(editor, "still", (bits) => bits.mark({ offset: 80 * MIB - 512, length: 512 }));
}

/** What a file says, but for what every commit makes anew: flags, shape, records and bits of each bitmap. */
export type State = Readonly<Record<string, string>>;

/** Reads it all, the bits of an inconsistent bitmap too. @throws {QdbError} the first error of the file or of any bitmap */
export function stateOf(path: string): State {
  return readState(path, (entry, bits) => {
    const { flags, size, granularity } = entry.decodeFields();
    const records = (entry.parseRecords() ?? []).map(({ type, data }) => `${type}:${toHex(data)}`);
    return [flags, size, granularity, ...records, bits].join(" ");
  });
}

/** The same of the bystanders: their table entries byte for byte, place and checksums included. */
export function bystandersOf(path: string): State {
  const all = readState(path, (entry, bits) => `${toHex(entry.bytes)} ${bits}`);
  return Object.fromEntries(BYSTANDERS.map((name) => [name, all[name] ?? "gone"]));
}

function readState(path: string, describe: (entry: BitmapEntry, bits: string) => string): State {
  const source = openFileSource(path);
  try {
    const index = runSync(readIndex(source.size, nodeDigests), source);
    const mapped = runSync(loadMaps(index, index.table.entries, nodeDigests), source);
    return Object.fromEntries(
      mapped.map((one) => {
        const { entry, map } = one;
        const problem = one.findProblem();
        if (map === undefined || (problem !== undefined && problem.code !== "INCONSISTENT")) {
          throw new QdbError(problem?.code ?? "BAD_FIELD", problem?.message ?? "no map", { bitmap: entry.label });
        }
        const bits = createHash("sha256")
          .update(runSync(bitmapPlan(map), source).toBytes())
          .digest("hex");
        return [entry.label, describe(entry, bits)];
      }),
    );
  } finally {
    source.close();
  }
}

/** Codes of what a check finds but for the bitmap that is in use on purpose, and what a draft has to say of itself. */
export async function findingsOf(path: string): Promise<string[]> {
  const source = openFileSource(path);
  const codes: string[] = [];
  try {
    for await (const { code } of checkQdb(source, { digests: nodeDigests })) codes.push(code);
  } finally {
    source.close();
  }
  return codes.filter((code) => code !== "INCONSISTENT" && code !== "UNPROTECTED");
}

/** Bits that tell their number: in the first 16 of them, and in what follows. */
export function numbered(number: number): Bitmap {
  const bits = scattered(1 + (number % 5), 1 + (number % 50));
  bits.unmark({ offset: 0, length: 16 * 512 });
  for (let bit = 0; bit < 16; bit++) if ((number >> bit) % 2 === 1) bits.markBits({ first: bit, end: bit + 1 });
  return bits;
}

/** The number that bits tell. */
export function numberOf(bits: Bitmap): number {
  let number = 0;
  for (let bit = 0; bit < 16; bit++) if (bits.isDirty(bit)) number |= 1 << bit;
  return number;
}

/** A file of two bitmaps that always say the same, and one that never changes. */
export async function makeTwins(path: string): Promise<void> {
  const bitmaps = [contents("one", numbered(0)), contents("still", scattered(4, 2)), contents("two", numbered(0))];
  await createFile(path, writeImage({ ...sixBitmaps(), bitmaps }, nodeDigests));
}

/** Changes both twins, and has a third bitmap come and go. */
export async function renumber(editor: QdbEditor, number: number): Promise<void> {
  for (const name of ["one", "two"]) await editor.change(name, () => numbered(number));
  const { nameBytes: _, ...third } = contents("third", numbered(number));
  if (editor.edits.has("third")) editor.edits.remove("third");
  else editor.edits.add({ name: "third", ...third });
}
