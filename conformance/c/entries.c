/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* Checks the rules of a table entry, in the order of QDB-ERR-017. */
#include "entries.h"

#include <string.h>

#include "bytes.h"
#include "names.h"
#include "records.h"

static bool name_good(struct bitmap *bitmap) {
  struct error *error = &bitmap->error;
  const uint8_t *name = name_of(bitmap);
  const char *what = "bitmap table entry: name";
  uint64_t at = bitmap->at + (uint64_t)(name - bitmap->entry);
  if (bitmap->name_size < 1 || bitmap->name_size > MAX_NAME)
    return fail(error, "BAD_FIELD", "QDB-TBL-006", "bitmap table entry: name_size", bitmap->at + 26);
  if (!is_utf8(name, bitmap->name_size)) return fail(error, "BAD_FIELD", "QDB-TBL-018", what, at);
  if (memchr(name, 0, bitmap->name_size)) return fail(error, "BAD_FIELD", "QDB-TBL-019", what, at);
  if (bitmap->double_name) return fail(error, "DUPLICATE_NAME", "QDB-TBL-020", what, at);
  return true;
}

/* Granularity, size and number of bits. QDB-TBL-005 and the reserved bytes come between them. */
static bool shape_good(struct bitmap *bitmap, bool draft) {
  struct error *error = &bitmap->error;
  uint64_t at = bitmap->at;
  uint32_t granularity = bitmap->granularity;
  bool good = true;
  if (granularity < 512 || granularity & (granularity - 1))
    good = fail(error, "BAD_FIELD", "QDB-TBL-003", "bitmap table entry: granularity", at + 12);
  if (bitmap->size >> 63) good = fail(error, "BAD_FIELD", "QDB-TBL-004", "bitmap table entry: size", at + 16);
  if (bitmap->flags & ~FLAGS_KNOWN)
    fail(error, "UNSUPPORTED_FEATURE", "QDB-TBL-005", "bitmap table entry: flags", at + 24);
  if (draft && bitmap->l1_checksum)
    fail(error, "RESERVED_NOT_ZERO", "QDB-TBL-017", "bitmap table entry: bytes 28-31", at + 28);
  if (be32(bitmap->entry + 32))
    fail(error, "RESERVED_NOT_ZERO", "QDB-TBL-008", "bitmap table entry: reserved", at + 32);
  if (!good) return false;
  bitmap->bits = ceil_div(bitmap->size, granularity);
  if (bitmap->bits > (uint64_t)1 << 32)
    return fail(error, "LIMIT", "QDB-TBL-015", "bitmap table entry: number of bits", at + 16);
  return true;
}

/* l1_table_offset and l1_size of the entry; false if the place or length of the L1 area is invalid. */
static bool l1_good(struct qdb *file, struct bitmap *bitmap) {
  struct error *error = &bitmap->error;
  uint64_t at = bitmap->at, cluster = file->header.cluster;
  uint64_t due = ceil_div(ceil_div(bitmap->bits, 8), cluster);
  bool good = bitmap->l1_size == due;
  if (!good) fail(error, "BAD_FIELD", "QDB-TBL-002", "bitmap table entry: l1_size", at + 8);
  if (bitmap->l1_size == 0 && bitmap->l1_checksum)
    fail(error, "BAD_FIELD", "QDB-TBL-016", "bitmap table entry: l1_checksum", at + 28);
  if ((bitmap->l1_table_offset == 0) != (bitmap->l1_size == 0))
    return fail(error, "BAD_FIELD", "QDB-TBL-014", "bitmap table entry: l1_table_offset", at);
  if (bitmap->l1_table_offset % cluster)
    return fail(error, "MISALIGNED", "QDB-TBL-001", "bitmap table entry: l1_table_offset", at);
  return good;
}

/* QDB-FLG-008 to QDB-FLG-014, QDB-REC-009; then QDB-FLG-002 and QDB-FLG-021. */
static bool flags_good(struct qdb *file, const struct names *names, struct bitmap *bitmap) {
  struct error *error = &bitmap->error;
  struct item record;
  const char *flags = "bitmap table entry: flags", *what = "record successor";
  bool frozen = bitmap->flags & FLAG_FROZEN, named = find_record(bitmap, 8, &record);
  if (frozen && bitmap->flags & FLAG_ENABLED) return fail(error, "BAD_FIELD", "QDB-FLG-008", flags, bitmap->at + 24);
  if (frozen && !named) return fail(error, "BAD_FIELD", "QDB-FLG-009", flags, bitmap->at + 24);
  uint64_t at = named ? bitmap->at + (uint64_t)(record.data - bitmap->entry) : 0;
  if (named && !frozen) return fail(error, "BAD_FIELD", "QDB-FLG-014", what, at);
  if (named && !record_good(&record)) return fail(error, "BAD_FIELD", "QDB-REC-009", what, at);
  if (named) {
    const struct bitmap *next = only_named(file, names, record.data, record.length);
    if (!next) return fail(error, "BAD_FIELD", "QDB-FLG-010", what, at);
    if (next == bitmap) return fail(error, "BAD_FIELD", "QDB-FLG-011", what, at);
    if (next->flags & FLAG_FROZEN) return fail(error, "BAD_FIELD", "QDB-FLG-012", what, at);
    if (next->size != bitmap->size) return fail(error, "BAD_FIELD", "QDB-FLG-013", what, at);
  }
  if (bitmap->flags & FLAG_IN_USE) return fail(error, "INCONSISTENT", "QDB-FLG-002", flags, bitmap->at + 24);
  /* A broken session is unknown (QDB-REC-007). */
  if (find_record(bitmap, 9, &record) && record_good(&record))
    return fail(error, "BAD_FIELD", "QDB-FLG-021", "record session",
                bitmap->at + (uint64_t)(record.data - bitmap->entry));
  return true;
}

void judge_bitmaps(struct qdb *file) {
  struct names names = {0};
  if (!sort_names(file, &names)) return;
  for (uint32_t i = 0; i < file->header.nb_bitmaps; i++) {
    struct bitmap *bitmap = &file->bitmaps[i];
    name_good(bitmap);
    judge_records(bitmap);
    /* QDB-FLG-018: a bitmap in error owns its L1 area if length and place of the area are valid. */
    bitmap->shaped = shape_good(bitmap, file->header.draft) && l1_good(file, bitmap);
    flags_good(file, &names, bitmap);
  }
  free_names(&names);
}
