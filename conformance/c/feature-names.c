/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* The names of incompatible bits that this reader does not know (QDB-HDR-022). */
#include "feature-names.h"

#include <stdio.h>

#include "bytes.h"

enum { FEATURES = 0x6803f857, ROW = 48 };

/*
 * Finds the feature name table. The other header fields are not checked yet: a malformed extension ends the search, and
 * the bits are shown by number only.
 */
static struct item find_table(const struct header *header) {
  uint64_t at = align8(be32(header->area + 24));
  while (at >= 104 && at + 8 <= AREA) {
    struct item item = {be32(header->area + at), be32(header->area + at + 4), header->area + at + 8};
    if (item.type == 0 || item.length > AREA - at - 8) break;
    if (item.type == FEATURES) return item;
    at += 8 + align8(item.length);
  }
  return (struct item){0, 0, NULL};
}

/* The name of incompatible bit `bit` in the table; *length is 0 if it has none. */
static const uint8_t *find_name(const struct item *table, unsigned bit, size_t *length) {
  for (uint32_t row = 0; row + ROW <= table->length; row += ROW) {
    const uint8_t *entry = table->data + row;
    if (entry[0] == 0 && entry[1] == bit && padded_name(entry + 2, ROW - 2, length)) return entry + 2;
  }
  *length = 0;
  return NULL;
}

const char *unknown_features(const struct header *header) {
  static char text[64 * (ROW + 16)]; /* room for 63 bits with names */
  struct item table = find_table(header);
  size_t used = (size_t)snprintf(text, sizeof text, "header: incompatible_features has");
  for (unsigned bit = 1; bit < 64; bit++) {
    size_t length;
    if (!(header->incompatible >> bit & 1)) continue;
    const uint8_t *name = find_name(&table, bit, &length);
    used += (size_t)snprintf(text + used, sizeof text - used, " bit %u", bit);
    if (name) used += (size_t)snprintf(text + used, sizeof text - used, " (%.*s)", (int)length, (const char *)name);
  }
  return text;
}
