/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* Section 2.1: the fields of the header that was chosen, in the order of QDB-ERR-010 to QDB-ERR-014. */
#include "header.h"

#include "bytes.h"
#include "feature-names.h"

static void take_fields(struct header *header) {
  const uint8_t *area = header->area;
  header->version = be32(area + 4);
  header->cluster_bits = be32(area + 8);
  header->nb_bitmaps = be32(area + 12);
  header->bitmaps_offset = be64(area + 16);
  header->header_length = be32(area + 24);
  if (header->draft) return;
  header->bitmaps_size = be32(area + 28);
  header->incompatible = be64(area + 32);
  header->compatible = be64(area + 40);
  header->autoclear = be64(area + 48);
  header->generation = be64(area + 56);
  header->table_checksum = be32(area + 64);
  header->header_checksum = be32(area + 68);
}

/* The place of the table: QDB-ERR-012, QDB-ERR-013. */
static bool place_good(struct qdb *file) {
  struct header *header = &file->header;
  uint64_t offset = header->bitmaps_offset, at = header->at + 16;
  const char *what = "header: bitmaps_offset";
  if ((offset == 0) != (header->nb_bitmaps == 0)) return fail(&file->error, "BAD_FIELD", "QDB-HDR-018", what, at);
  if (offset == 0) return true;
  if (offset % header->cluster) return fail(&file->error, "MISALIGNED", "QDB-HDR-005", what, at);
  if (!inside(offset, header->draft ? 1 : header->bitmaps_size, file->source.size))
    return fail(&file->error, "OUT_OF_BOUNDS", "QDB-OWN-011", what, at);
  if (offset < header->home) return fail(&file->error, "OVERLAP", "QDB-HDR-036", what, at);
  return true;
}

/* The fields that only full form has. */
static bool full_good(struct qdb *file) {
  struct header *header = &file->header;
  struct error *error = &file->error;
  uint64_t at = header->at;
  uint64_t space = header->cluster < AREA ? header->cluster : AREA;
  if (header->header_length % 8 || header->header_length < 104 || header->header_length > space)
    return fail(error, "BAD_FIELD", "QDB-HDR-006", "header: header_length", at + 24);
  if (header->bitmaps_size > 64 << 20) return fail(error, "LIMIT", "QDB-HDR-007", "header: bitmaps_size", at + 28);
  if (header->nb_bitmaps == 0 && header->bitmaps_size)
    return fail(error, "BAD_FIELD", "QDB-HDR-019", "header: bitmaps_size", at + 28);
  if (header->generation == 0) return fail(error, "BAD_FIELD", "QDB-HDR-011", "header: generation", at + 56);
  if (header->nb_bitmaps == 0 && header->table_checksum)
    return fail(error, "BAD_FIELD", "QDB-HDR-020", "header: table_checksum", at + 64);
  return true;
}

bool read_header(struct qdb *file) {
  struct header *header = &file->header;
  struct error *error = &file->error;
  uint64_t at = header->at;
  take_fields(header);
  uint32_t bits = header->cluster_bits;
  if (header->draft && bits <= 21 && file->source.size < (uint64_t)1 << bits)
    return fail(error, "TRUNCATED", "QDB-HDR-043", "first cluster: the file ends in it", file->source.size);
  if (header->version != 1) return fail(error, "UNSUPPORTED_VERSION", "QDB-HDR-002", "header: version", at + 4);
  if (header->incompatible & ~(uint64_t)1)
    return fail(error, "UNSUPPORTED_FEATURE", "QDB-HDR-008", unknown_features(header), at + 32);
  if (bits < 9 || bits > 21) return fail(error, "BAD_FIELD", "QDB-HDR-003", "header: cluster_bits", at + 8);
  if (header->nb_bitmaps > 65535) return fail(error, "LIMIT", "QDB-HDR-004", "header: nb_bitmaps", at + 12);
  header->cluster = (uint64_t)1 << bits;
  header->home = header->draft ? header->cluster : 2 * (header->cluster < AREA ? AREA : header->cluster);
  if (!place_good(file)) return false;
  return header->draft || full_good(file);
}
