// conformance/fuzz/qdb.dict: words of the format for fuzzers that take a dictionary in AFL's syntax (AFL++, libFuzzer, honggfuzz).
import { layout } from "./layout-json.ts";

function escaped(value: bigint, size: number): string {
  const hex = value.toString(16).padStart(2 * size, "0");
  return hex.replace(/../g, (byte) => `\\x${byte}`);
}

/** The dictionary: the values at the borders of every field, types, and lengths that overflow when they are padded. */
export function dictionary(): string {
  const words = new Map<string, string>();
  const add = (name: string, value: bigint, size: number): void => {
    const word = escaped(value, size);
    if (!words.has(word)) words.set(word, name.replace(/\W/g, "_"));
  };
  const { structures, descriptor_bits, extension_types, record_types } = layout();
  for (const { name, size, draft_size, fields } of structures) {
    if (name === "header") add("header_header_length_full", BigInt(size), 4);
    if (draft_size !== undefined) add("header_header_length_draft", BigInt(draft_size), 4);
    for (const field of fields) {
      for (const value of field.values ?? []) add(`${name}_${field.name}`, BigInt(value), field.size);
      if (field.min !== undefined) add(`${name}_${field.name}_min`, BigInt(field.min), field.size);
      if (field.max === undefined) continue;
      const above = BigInt(field.max) + 1n;
      add(`${name}_${field.name}_max`, BigInt(field.max), field.size);
      if (above < 1n << BigInt(8 * field.size)) add(`${name}_${field.name}_above_max`, above, field.size);
    }
  }
  for (const { name, first_bit, last_bit } of descriptor_bits) {
    add(`descriptor_${name}_bit_${first_bit}`, 1n << BigInt(first_bit), 8);
    add(`descriptor_${name}_bit_${last_bit}`, 1n << BigInt(last_bit), 8);
  }
  for (const [name, type] of Object.entries(extension_types)) add(`extension_type_${name}`, BigInt(type), 4);
  for (const [name, type] of Object.entries(record_types)) add(`record_type_${name}`, BigInt(type), 4);
  add("u32_max", 2n ** 32n - 1n, 4);
  add("u32_wraps_when_padded", 2n ** 32n - 7n, 4);
  add("u32_sign", 2n ** 31n, 4);
  for (const exponent of [32, 53, 63]) {
    add(`u64_2_${exponent}_less_1`, 2n ** BigInt(exponent) - 1n, 8);
    add(`u64_2_${exponent}`, 2n ** BigInt(exponent), 8);
    add(`u64_2_${exponent}_more_1`, 2n ** BigInt(exponent) + 1n, 8);
  }
  add("u64_max", 2n ** 64n - 1n, 8);
  const names = new Map<string, number>();
  const lines = [...words].map(([word, name]) => {
    const times = (names.get(name) ?? 0) + 1;
    names.set(name, times);
    return `${times === 1 ? name : `${name}_${times}`}="${word}"`;
  });
  return `# Words of the QDB format, in the syntax of AFL. Written by conformance/tools/layout.ts.\n${lines.join("\n")}\n`;
}
