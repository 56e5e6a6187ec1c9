/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* Extensions and records in the JSON form. */
#include "items.h"

#include <stdio.h>

#include "bytes.h"
#include "json.h"
#include "records.h"

enum { FEATURES = 0x6803f857, NAMES = 0x51444e4d, ROW = 48 };

void write_data(struct out *out, const char *key, const uint8_t *bytes, size_t length) {
  out_key(out, key);
  out_text(out, "\"");
  out_hex(out, bytes, length);
  out_text(out, "\"");
}

void write_uuid(struct out *out, const char *key, const uint8_t *bytes) {
  out_key(out, key);
  out_text(out, "\"");
  for (int i = 0; i < 16; i++) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out_text(out, "-");
    out_hex(out, bytes + i, 1);
  }
  out_text(out, "\"");
}

static void write_type(struct out *out, uint32_t type) {
  out_key(out, "type");
  out_text(out, "\"0x");
  out_digits(out, type, 8);
  out_text(out, "\"");
}

/* QDB-EXT-010 to QDB-EXT-012 and QDB-EXT-016; QDB-EXT-021 and QDB-EXT-022. */
static bool names_good(const struct item *item) {
  size_t length;
  if ((item->type != FEATURES && item->type != NAMES) || item->length % ROW) return false;
  for (const uint8_t *row = item->data; row < item->data + item->length; row += ROW) {
    if (item->type == FEATURES && (row[0] > 2 || row[1] > 63 || !padded_name(row + 2, 46, &length))) return false;
    if (item->type == NAMES && !padded_name(row + 4, 44, &length)) return false;
  }
  return true;
}

static void write_row(const struct item *item, const uint8_t *row, struct out *out) {
  static const char *const kinds[] = {"incompatible", "compatible", "autoclear"};
  const uint8_t *name = row + (item->type == FEATURES ? 2 : 4);
  size_t length;
  padded_name(name, (size_t)(row + ROW - name), &length);
  out_comma(out);
  out_text(out, "{");
  if (item->type == FEATURES) {
    out_key_text(out, "kind", kinds[row[0]]);
    out_key_number(out, "bit", row[1]);
  } else {
    write_type(out, be32(row));
  }
  out_key(out, "name");
  out_string(out, name, length);
  out_text(out, "}");
}

void write_extensions(const struct qdb *file, struct out *out) {
  out_text(out, "[");
  for (uint32_t i = 0; i < file->extensions_count; i++) {
    const struct item *item = &file->extensions[i];
    out_comma(out);
    out_text(out, "{");
    write_type(out, item->type);
    if (names_good(item)) {
      out_key(out, item->type == FEATURES ? "features" : "names");
      out_text(out, "[");
      for (const uint8_t *row = item->data; row < item->data + item->length; row += ROW) write_row(item, row, out);
      out_text(out, "]");
    } else {
      write_data(out, "data", item->data, item->length);
    }
    out_text(out, "}");
  }
  out_text(out, "]");
}

static void key_i64(struct out *out, const char *key, const uint8_t *bytes) {
  uint64_t number = be64(bytes);
  out_key(out, key);
  out_text(out, number >> 63 ? "\"-" : "\"");
  out_number(out, number >> 63 ? 0 - number : number);
  out_text(out, "\"");
}

static void write_record(const struct item *record, struct out *out) {
  const uint8_t *data = record->data;
  static const char *const keys[] = {[1] = "disk", [3] = "id", [4] = "parent", [6] = "comment", [8] = "successor"};
  out_comma(out);
  out_text(out, "{");
  write_type(out, record->type);
  if (!record_good(record)) {
    write_data(out, "data", data, record->length);
  } else if (record->type == 2) {
    out_key_u64(out, "length", be64(data));
    key_i64(out, "mtime", data + 8);
    out_key_u64(out, "file", be64(data + 16));
  } else if (record->type == 5) {
    key_i64(out, "created", data);
  } else if (record->type == 9) {
    write_uuid(out, "session", data);
    out_key_u64(out, "file", be64(data + 16));
  } else if (record->type == 3 || record->type == 4) {
    write_uuid(out, keys[record->type], data);
  } else {
    out_key(out, keys[record->type]);
    out_string(out, data, record->length);
  }
  out_text(out, "}");
}

void write_records(const struct bitmap *bitmap, struct out *out) {
  struct item record;
  uint32_t at = 0;
  if (!is_row(bitmap)) return;
  out_key(out, "extra_data");
  out_text(out, "[");
  while (next_record(bitmap, &at, &record)) write_record(&record, out);
  out_text(out, "]");
}
