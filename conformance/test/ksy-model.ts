// The JSON form of what a parser made of spec/qdb.ksy has read.

/** A u64 or an i64. */
interface Long {
  readonly hi: number;
  readonly lo: number;
}

interface Descriptor {
  readonly zeros: boolean;
  readonly ones: boolean;
  readonly readsCluster: boolean;
  readonly data?: Uint8Array;
}

/** What the parser makes of data of a type that it knows; which of these are there follows from the type. */
interface Known {
  readonly items?: readonly { kind: number; bit: number; type: number; name: Uint8Array }[];
  readonly value?: string;
  readonly length?: Long;
  readonly mtime?: Long;
  readonly file?: Long;
  readonly ns?: Long;
  readonly session?: Uint8Array;
}

interface Row {
  readonly type: number;
  readonly data?: Uint8Array | Known;
  readonly _raw_data?: Uint8Array;
}

interface Entry {
  readonly name: string;
  readonly size: Long;
  readonly granularity: number;
  readonly flags: number;
  readonly l1TableOffset: Long;
  readonly l1Size: number;
  readonly l1Checksum: number;
  readonly bits: number;
  readonly extraData: { readonly items: readonly Row[] };
  readonly l1Area?: { readonly descriptors: readonly Descriptor[] };
}

/** What Kaitai's parser gives. */
export interface Parsed {
  readonly isDraft: boolean;
  readonly clusterSize: number;
  readonly version: number;
  readonly clusterBits: number;
  readonly nbBitmaps: number;
  readonly bitmapsOffset: Long;
  readonly headerLength: number;
  readonly full?: {
    readonly bitmapsSize: number;
    readonly incompatibleFeatures: Long;
    readonly compatibleFeatures: Long;
    readonly autoclearFeatures: Long;
    readonly generation: Long;
    readonly tableChecksum: number;
    readonly headerChecksum: number;
    readonly writerId: Uint8Array;
    readonly fileId: Uint8Array;
  };
  readonly extensions: { readonly items?: readonly Row[] };
  readonly table?: { readonly entries: readonly Entry[] };
}

/** A bitmap of the JSON form, as far as the parser knows it. */
export interface BitmapModel {
  readonly name: string;
  readonly extra_data: readonly unknown[];
  readonly dirty: readonly (readonly [string, string])[];
  readonly [key: string]: unknown;
}

/** The JSON form, as far as the parser knows it. */
export interface KsyModel {
  readonly format: "qdb";
  readonly header: object;
  readonly extensions: readonly object[];
  readonly bitmaps: readonly BitmapModel[];
}

const long = ({ hi, lo }: Long): bigint => BigInt(hi) * 2n ** 32n + BigInt(lo);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const hex32 = (value: number): string => value.toString(16).padStart(8, "0");
const word = (value: Long): string => `0x${long(value).toString(16).padStart(16, "0")}`;
const uuid = (bytes: Uint8Array): string => hex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("utf8").replace(/\0*$/, "");

/** The JSON form, without checksums over bits. @throws {Error} where Kaitai's parser does: it reads what it is asked for */
export function parsedModel(file: Parsed): KsyModel {
  const { full, isDraft } = file;
  return {
    format: "qdb",
    header: {
      form: isDraft ? "draft" : "full",
      version: file.version,
      cluster_bits: file.clusterBits,
      nb_bitmaps: file.nbBitmaps,
      bitmaps_offset: `${long(file.bitmapsOffset)}`,
      header_length: file.headerLength,
      ...(full === undefined
        ? {}
        : {
            bitmaps_size: full.bitmapsSize,
            incompatible_features: word(full.incompatibleFeatures),
            compatible_features: word(full.compatibleFeatures),
            autoclear_features: word(full.autoclearFeatures),
            generation: `${long(full.generation)}`,
            table_checksum: hex32(full.tableChecksum),
            header_checksum: hex32(full.headerChecksum),
            writer_id: uuid(full.writerId),
            file_id: uuid(full.fileId),
          }),
    },
    extensions: (file.extensions.items ?? []).filter(({ type }) => type !== 0).map(extension),
    bitmaps: (file.table?.entries ?? []).map((entry) => bitmap(entry, file)),
  };
}

const KINDS = ["incompatible", "compatible", "autoclear"];

/** Data as it stands there, and what was made of it. */
function dataOf({ data, _raw_data }: Row): { readonly bytes: Uint8Array; readonly known: Known } {
  if (data instanceof Uint8Array) return { bytes: data, known: {} };
  return { bytes: _raw_data ?? new Uint8Array(0), known: data ?? {} };
}

function extension(row: Row): object {
  const { type } = row;
  const { bytes, known } = dataOf(row);
  const head = { type: `0x${hex32(type)}` };
  const entries = known.items;
  if (entries === undefined || entries.some(({ kind, bit }) => kind > 2 || bit > 63))
    return { ...head, data: hex(bytes) };
  if (type === 0x6803f857)
    return { ...head, features: entries.map(({ kind, bit, name }) => ({ kind: KINDS[kind], bit, name: text(name) })) };
  return { ...head, names: entries.map((entry) => ({ type: `0x${hex32(entry.type)}`, name: text(entry.name) })) };
}

const TEXTS: Readonly<Record<number, string>> = { 1: "disk", 6: "comment", 8: "successor" };

function record(row: Row): object {
  const { type } = row;
  const { bytes, known } = dataOf(row);
  const { length, mtime, file, ns, session } = known;
  const head = { type: `0x${hex32(type)}` };
  const name = TEXTS[type];
  if (name !== undefined) return { ...head, [name]: known.value };
  if (length !== undefined && mtime !== undefined && file !== undefined)
    return { ...head, length: `${long(length)}`, mtime: `${long(mtime)}`, file: `${long(file)}` };
  if (session !== undefined && file !== undefined && long(file) !== 0n)
    return { ...head, session: uuid(session), file: `${long(file)}` };
  if (ns !== undefined) return { ...head, created: `${long(ns)}` };
  if (bytes.length === 16 && (type === 3 || type === 4))
    return { ...head, [type === 3 ? "id" : "parent"]: uuid(bytes) };
  return { ...head, data: hex(bytes) };
}

const FLAGS = ["enabled", "in_use", "frozen"];

function bitmap(entry: Entry, file: Parsed): BitmapModel {
  const dirty = dirtyExtents(entry, file.clusterSize);
  return {
    name: entry.name,
    size: `${long(entry.size)}`,
    granularity: entry.granularity,
    flags: FLAGS.filter((_, bit) => (entry.flags >> bit) & 1),
    l1_table_offset: `${long(entry.l1TableOffset)}`,
    l1_size: entry.l1Size,
    ...(file.isDraft ? {} : { l1_checksum: hex32(entry.l1Checksum) }),
    extra_data: entry.extraData.items.map(record),
    dirty: dirty.map(([offset, length]) => [`${offset}`, `${length}`]),
    dirty_bytes: `${dirty.reduce((sum, [, length]) => sum + length, 0n)}`,
  };
}

/** Dirty extents in bytes, bit by bit. */
function dirtyExtents(entry: Entry, clusterSize: number): [bigint, bigint][] {
  const extents: [bigint, bigint][] = [];
  const size = long(entry.size);
  const granularity = BigInt(entry.granularity);
  const perCluster = 8 * clusterSize;
  for (const [number, { ones, readsCluster, data }] of (entry.l1Area?.descriptors ?? []).entries()) {
    if (!ones && !readsCluster) continue;
    const first = number * perCluster;
    for (let bit = first; bit < Math.min(first + perCluster, entry.bits); bit++) {
      const at = bit - first;
      if (!ones && ((data?.[at >> 3] ?? 0) & (1 << (at & 7))) === 0) continue;
      const start = BigInt(bit) * granularity;
      const end = start + granularity < size ? start + granularity : size;
      const last = extents.at(-1);
      if (last !== undefined && last[0] + last[1] === start) last[1] = end - last[0];
      else extents.push([start, end - start]);
    }
  }
  return extents;
}
