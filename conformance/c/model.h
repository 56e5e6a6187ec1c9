/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* The JSON form of a file (section 6). */
#ifndef QDB_MODEL_H
#define QDB_MODEL_H

#include "out.h"
#include "qdb.h"

/* Writes the JSON form with the wanted bitmaps. */
void write_model(struct qdb *file, struct out *out);

#endif
