/* SPDX-License-Identifier: CC0-1.0 OR MIT */
#include "names.h"

#include <stdlib.h>
#include <string.h>

const uint8_t *name_of(const struct bitmap *bitmap) { return bitmap->entry + 40 + bitmap->extra_data_size; }

static int by_name(const void *left, const void *right) {
  const struct named *a = left, *b = right;
  if (a->length != b->length) return a->length < b->length ? -1 : 1;
  return memcmp(a->name, b->name, a->length);
}

bool sort_names(struct qdb *file, struct names *names) {
  uint32_t total = file->header.nb_bitmaps;
  if (total == 0) return true;
  names->sorted = malloc(total * sizeof *names->sorted);
  if (!names->sorted)
    return fail(&file->error, "LIMIT", "QDB-BND-001", "bitmap table: no memory", file->header.bitmaps_offset);
  for (uint32_t i = 0; i < total; i++) {
    struct bitmap *bitmap = &file->bitmaps[i];
    /* A longer name is an error already, and no successor record can name it. */
    if (bitmap->name_size <= MAX_NAME)
      names->sorted[names->count++] = (struct named){name_of(bitmap), bitmap->name_size, i};
  }
  qsort(names->sorted, names->count, sizeof *names->sorted, by_name);
  for (uint32_t i = 1; i < names->count; i++)
    if (by_name(&names->sorted[i - 1], &names->sorted[i]) == 0) {
      file->bitmaps[names->sorted[i - 1].index].double_name = true;
      file->bitmaps[names->sorted[i].index].double_name = true;
    }
  return true;
}

const struct bitmap *only_named(const struct qdb *file, const struct names *names, const uint8_t *name,
                                uint32_t length) {
  struct named key = {name, length, 0};
  const struct named *found = names->count ? bsearch(&key, names->sorted, names->count, sizeof key, by_name) : NULL;
  return found && !file->bitmaps[found->index].double_name ? &file->bitmaps[found->index] : NULL;
}

void free_names(struct names *names) { free(names->sorted); }
