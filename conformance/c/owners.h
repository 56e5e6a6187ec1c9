/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* The owners of clusters (QDB-OWN-013). */
#ifndef QDB_OWNERS_H
#define QDB_OWNERS_H

#include "qdb.h"

/* Finds clusters with two owners and marks their bitmaps; false with file->error set if there is no memory. */
bool judge_owners(struct qdb *file);

#endif
