/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* The rules of a table entry (section 3). */
#ifndef QDB_ENTRIES_H
#define QDB_ENTRIES_H

#include "qdb.h"

/* Checks every entry and sets the error of its bitmap. Sets file->error only if there is no memory. */
void judge_bitmaps(struct qdb *file);

#endif
