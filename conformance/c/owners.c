/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* Finds clusters with two owners (QDB-OWN-013): sorts the clusters of all L1 entries and compares neighbours. */
#include "owners.h"

#include <stdlib.h>

#include "areas.h"
#include "bytes.h"
#include "l1.h"

struct reference {
  uint64_t cluster;
  uint32_t bitmap, entry;
};

/* Radix sort in place by cluster number, from bit `bit` down: its time does not depend on the order of the input. */
static void sort(struct reference *from, struct reference *to, int bit) {
  while (to - from > 1 && bit >= 0) {
    struct reference *low = from, *high = to;
    while (low < high) {
      if (low->cluster >> bit & 1) {
        struct reference other = *--high;
        *high = *low;
        *low = other;
      } else {
        low++;
      }
    }
    bit--;
    sort(from, low, bit);
    from = low;
  }
}

static void share(struct qdb *file, const struct reference *reference) {
  struct bitmap *bitmap = &file->bitmaps[reference->bitmap];
  if (reference->entry < bitmap->overlap) bitmap->overlap = reference->entry;
}

/* QDB-ERR-023: walks the sorted references and the L1 areas together. */
static void scan(struct qdb *file, const struct reference *all, size_t count) {
  uint64_t table_first, table_end, home = file->header.home / file->header.cluster;
  const struct span *next = file->spans, *last = next + file->spans_count, *widest = NULL;
  table_span(file, &table_first, &table_end);
  for (size_t i = 0; i < count; i++) {
    uint64_t cluster = all[i].cluster;
    for (; next < last && next->first <= cluster; next++)
      if (!widest || next->end > widest->end) widest = next;
    bool in_area = widest && cluster < widest->end;
    /* Areas that overlap each other are in error already; marking one of them is enough. */
    if (in_area) file->bitmaps[widest->bitmap].hit = true;
    bool twin = (i && all[i - 1].cluster == cluster) || (i + 1 < count && all[i + 1].cluster == cluster);
    bool in_table = cluster >= table_first && cluster < table_end;
    if (cluster < home || in_table || in_area || twin) share(file, &all[i]);
  }
}

/* Counts the references, and stores them if `all` is not NULL. */
static size_t list(const struct qdb *file, struct reference *all) {
  size_t count = 0;
  for (uint32_t b = 0; b < file->header.nb_bitmaps; b++) {
    const struct bitmap *bitmap = &file->bitmaps[b];
    for (uint32_t i = 0; bitmap->l1 && i < bitmap->l1_size; i++) {
      uint64_t offset = owned_offset(file, bitmap, i);
      if (offset && all) all[count] = (struct reference){offset / file->header.cluster, b, i};
      if (offset) count++;
    }
  }
  return count;
}

bool judge_owners(struct qdb *file) {
  size_t count = list(file, NULL);
  if (count == 0) return true;
  struct reference *all = malloc(count * sizeof *all);
  if (!all) return fail(&file->error, "LIMIT", "QDB-BND-001", "L1 areas: no memory", file->header.bitmaps_offset);
  list(file, all);
  sort(all, all + count, 44);
  scan(file, all, count);
  free(all);
  return true;
}
