/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* A reader of QDB, written from spec/qdb.md alone: the types that its modules share. */
#ifndef QDB_H
#define QDB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "out.h"

enum { AREA = 4096, MAX_EXTENSIONS = 64, MAX_EXTRA = 4096, MAX_NAME = 1023 };
enum { FLAG_ENABLED = 1, FLAG_IN_USE = 2, FLAG_FROZEN = 4, FLAGS_KNOWN = 7 };
#define NONE UINT32_MAX
#define NOWHERE UINT64_MAX /* the offset of an error that is at no place of the file */

/* What is wrong: a code of section 7.1, the rule that is broken, the structure and field, the place in the file. */
struct error {
  const char *code, *rule, *what;
  uint64_t offset;
};

/* A file that is read, with what reading it has cost: the bytes, and the rounds of reads that depend on each other. */
struct source {
  int fd;
  bool fresh_round;
  bool failed; /* whether the system failed to read since this was cleared */
  uint64_t size, bytes, rounds;
};

/* An extension or record: they have one shape (section 2.5). */
struct item {
  uint32_t type, length;
  const uint8_t *data;
};

/* The header that the opening rule chose (section 2). */
struct header {
  bool draft;
  uint64_t at; /* file offset of its header area */
  uint32_t have; /* how many bytes of the area could be read */
  uint8_t area[AREA];
  uint32_t version, cluster_bits, nb_bitmaps, header_length, bitmaps_size, table_checksum, header_checksum;
  uint64_t bitmaps_offset, incompatible, compatible, autoclear, generation;
  uint64_t cluster, home; /* cluster size; first offset that other structures may have: 2H, or a draft's cluster size */
};

/* An entry of the bitmap table (section 3), and what is known of its L1 area and its clusters (section 4). */
struct bitmap {
  const uint8_t *entry;
  uint64_t at; /* file offset of the entry */
  uint64_t l1_table_offset, size, bits;
  uint32_t l1_size, granularity, l1_checksum, extra_data_size;
  uint16_t flags, name_size;
  bool double_name, shaped, wanted; /* shaped: its fields say how long its L1 area is, and that is true */
  bool hit; /* a data cluster lies over its L1 area */
  uint32_t overlap; /* first L1 entry whose cluster has another owner, or NONE */
  uint8_t *l1; /* the L1 area, once it was read and found good */
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
  uint64_t table_have, table_room, table_size; /* bytes read, bytes allocated, bytes that the entries have */
  struct bitmap *bitmaps;
  struct span *spans; /* of the L1 areas of wanted bitmaps, by their first cluster */
  uint32_t spans_count;
  uint64_t unstored; /* bytes that no cluster stores, of the bitmaps whose digests were written (QDB-JSN-025) */
  struct error error;
};

/* Records an error unless an earlier one is there, since the first in the order of section 7.2 wins; always false. */
bool fail(struct error *error, const char *code, const char *rule, const char *what, uint64_t offset);

/* The steps of reading, in the order of section 7.2; each is false once file->error is set. */
bool read_opening(struct qdb *file);
bool read_header(struct qdb *file);
bool read_extensions(struct qdb *file);
bool read_table(struct qdb *file);
void judge_bitmaps(struct qdb *file);
bool read_areas(struct qdb *file);
bool judge_owners(struct qdb *file);
void judge_entries(struct qdb *file);

/* Says which incompatible bits are unknown, by number and name; the text stays until the next call. */
const char *unknown_features(const struct header *header);

/* The clusters [*first, *end) of the table; none where there is no table. */
void table_span(const struct qdb *file, uint64_t *first, uint64_t *end);

/* The length of an L1 area (QDB-MAP-004, QDB-MAP-005). */
uint64_t area_length(const struct qdb *file, const struct bitmap *bitmap);

/* The offset in L1 entry i, or 0 where it is no reference that can own a cluster (QDB-ERR-021). */
uint64_t owned_offset(const struct qdb *file, const struct bitmap *bitmap, uint32_t i);

/* Writes `dirty`, `dirty_bytes` and `bits_sha256` of a bitmap, or sets its error and writes nothing. */
bool write_bits(struct qdb *file, struct bitmap *bitmap, struct out *out);

/* Writes the JSON form; the bitmaps are those that are wanted. */
void write_model(struct qdb *file, struct out *out);

/* Frees what an attempt holds. */
void forget(struct qdb *file);

#endif
