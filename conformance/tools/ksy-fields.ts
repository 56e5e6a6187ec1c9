// Fields of spec/layout.json in the words of Kaitai Struct.
import { type Field, layout, structure } from "./layout-json.ts";

/** An attribute of a Kaitai type, as its YAML has it. */
export type Attribute = Readonly<Record<string, unknown>>;

/** A rule across fields: an attribute of no bytes, since only attributes can be checked. */
export function check(id: string, rule: string, expr: string): Attribute {
  return { id: `check_${id}`, size: 0, valid: { expr }, "doc-ref": `qdb.md ${rule}` };
}

const WORD = 2n ** 32n;

/** `_` being a u64 as its two halves. */
function atLeast(limit: bigint): string {
  const [high, low] = [limit / WORD, limit % WORD];
  return high === 0n ? `(_.hi > 0 or _.lo >= ${low})` : `(_.hi > ${high} or (_.hi == ${high} and _.lo >= ${low}))`;
}

function atMost(limit: bigint): string {
  const [high, low] = [limit / WORD, limit % WORD];
  if (low === WORD - 1n) return `_.hi <= ${high}`;
  return high === 0n ? `(_.hi == 0 and _.lo <= ${low})` : `(_.hi < ${high} or (_.hi == ${high} and _.lo <= ${low}))`;
}

/** What can be said of a value while it is read; undefined where there is nothing. */
function valid({ rule, size, min, max, values, align, power_of_two }: Field): unknown {
  if (rule === "QDB-HDR-006")
    return { expr: `_ == ${values?.[0]} or (_ >= ${min} and _ <= _root.area_size and _ % ${align} == 0)` };
  if (align === "cluster") return { expr: "_.lo % _root.cluster_size == 0" };
  if (values?.length === 1) return Number(values[0]);
  if (power_of_two) return { expr: `_ >= ${min} and _ <= ${max} and (_ & (_ - 1)) == 0` };
  if (min === undefined || max === undefined) return undefined;
  if (size < 8) return { min: Number(min), max: Number(max) };
  const parts = [
    ...(BigInt(min) > 0n ? [atLeast(BigInt(min))] : []),
    ...(BigInt(max) < 2n ** 64n - 1n ? [atMost(BigInt(max))] : []),
  ];
  return { expr: parts.join(" and ") };
}

const TYPES: Readonly<Record<string, string>> = { u8: "u1", u16: "u2", u32: "u4", u64: "u64", i64: "i64" };

/** A field; its range is checked unless breaking it is no error of the file. */
function attribute(field: Field, isChecked: boolean): Attribute {
  const { name, type, size, meaning, rule } = field;
  const kind = TYPES[type];
  const range = isChecked && kind !== undefined ? valid(field) : undefined;
  return {
    id: name,
    ...(kind === undefined ? { size } : { type: kind }),
    ...(range === undefined ? {} : { valid: range }),
    doc: meaning,
    "doc-ref": `qdb.md ${rule}`,
  };
}

/** The fields of a structure from one offset on and up to another. */
export function attributes(
  name: string,
  { from = 0, to = Number.POSITIVE_INFINITY, isChecked = true } = {},
): Attribute[] {
  const fields = structure(name).fields.filter(({ offset }) => offset >= from && offset < to);
  return fields.map((field) => attribute(field, isChecked));
}

/** The bits of a descriptor, from the highest on; the offset in two parts, since a program may have 32 bits. */
export function descriptorBits(): Attribute[] {
  const rows = [...layout().descriptor_bits].reverse();
  return rows.flatMap(({ name, first_bit, last_bit, meaning, rule, values }): Attribute[] => {
    const about = { doc: meaning, "doc-ref": `qdb.md ${rule}` };
    const id = name === "reserved" ? `reserved_${first_bit}` : name;
    const width = last_bit - first_bit + 1;
    if (width <= 32)
      return [
        {
          id,
          type: `b${width}`,
          ...(values === undefined || width === 1 ? {} : { valid: Number(values[0]) }),
          ...about,
        },
      ];
    return [
      { id: `${id}_high`, type: `b${last_bit - 31}`, ...about },
      { id: `${id}_low`, type: `b${32 - first_bit}`, ...about },
    ];
  });
}
