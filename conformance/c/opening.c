/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* Section 2.4: which bytes are the header. */
#include "opening.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "crc32.h"
#include "source.h"

static bool magic_good(const uint8_t *area, uint32_t have) { return have >= 4 && be32(area) == 0x51444200; }

/* QDB-HDR-013: CRC-32 of the 4096 bytes with the checksum field as zero. */
static bool checksum_good(const uint8_t *area, uint32_t have) {
  static const uint8_t zeros[4];
  if (have < AREA) return false;
  uint32_t crc = crc32(crc32(crc32(0, area, 68), zeros, 4), area + 72, AREA - 72);
  return crc == be32(area + 68);
}

/* QDB-OPN-006 */
static bool is_candidate(const uint8_t *area, uint64_t offset) {
  if (!magic_good(area, AREA) || !checksum_good(area, AREA) || be32(area + 4) != 1) return false;
  uint32_t bits = be32(area + 8);
  if (be32(area + 24) < 104 || bits < 9 || bits > 21) return false;
  return (bits < 12 ? AREA : (uint64_t)1 << bits) == offset;
}

/* Whether the table checksum of a candidate is right. The table that is read for it is kept. */
static bool candidate_table_good(struct qdb *file, const uint8_t *area) {
  uint64_t offset = be64(area + 16), size = be32(area + 28);
  if (size > 64 << 20 || !inside(offset, size, file->source.size)) return false;
  file->table = malloc(size ? size : 1);
  if (!file->table) return fail(&file->error, "LIMIT", "QDB-BND-001", "bitmap table: no memory", offset);
  source_round(&file->source);
  if (source_some(&file->source, offset, file->table, size) != size) return false;
  file->table_have = file->table_room = size;
  return crc32(0, file->table, size) == be32(area + 64);
}

static void choose(struct header *header, const uint8_t *area, uint32_t have, uint64_t at, bool draft) {
  memcpy(header->area, area, AREA);
  header->have = have;
  header->at = at;
  header->draft = draft;
}

/* QDB-OPN-005 to QDB-OPN-013, QDB-OPN-021 */
static bool read_mirror(struct qdb *file) {
  uint8_t area[AREA];
  int candidates = 0;
  source_round(&file->source);
  for (int i = 12; i <= 21; i++) {
    uint64_t offset = (uint64_t)1 << i;
    if (!inside(offset, AREA, file->source.size)) break;
    if (source_some(&file->source, offset, area, AREA) != AREA || !is_candidate(area, offset)) continue;
    if (candidates++ == 0) choose(&file->header, area, AREA, offset, false);
  }
  struct error *error = &file->error;
  const uint8_t *primary = file->primary;
  if (candidates == 1 && candidate_table_good(file, file->header.area)) return true;
  if (file->source.failed) return fail(error, "IO", "QDB-OPN-021", "header: the system cannot read it", 0);
  if (candidates > 1) return fail(error, "BAD_CHECKSUM", "QDB-OPN-013", "header: damaged, with two mirrors", 0);
  if (candidates == 1)
    return fail(error, "BAD_CHECKSUM", "QDB-OPN-008", "header: damaged, and the table of its mirror too", 0);
  if (!magic_good(primary, file->primary_have)) return fail(error, "BAD_MAGIC", "QDB-OPN-009", "header: magic", 0);
  if (file->source.size < AREA)
    return fail(error, "TRUNCATED", "QDB-OPN-010", "header area: the file ends in it", file->source.size);
  if (file->primary_have < 8 || be32(primary + 4) != 1)
    return fail(error, "UNSUPPORTED_VERSION", "QDB-OPN-011", "header: version", 4);
  return fail(error, "BAD_CHECKSUM", "QDB-OPN-012", "header: header_checksum", 68);
}

bool read_opening(struct qdb *file) {
  file->source.failed = false;
  source_round(&file->source);
  file->primary_have = source_primary(&file->source, file->primary);
  /* Measured after reading the primary: a commit makes the file longer before it writes the primary. */
  if (!source_measure(&file->source)) return fail(&file->error, "IO", "QDB-ERR-007", "file: no length", NOWHERE);
  const uint8_t *area = file->primary;
  uint32_t have = file->primary_have;
  /* QDB-OPN-002 */
  bool draft = have >= 32 && magic_good(area, have) && be32(area + 4) == 1 && be32(area + 24) == 28 && !be32(area + 28);
  if (draft || (magic_good(area, have) && checksum_good(area, have))) {
    choose(&file->header, area, have, 0, draft);
    return true;
  }
  return read_mirror(file);
}
