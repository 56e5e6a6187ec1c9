/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* Extensions and records in the JSON form. */
#ifndef QDB_ITEMS_H
#define QDB_ITEMS_H

#include "out.h"
#include "qdb.h"

/* The extensions of a file; `extra_data` of a bitmap, or nothing if it cannot be shown (QDB-JSN-021). */
void write_extensions(const struct qdb *file, struct out *out);
void write_records(const struct bitmap *bitmap, struct out *out);

/* A key with bytes as hex digits, and with a UUID (QDB-JSN-007, QDB-JSN-008). */
void write_data(struct out *out, const char *key, const uint8_t *bytes, size_t length);
void write_uuid(struct out *out, const char *key, const uint8_t *bytes);

#endif
