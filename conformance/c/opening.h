/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* Which bytes are the header (section 2.4). */
#ifndef QDB_OPENING_H
#define QDB_OPENING_H

#include "qdb.h"

/* Reads the header areas and chooses one; false with file->error set if none can be used. */
bool read_opening(struct qdb *file);

#endif
