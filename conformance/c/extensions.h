/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* The header extensions (section 2.5). */
#ifndef QDB_EXTENSIONS_H
#define QDB_EXTENSIONS_H

#include "qdb.h"

/* Reads the extensions; false with file->error set if one breaks a rule. */
bool read_extensions(struct qdb *file);

#endif
