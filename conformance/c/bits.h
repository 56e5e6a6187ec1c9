/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* The bits of a bitmap. */
#ifndef QDB_BITS_H
#define QDB_BITS_H

#include "out.h"
#include "qdb.h"

/* Writes `dirty`, `dirty_bytes` and `bits_sha256` of a bitmap; false with its error set, and nothing written. */
bool write_bits(struct qdb *file, struct bitmap *bitmap, struct out *out);

#endif
