/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* L1 entries: "descriptor bits" of section 4. */
#ifndef QDB_L1_H
#define QDB_L1_H

#include "qdb.h"

#define L1_ZEROS ((uint64_t)1)
#define L1_ONES ((uint64_t)2)
#define L1_OFFSET ((((uint64_t)1 << 56) - 1) & ~(uint64_t)511)
#define L1_RESERVED (~(L1_ZEROS | L1_ONES | L1_OFFSET))

/* Descriptor i of an L1 area, and its cluster_checksum, which only full form has. */
uint64_t l1_entry(const struct bitmap *bitmap, uint32_t i);
uint32_t l1_crc(const struct bitmap *bitmap, uint32_t i);

/* Whether an entry has its data in a cluster of the file. */
bool reads_cluster(uint64_t entry);

/* The offset in L1 entry i, or 0 if the entry cannot own a cluster (QDB-ERR-021). */
uint64_t owned_offset(const struct qdb *file, const struct bitmap *bitmap, uint32_t i);

/* Checks the L1 entries of every bitmap whose L1 area was read, and sets the error of the bitmap. */
void judge_entries(struct qdb *file);

#endif
