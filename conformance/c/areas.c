/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* Checks where the L1 areas are and whether they overlap (QDB-ERR-022), and reads them. */
#include "areas.h"

#include <stdlib.h>

#include "bytes.h"
#include "crc32.h"
#include "source.h"

static const char *const PLACE = "bitmap table entry: l1_table_offset";

/* The length of an L1 area (QDB-MAP-004, QDB-MAP-005). */
static uint64_t area_length(const struct qdb *file, const struct bitmap *bitmap) {
  return file->header.draft ? 8 * (uint64_t)bitmap->l1_size : align8(12 * (uint64_t)bitmap->l1_size);
}

void table_span(const struct qdb *file, uint64_t *first, uint64_t *end) {
  *first = file->header.bitmaps_offset / file->header.cluster;
  *end = ceil_div(file->header.bitmaps_offset + file->table_size, file->header.cluster);
}

static int by_first(const void *left, const void *right) {
  const struct span *a = left, *b = right;
  if (a->first != b->first) return a->first < b->first ? -1 : 1;
  return a->bitmap < b->bitmap ? -1 : a->bitmap > b->bitmap;
}

/* Lists the areas that lie inside the file. */
static void list_spans(struct qdb *file) {
  for (uint32_t i = 0; i < file->header.nb_bitmaps; i++) {
    struct bitmap *bitmap = &file->bitmaps[i];
    if (!bitmap->wanted || !bitmap->shaped || bitmap->l1_size == 0) continue;
    uint64_t offset = bitmap->l1_table_offset, length = area_length(file, bitmap), cluster = file->header.cluster;
    if (!inside(offset, length, file->source.size))
      fail(&bitmap->error, "OUT_OF_BOUNDS", "QDB-OWN-011", PLACE, bitmap->at);
    else
      file->spans[file->spans_count++] = (struct span){offset / cluster, ceil_div(offset + length, cluster), i};
  }
  qsort(file->spans, file->spans_count, sizeof *file->spans, by_first);
}

/* Whether span `i` shares a cluster with another one. `reach` is the end of the spans before it. */
static bool shares(const struct qdb *file, uint32_t i, uint64_t reach) {
  const struct span *span = &file->spans[i];
  uint64_t first, end;
  table_span(file, &first, &end);
  if (span->first < file->header.home / file->header.cluster) return true;
  if (span->first < end && first < span->end) return true;
  return span->first < reach || (i + 1 < file->spans_count && span[1].first < span->end);
}

static void read_area(struct qdb *file, struct bitmap *bitmap) {
  uint64_t length = area_length(file, bitmap);
  uint8_t *bytes = malloc(length);
  struct error *error = &bitmap->error;
  if (!bytes)
    fail(error, "LIMIT", "QDB-BND-001", "L1 area: no memory", bitmap->l1_table_offset);
  else if (source_some(&file->source, bitmap->l1_table_offset, bytes, length) != length)
    fail(error, "IO", "QDB-MAP-021", "L1 area: cannot be read", bitmap->l1_table_offset);
  else if (!file->header.draft && crc32(0, bytes, length) != bitmap->l1_checksum)
    fail(error, "BAD_CHECKSUM", "QDB-TBL-007", "bitmap table entry: l1_checksum", bitmap->at + 28);
  else
    bitmap->l1 = bytes;
  if (!bitmap->l1) free(bytes);
}

bool read_areas(struct qdb *file) {
  uint32_t total = file->header.nb_bitmaps;
  uint64_t reach = 0;
  if (total == 0) return true;
  file->spans = malloc(total * sizeof *file->spans);
  if (!file->spans)
    return fail(&file->error, "LIMIT", "QDB-BND-001", "bitmap table: no memory", file->header.bitmaps_offset);
  list_spans(file);
  source_round(&file->source);
  for (uint32_t i = 0; i < file->spans_count; i++) {
    const struct span *span = &file->spans[i];
    struct bitmap *bitmap = &file->bitmaps[span->bitmap];
    /* QDB-ERR-026: an area that shares a cluster is not read. */
    if (shares(file, i, reach))
      fail(&bitmap->error, "OVERLAP", "QDB-OWN-013", PLACE, bitmap->at);
    else
      read_area(file, bitmap);
    if (span->end > reach) reach = span->end;
  }
  return true;
}
