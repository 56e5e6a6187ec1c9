/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* The fields of the header (section 2.1). */
#ifndef QDB_HEADER_H
#define QDB_HEADER_H

#include "qdb.h"

/* Checks the fields of the chosen header; false with file->error set if one breaks a rule. */
bool read_header(struct qdb *file);

#endif
