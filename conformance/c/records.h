/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* The records of a bitmap's extra data (section 3). */
#ifndef QDB_RECORDS_H
#define QDB_RECORDS_H

#include "qdb.h"

/* The record at `*at` of the extra data, which moves behind it; false at its end and where no record stands there. */
bool next_record(const struct bitmap *bitmap, uint32_t *at, struct item *record);

/* Sets the bitmap's error where the extra data breaks a rule; and whether it can be shown as a row of records. */
bool judge_records(struct bitmap *bitmap);
bool is_row(const struct bitmap *bitmap);

/* Finds the record of that type; the first, where there are more. */
bool find_record(const struct bitmap *bitmap, uint32_t type, struct item *record);

/* Whether the data of a record of a known type keeps the rule of its type; false too for unknown types. */
bool record_good(const struct item *record);

#endif
