// spec/qdb.ksy: the format in the words of Kaitai Struct; fields from spec/layout.json, what ties them together from here.
import { dump } from "js-yaml";
import { attributes, check, descriptorBits } from "./ksy-fields.ts";
import { layout, structure } from "./layout-json.ts";

const TABLE_END = "_root.full.bitmaps_size";
const { extension_types: EXTENSIONS, record_types: RECORDS } = layout();

/** An instance whose value follows from others. */
function value(expr: string, doc?: string): object {
  return doc === undefined ? { value: expr } : { value: expr, doc };
}

const HEADER = [
  ...attributes("header", { to: structure("header").draft_size ?? 0 }),
  check("bitmaps_offset", "QDB-HDR-018", "bitmaps_offset.is_zero == (nb_bitmaps == 0)"),
  { id: "full", type: "full_header", if: "not is_draft", doc: "the rest of the header in full form" },
  check("table_place", "QDB-HDR-036", "nb_bitmaps == 0 or bitmaps_offset.value >= first_free"),
  check("table_start", "QDB-OWN-011", "bitmaps_offset.value < _io.size"),
];

const fullHeader = {
  seq: [
    check("header_length", "QDB-HDR-006", "_root.header_length != 28"),
    ...attributes("header", { from: structure("header").draft_size ?? 0 }),
    check("bitmaps_size", "QDB-HDR-019", "_root.nb_bitmaps > 0 or bitmaps_size == 0"),
    check("table_checksum", "QDB-HDR-020", "_root.nb_bitmaps > 0 or table_checksum == 0"),
    { id: "unknown", size: "_root.header_length - 104", doc: "of a header that is longer than this version's" },
  ],
};

const extensions = {
  seq: [
    {
      id: "items",
      type: "extension",
      if: "not _io.eof",
      repeat: "until",
      "repeat-until": "_.type == 0 or _io.eof",
      doc: "with the end mark, where there is one",
    },
  ],
};

const padding = (length: string): object => ({ id: "padding", size: `(8 - ${length} % 8) % 8`, doc: "of any value" });

/** A length is compared with what is left before anything is added to it (QDB-GEN-009). */
const FITS = "_ <= _io.size - _io.pos";

const extension = {
  seq: [
    ...attributes("extension").map((field) =>
      field.id === "length" ? { ...field, valid: { expr: `type == 0 or ${FITS}` } } : field,
    ),
    {
      id: "data",
      size: "length",
      if: "type != 0",
      type: {
        "switch-on": "length % 48 == 0 ? type : 0",
        cases: {
          [`${Number(EXTENSIONS.feature_name_table)}`]: "feature_names",
          [`${Number(EXTENSIONS.extension_name_table)}`]: "extension_names",
        },
      },
    },
    { ...padding("length"), if: "type != 0" },
  ],
};

const rows = (type: string): object => ({ seq: [{ id: "items", type, repeat: "eos" }] });

const table = {
  seq: [
    { id: "entries", type: "bitmap_entry", repeat: "expr", "repeat-expr": "_root.nb_bitmaps" },
    check("size", "QDB-HDR-021", `_root.is_draft or _io.pos == ${TABLE_END}`),
  ],
};

const bitmapEntry = {
  seq: [
    ...attributes("bitmap table entry"),
    { id: "extra_data", type: "records", size: "extra_data_size" },
    { id: "name", type: "str", encoding: "UTF-8", size: "name_size" },
    padding("(extra_data_size + name_size)"),
    check("draft", "QDB-TBL-017", "not _root.is_draft or l1_checksum == 0"),
    check("l1_size", "QDB-TBL-002", "l1_size == (bytes + _root.cluster_size - 1) / _root.cluster_size"),
    check("bits", "QDB-TBL-015", "bits <= 4294967296"),
    check("l1_table_offset", "QDB-TBL-014", "l1_table_offset.is_zero == (l1_size == 0)"),
    check("l1_checksum", "QDB-TBL-016", "l1_size > 0 or l1_checksum == 0"),
    check("frozen", "QDB-FLG-008", "(flags & 5) != 5"),
    check("l1_place", "QDB-HDR-036", "l1_size == 0 or l1_table_offset.value >= _root.first_free"),
    check("l1_end", "QDB-OWN-011", "l1_table_offset.value + l1_length <= _root._io.size"),
  ],
  instances: {
    bits: value(
      "size.hi * (4294967296 / granularity) + (size.lo + granularity - 1) / granularity",
      "granularity divides 2^32",
    ),
    bytes: value("(bits + 7) / 8"),
    l1_length: value("_root.is_draft ? 8 * l1_size : (12 * l1_size + 7) / 8 * 8"),
    l1_area: {
      pos: "l1_table_offset.value",
      io: "_root._io",
      size: "l1_length",
      type: "l1_area(l1_size)",
      if: "l1_size > 0",
    },
  },
};

const record = {
  seq: [
    { id: "type", type: "u4", valid: { expr: "_ != 0" }, "doc-ref": "qdb.md QDB-REC-002" },
    { id: "length", type: "u4", valid: { expr: FITS }, "doc-ref": "qdb.md QDB-REC-001" },
    {
      id: "data",
      size: "length",
      type: { "switch-on": "shape", cases: { 1: "text", 2: "disk_stamp", 5: "created", 9: "session" } },
    },
    padding("length"),
  ],
  instances: {
    shape: value(
      `type == ${Number(RECORDS.disk)} or type == ${Number(RECORDS.comment)} or type == ${Number(RECORDS.successor)} ? 1 : (type == ${Number(RECORDS.disk_stamp)} and length == ${structure("disk stamp").size}) or (type == ${Number(RECORDS.created)} and length == ${structure("created").size}) or (type == ${Number(RECORDS.session)} and length == ${structure("session").size}) ? type : 0`,
      "how the data is read; 0: bytes",
    ),
  },
};

const l1Area = {
  params: [{ id: "count", type: "u4" }],
  seq: [
    { id: "descriptors", type: "descriptor", repeat: "expr", "repeat-expr": "count" },
    { id: "cluster_checksums", type: "u4", repeat: "expr", "repeat-expr": "count", if: "not _root.is_draft" },
  ],
};

const descriptor = {
  seq: [
    ...descriptorBits(),
    check("ones", "QDB-MAP-011", "not ones or _root.has_all_ones"),
    check("ones_alone", "QDB-MAP-014", "not ones or (not zeros and offset == 0)"),
    check("place", "QDB-HDR-036", "offset == 0 or offset >= _root.first_free"),
    check("end", "QDB-OWN-010", "offset == 0 or offset + _root.cluster_size <= _root._io.size"),
  ],
  instances: {
    offset: value("offset_high * 4294967296 + offset_low * 512"),
    reads_cluster: value("not zeros and not ones and offset != 0"),
    data: { pos: "offset", io: "_root._io", size: "_root.cluster_size", if: "reads_cluster" },
  },
};

const long = (high: string): object => ({
  seq: [
    { id: "hi", type: high },
    { id: "lo", type: "u4" },
  ],
  instances: {
    is_zero: value("hi == 0 and lo == 0"),
    value: value("hi * 4294967296 + lo", "exact up to 2^53"),
  },
});

/** The description as an object. */
export function ksy(): object {
  return {
    meta: {
      id: "qdb",
      title: "QDB version 1: dirty bitmaps of virtual disks in a file of their own",
      "file-extension": "qdb",
      license: "MIT",
      "ks-version": "0.11",
      endian: "be",
      "bit-endian": "be",
    },
    doc: "Reads a good primary header, the extensions, the bitmap table, its records and L1 areas, in both forms. It refuses a whole file where the specification refuses one bitmap of it, and knows no checksums, mirrors, owners of clusters or names that stand twice: qdb.md is the specification, this is a second look at it.",
    "doc-ref": "qdb.md",
    seq: HEADER,
    instances: {
      bytes_28_to_31: { pos: 28, type: "u4" },
      is_draft: value("header_length == 28 and bytes_28_to_31 == 0"),
      cluster_size: value("1 << cluster_bits"),
      area_size: value(
        "cluster_size < 4096 ? cluster_size : 4096",
        "space of header, extensions and end mark (QDB-HDR-031)",
      ),
      h: value("cluster_size > 4096 ? cluster_size : 4096"),
      first_free: value("is_draft ? cluster_size : 2 * h", "where the first other structure can be (QDB-HDR-036)"),
      has_all_ones: value("not is_draft and full.incompatible_features.lo % 2 == 1"),
      extensions_at: value("(header_length + 7) / 8 * 8"),
      extensions: { pos: "extensions_at", size: "area_size - extensions_at", type: "extensions" },
      table: {
        pos: "bitmaps_offset.value",
        size: `is_draft ? _io.size - bitmaps_offset.value : ${TABLE_END.replace("_root.", "")}`,
        type: "bitmap_table",
        if: "nb_bitmaps > 0",
      },
      mirror: {
        pos: "h",
        size: 4096,
        if: "not is_draft and h + 4096 <= _io.size",
        doc: "a copy of the first 4096 bytes; a different one is no damage",
      },
    },
    types: {
      full_header: fullHeader,
      extensions,
      extension,
      feature_names: rows("feature_name"),
      feature_name: { seq: attributes("feature name", { isChecked: false }) },
      extension_names: rows("extension_name"),
      extension_name: { seq: attributes("extension name", { isChecked: false }) },
      bitmap_table: table,
      bitmap_entry: bitmapEntry,
      records: rows("record"),
      record,
      text: { seq: [{ id: "value", type: "str", encoding: "UTF-8", "size-eos": true }] },
      disk_stamp: { seq: attributes("disk stamp") },
      created: { seq: attributes("created") },
      session: { seq: attributes("session", { isChecked: false }) },
      l1_area: l1Area,
      descriptor,
      u64: long("u4"),
      i64: long("s4"),
    },
  };
}

/** spec/qdb.ksy. */
export function ksyText(): string {
  const head =
    "# Written by conformance/tools/layout.ts from spec/layout.json: change it there.\n# SPDX-License-Identifier: MIT\n";
  return head + dump(ksy(), { lineWidth: 120, noRefs: true });
}
