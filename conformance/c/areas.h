/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* The L1 areas (section 4). */
#ifndef QDB_AREAS_H
#define QDB_AREAS_H

#include "qdb.h"

/* The clusters [*first, *end) of the table; empty if there is no table. */
void table_span(const struct qdb *file, uint64_t *first, uint64_t *end);

/* Reads the L1 areas of the wanted bitmaps and sets their errors; false with file->error set if there is no memory. */
bool read_areas(struct qdb *file);

#endif
