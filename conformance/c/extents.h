/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* Runs of set bits, written as extents of the disk. */
#ifndef QDB_EXTENTS_H
#define QDB_EXTENTS_H

#include "out.h"

struct extents {
  struct out *out;
  uint64_t granularity, size;
  uint64_t first, end; /* the run that is not yet written, in bits */
  uint64_t dirty_bytes;
};

/* Adds bits [first, end), which lie behind all that were added before. */
void extents_add(struct extents *extents, uint64_t first, uint64_t end);

/* Adds the set bits among the `count` first bits of the data, whose first bit has the number `base`. */
void extents_scan(struct extents *extents, const uint8_t *data, uint64_t count, uint64_t base);

/* Writes the last run. */
void extents_end(struct extents *extents);

#endif
