/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* Section 4: the L1 entries, in the order of QDB-ERR-019. */
#include "l1.h"

#include "bytes.h"

uint64_t l1_entry(const struct bitmap *bitmap, uint32_t i) { return be64(bitmap->l1 + 8 * (size_t)i); }

uint32_t l1_crc(const struct bitmap *bitmap, uint32_t i) {
  return be32(bitmap->l1 + 8 * (size_t)bitmap->l1_size + 4 * (size_t)i);
}

bool reads_cluster(uint64_t entry) { return !(entry & (L1_ZEROS | L1_ONES)) && entry & L1_OFFSET; }

uint64_t owned_offset(const struct qdb *file, const struct bitmap *bitmap, uint32_t i) {
  uint64_t offset = l1_entry(bitmap, i) & L1_OFFSET, cluster = file->header.cluster;
  return offset % cluster == 0 && inside(offset, cluster, file->source.size) ? offset : 0;
}

static bool entry_good(struct qdb *file, struct bitmap *bitmap, uint32_t i) {
  struct error *error = &bitmap->error;
  uint64_t entry = l1_entry(bitmap, i), offset = entry & L1_OFFSET, at = bitmap->l1_table_offset + 8 * (uint64_t)i;
  const char *what = "L1 entry: descriptor";
  if (entry & L1_RESERVED) return fail(error, "RESERVED_NOT_ZERO", "QDB-MAP-012", what, at);
  if (entry & L1_ONES && !(file->header.incompatible & 1))
    return fail(error, "RESERVED_NOT_ZERO", "QDB-MAP-011", what, at);
  if (entry & L1_ONES && entry & (L1_ZEROS | L1_OFFSET)) return fail(error, "BAD_FIELD", "QDB-MAP-014", what, at);
  if (!file->header.draft && !reads_cluster(entry) && l1_crc(bitmap, i))
    return fail(error, "BAD_FIELD", "QDB-MAP-003", "L1 checksum: cluster_checksum",
                bitmap->l1_table_offset + 8 * (uint64_t)bitmap->l1_size + 4 * (uint64_t)i);
  if (offset == 0) return true;
  if (offset % file->header.cluster) return fail(error, "MISALIGNED", "QDB-MAP-013", what, at);
  if (!inside(offset, file->header.cluster, file->source.size))
    return fail(error, "OUT_OF_BOUNDS", "QDB-OWN-010", what, at);
  if (bitmap->overlap == i) return fail(error, "OVERLAP", "QDB-OWN-013", what, at);
  return true;
}

void judge_entries(struct qdb *file) {
  for (uint32_t b = 0; b < file->header.nb_bitmaps; b++) {
    struct bitmap *bitmap = &file->bitmaps[b];
    if (!bitmap->l1 || bitmap->error.code) continue;
    uint32_t i = 0;
    while (i < bitmap->l1_size && entry_good(file, bitmap, i)) i++;
    if (bitmap->hit) fail(&bitmap->error, "OVERLAP", "QDB-OWN-013", "L1 area: a data cluster", bitmap->l1_table_offset);
  }
}
