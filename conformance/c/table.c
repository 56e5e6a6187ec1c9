/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* Section 3: reads the bitmap table and checks its entries in the order of QDB-ERR-016. */
#include "table.h"

#include <stdlib.h>

#include "bytes.h"
#include "crc32.h"
#include "source.h"

enum { HEAD = 40, AHEAD = 32 << 10, MOST = 64 << 20 };

/* Reads the table up to its first `size` bytes, as far as it is not read yet. */
static bool have_table(struct qdb *file, uint64_t size) {
  struct header *header = &file->header;
  if (size <= file->table_have) return true;
  if (size > file->table_room) {
    uint64_t room = size > 2 * file->table_room ? size : 2 * file->table_room;
    uint8_t *table = realloc(file->table, room);
    if (!table) return fail(&file->error, "LIMIT", "QDB-BND-001", "bitmap table: no memory", header->bitmaps_offset);
    file->table = table;
    file->table_room = room;
  }
  source_round(&file->source);
  uint64_t have = file->table_have;
  if (!source_all(&file->source, header->bitmaps_offset + have, file->table + have, size - have, &file->error))
    return false;
  file->table_have = size;
  return true;
}

/* A draft has no table length: reads at least the first `size` bytes; the file has `most`. */
static bool have_draft(struct qdb *file, uint64_t size, uint64_t heads_left, uint64_t most) {
  if (size <= file->table_have) return true;
  uint64_t ahead = size + heads_left * HEAD + AHEAD;
  return have_table(file, ahead < most ? ahead : most);
}

/* The length with padding of the entry at `at`. `left` bytes remain to the limit, and `more` entries follow it. */
static bool entry_length(struct qdb *file, uint64_t at, uint64_t left, uint32_t more, uint64_t *length) {
  struct header *header = &file->header;
  uint64_t place = header->bitmaps_offset + at;
  *length = HEAD;
  if (left >= HEAD) {
    if (header->draft && !have_draft(file, at + HEAD, more, at + left)) return false;
    const uint8_t *entry = file->table + at;
    *length = align8(HEAD + (uint64_t)be32(entry + 36) + be16(entry + 26));
  }
  if (*length > left)
    return fail(&file->error, "OUT_OF_BOUNDS", "QDB-TBL-010", "bitmap table entry: runs past its limit", place);
  if (header->draft && *length > MOST - at)
    return fail(&file->error, "LIMIT", "QDB-HDR-041", "bitmap table: longer than 64 MiB", place);
  return true;
}

static bool walk(struct qdb *file) {
  struct header *header = &file->header;
  uint64_t limit = header->draft ? file->source.size - header->bitmaps_offset : header->bitmaps_size;
  uint64_t at = 0;
  for (uint32_t i = 0; i < header->nb_bitmaps; i++) {
    uint64_t length;
    if (!entry_length(file, at, limit - at, header->nb_bitmaps - i - 1, &length)) return false;
    at += length;
  }
  file->table_size = at;
  if (!header->draft && at != limit)
    return fail(&file->error, "BAD_FIELD", "QDB-HDR-021", "header: bitmaps_size", header->at + 28);
  return !header->draft || have_draft(file, at, 0, limit);
}

static void take_entry(struct bitmap *bitmap, const uint8_t *entry, uint64_t at) {
  bitmap->entry = entry;
  bitmap->at = at;
  bitmap->l1_table_offset = be64(entry);
  bitmap->l1_size = be32(entry + 8);
  bitmap->granularity = be32(entry + 12);
  bitmap->size = be64(entry + 16);
  bitmap->flags = be16(entry + 24);
  bitmap->name_size = be16(entry + 26);
  bitmap->l1_checksum = be32(entry + 28);
  bitmap->extra_data_size = be32(entry + 36);
  bitmap->overlap = NONE;
}

bool read_table(struct qdb *file) {
  struct header *header = &file->header;
  if (header->nb_bitmaps == 0) return true;
  if (!header->draft) {
    if (!have_table(file, header->bitmaps_size)) return false;
    if (crc32(0, file->table, header->bitmaps_size) != header->table_checksum)
      return fail(&file->error, "BAD_CHECKSUM", "QDB-HDR-012", "header: table_checksum", header->at + 64);
  }
  if (!walk(file)) return false;
  /* walk has read nb_bitmaps entry heads, so nb_bitmaps is not larger than the file allows. */
  file->bitmaps = calloc(header->nb_bitmaps, sizeof *file->bitmaps);
  if (!file->bitmaps)
    return fail(&file->error, "LIMIT", "QDB-BND-001", "bitmap table: no memory", header->bitmaps_offset);
  uint64_t at = 0;
  for (uint32_t i = 0; i < header->nb_bitmaps; i++) {
    struct bitmap *bitmap = &file->bitmaps[i];
    take_entry(bitmap, file->table + at, header->bitmaps_offset + at);
    at += align8(HEAD + (uint64_t)bitmap->extra_data_size + bitmap->name_size);
  }
  return true;
}
