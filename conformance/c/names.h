/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* The names of the bitmaps of a file, sorted to find equal names and successors. */
#ifndef QDB_NAMES_H
#define QDB_NAMES_H

#include "qdb.h"

struct names {
  struct named {
    const uint8_t *name;
    uint32_t length, index;
  } *sorted;
  uint32_t count;
};

/* The bytes of a bitmap's name (QDB-TBL-012). */
const uint8_t *name_of(const struct bitmap *bitmap);

/* Sorts the names and marks those that occur twice; false with the file's error set if there is no memory. */
bool sort_names(struct qdb *file, struct names *names);

/* The one bitmap of that name, or NULL if there is none or more than one (QDB-FLG-010). */
const struct bitmap *only_named(const struct qdb *file, const struct names *names, const uint8_t *name,
                                uint32_t length);

void free_names(struct names *names);

#endif
