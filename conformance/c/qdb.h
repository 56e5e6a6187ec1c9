/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* The structures of a QDB file (spec/qdb.md) as the reader keeps them. */
#ifndef QDB_QDB_H
#define QDB_QDB_H

#include <stdbool.h>
#include <stdint.h>

#include "errors.h"
#include "source.h"

enum { MAX_EXTENSIONS = 64, MAX_EXTRA = 4096, MAX_NAME = 1023 };
enum { FLAG_ENABLED = 1, FLAG_IN_USE = 2, FLAG_FROZEN = 4, FLAGS_KNOWN = 7 };
#define NONE UINT32_MAX

/* A header extension or a record; both have the same structure (section 2.5). */
struct item {
  uint32_t type, length;
  const uint8_t *data;
};

/* The header that the opening rule chose (section 2). */
struct header {
  bool draft;
  uint64_t at; /* file offset of its header area */
  uint32_t have; /* bytes of the area that could be read */
  uint8_t area[AREA];
  uint32_t version, cluster_bits, nb_bitmaps, header_length, bitmaps_size, table_checksum, header_checksum;
  uint64_t bitmaps_offset, incompatible, compatible, autoclear, generation;
  uint64_t cluster, home; /* cluster size; lowest offset of other structures: 2H, or the cluster size of a draft */
};

/* An entry of the bitmap table (section 3), and what is known of its L1 area and its clusters (section 4). */
struct bitmap {
  const uint8_t *entry;
  uint64_t at; /* file offset of the entry */
  uint64_t l1_table_offset, size, bits;
  uint32_t l1_size, granularity, l1_checksum, extra_data_size;
  uint16_t flags, name_size;
  bool double_name, shaped, wanted; /* shaped: its fields give a valid length of the L1 area */
  bool hit; /* a data cluster overlaps its L1 area */
  uint32_t overlap; /* first L1 entry whose cluster has a second owner, or NONE */
  uint8_t *l1; /* the L1 area, after it was read and verified */
  struct error error;
};

/* The clusters [first, end) that the L1 area of a bitmap owns. */
struct span {
  uint64_t first, end;
  uint32_t bitmap;
};

/* An open file: the state of one attempt to read it (QDB-CMT-061 to QDB-CMT-067). */
struct qdb {
  struct source source;
  uint32_t primary_have;
  uint8_t primary[AREA];
  struct header header;
  uint32_t extensions_count;
  struct item extensions[MAX_EXTENSIONS];
  uint8_t *table;
  uint64_t table_have, table_room, table_size; /* bytes read, bytes allocated, bytes that the entries occupy */
  struct bitmap *bitmaps;
  struct span *spans; /* L1 areas of the wanted bitmaps, sorted by their first cluster */
  uint32_t spans_count;
  uint64_t unstored; /* bytes that no cluster stores, of the bitmaps whose digests were written (QDB-JSN-025) */
  struct error error;
};

#endif
