/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* Section 6: the JSON form of what was read. */
#include "model.h"

#include <stdio.h>

#include "bits.h"
#include "bytes.h"
#include "items.h"
#include "json.h"
#include "names.h"

static void key_digits(struct out *out, const char *key, const char *prefix, uint64_t number, int digits) {
  out_key(out, key);
  out_text(out, "\"");
  out_text(out, prefix);
  out_digits(out, number, digits);
  out_text(out, "\"");
}

static void write_header(const struct header *header, struct out *out) {
  out_text(out, "{");
  out_key_text(out, "form", header->draft ? "draft" : "full");
  out_key_number(out, "version", header->version);
  out_key_number(out, "cluster_bits", header->cluster_bits);
  out_key_number(out, "nb_bitmaps", header->nb_bitmaps);
  out_key_u64(out, "bitmaps_offset", header->bitmaps_offset);
  out_key_number(out, "header_length", header->header_length);
  if (!header->draft) {
    out_key_number(out, "bitmaps_size", header->bitmaps_size);
    key_digits(out, "incompatible_features", "0x", header->incompatible, 16);
    key_digits(out, "compatible_features", "0x", header->compatible, 16);
    key_digits(out, "autoclear_features", "0x", header->autoclear, 16);
    out_key_u64(out, "generation", header->generation);
    key_digits(out, "table_checksum", "", header->table_checksum, 8);
    key_digits(out, "header_checksum", "", header->header_checksum, 8);
    write_uuid(out, "writer_id", header->area + 72);
    write_uuid(out, "file_id", header->area + 88);
  }
  out_text(out, "}");
}

static void write_flags(uint16_t flags, struct out *out) {
  static const char *const names[] = {"enabled", "in_use", "frozen"};
  out_key(out, "flags");
  out_text(out, "[");
  for (unsigned bit = 0; bit < 16; bit++) {
    if (!(flags >> bit & 1)) continue;
    out_comma(out);
    out_text(out, bit < 3 ? "\"" : "\"bit");
    if (bit < 3) out_text(out, names[bit]);
    if (bit >= 3) out_number(out, bit);
    out_text(out, "\"");
  }
  out_text(out, "]");
}

static void write_error(const struct error *error, struct out *out) {
  char message[200];
  snprintf(message, sizeof message, "%s, at offset %llu of the file (%s)", error->what,
           (unsigned long long)error->offset, error->rule);
  out_key(out, "error");
  out_text(out, "{");
  out_key_text(out, "code", error->code);
  out_key_text(out, "message", message);
  out_text(out, "}");
}

static void write_bitmap(struct qdb *file, struct bitmap *bitmap, struct out *out) {
  const uint8_t *name = name_of(bitmap);
  out_comma(out);
  out_text(out, "{");
  if (is_utf8(name, bitmap->name_size)) {
    out_key(out, "name");
    out_string(out, name, bitmap->name_size);
  } else {
    write_data(out, "name_hex", name, bitmap->name_size);
  }
  out_key_u64(out, "size", bitmap->size);
  out_key_number(out, "granularity", bitmap->granularity);
  write_flags(bitmap->flags, out);
  out_key_u64(out, "l1_table_offset", bitmap->l1_table_offset);
  out_key_number(out, "l1_size", bitmap->l1_size);
  if (!file->header.draft) key_digits(out, "l1_checksum", "", bitmap->l1_checksum, 8);
  write_records(bitmap, out);
  if (bitmap->error.code || !write_bits(file, bitmap, out)) write_error(&bitmap->error, out);
  out_text(out, "}");
}

void write_model(struct qdb *file, struct out *out) {
  out_text(out, "{");
  out_key_text(out, "format", "qdb");
  out_key(out, "header");
  write_header(&file->header, out);
  out_key(out, "extensions");
  write_extensions(file, out);
  out_key(out, "bitmaps");
  out_text(out, "[");
  source_round(&file->source); /* from here on, reads of data clusters do not depend on each other */
  for (uint32_t i = 0; i < file->header.nb_bitmaps; i++)
    if (file->bitmaps[i].wanted) write_bitmap(file, &file->bitmaps[i], out);
  out_text(out, "]}");
}
