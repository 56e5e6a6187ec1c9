/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* The bitmap table (section 3). */
#ifndef QDB_TABLE_H
#define QDB_TABLE_H

#include "qdb.h"

/* Reads the table and the fields of its entries; false with file->error set if the table breaks a rule. */
bool read_table(struct qdb *file);

#endif
