/* SPDX-License-Identifier: CC0-1.0 OR MIT */
#include "records.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"

bool next_record(const struct bitmap *bitmap, uint32_t *at, struct item *record) {
  uint32_t left = bitmap->extra_data_size - *at;
  const uint8_t *head = bitmap->entry + 40 + *at;
  if (left < 8) return false;
  *record = (struct item){be32(head), be32(head + 4), head + 8};
  /* QDB-GEN-009: the length is compared with what is left before padding is added. */
  if (record->type == 0 || record->length > left - 8 || align8(record->length) > left - 8) return false;
  *at += 8 + (uint32_t)align8(record->length);
  return true;
}

static int by_type(const void *left, const void *right) {
  uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
  return a < b ? -1 : a > b;
}

/* QDB-ERR-018: whether two of the records before the first malformed one have the same type. */
static bool judge_types(struct bitmap *bitmap, uint64_t *types, size_t count) {
  qsort(types, count, sizeof *types, by_type);
  for (size_t i = 1; i < count; i++)
    if (types[i] >> 32 == types[i - 1] >> 32)
      return fail(&bitmap->error, "DUPLICATE_TYPE", "QDB-REC-003", "record: type",
                  bitmap->at + 40 + (types[i] & UINT32_MAX));
  return true;
}

bool judge_records(struct bitmap *bitmap) {
  uint64_t types[MAX_EXTRA / 8];
  struct item record;
  uint32_t at = 0, from = 0;
  size_t count = 0;
  if (bitmap->extra_data_size > MAX_EXTRA)
    return fail(&bitmap->error, "BAD_FIELD", "QDB-TBL-009", "bitmap table entry: extra_data_size", bitmap->at + 36);
  for (; next_record(bitmap, &at, &record); from = at) types[count++] = (uint64_t)record.type << 32 | from;
  if (!judge_types(bitmap, types, count)) return false;
  if (at == bitmap->extra_data_size) return true;
  bool zero = bitmap->extra_data_size - at >= 8 && be32(bitmap->entry + 40 + at) == 0;
  const char *rule = zero ? "QDB-REC-002" : "QDB-REC-001", *what = zero ? "record: type" : "record: length";
  return fail(&bitmap->error, "BAD_FIELD", rule, what, bitmap->at + 40 + at);
}

bool is_row(const struct bitmap *bitmap) {
  struct item record;
  uint32_t at = 0;
  if (bitmap->extra_data_size > MAX_EXTRA) return false;
  while (next_record(bitmap, &at, &record)) continue;
  return at == bitmap->extra_data_size;
}

bool find_record(const struct bitmap *bitmap, uint32_t type, struct item *record) {
  uint32_t at = 0;
  while (next_record(bitmap, &at, record))
    if (record->type == type) return true;
  return false;
}

bool record_good(const struct item *record) {
  const uint8_t *data = record->data;
  uint32_t length = record->length;
  switch (record->type) {
    case 1: /* disk: QDB-REC-020 */
    case 6: /* comment: QDB-REC-033 */
      return is_utf8(data, length);
    case 2: /* disk stamp: QDB-REC-022 */
      return length == 24;
    case 3: /* bitmap id: QDB-REC-030 */
    case 4: /* parent id: QDB-REC-031 */
      return length == 16;
    case 5: /* created: QDB-REC-005 */
      return length == 8;
    case 8: /* successor: QDB-REC-034 */
      return length >= 1 && length <= MAX_NAME && !memchr(data, 0, length) && is_utf8(data, length);
    case 9: /* session: QDB-REC-037, QDB-REC-038 */
      return length == 24 && be64(data + 16) != 0;
    default:
      return false;
  }
}
