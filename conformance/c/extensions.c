/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* Section 2.5: the extensions, in the order of QDB-ERR-015. */
#include "extensions.h"

#include "bytes.h"

/* QDB-OPN-020: an extension that could not be read is an error, not an unknown extension. */
static bool there(struct qdb *file, uint64_t end) {
  if (end <= file->header.have) return true;
  return fail(&file->error, "IO", "QDB-ERR-007", "extension: cannot be read", file->header.at + file->header.have);
}

bool read_extensions(struct qdb *file) {
  struct header *header = &file->header;
  struct error *error = &file->error;
  uint64_t space = header->cluster < AREA ? header->cluster : AREA;
  uint64_t at = align8(header->header_length);
  while (at < space) {
    const uint8_t *head = header->area + at;
    if (!there(file, at + 8)) return false;
    struct item item = {be32(head), be32(head + 4), head + 8};
    if (item.type == 0) return true;
    /* The space and `at` are multiples of 8: data that fits without padding fits with it (QDB-GEN-009). */
    if (item.length > space - at - 8)
      return fail(error, "BAD_FIELD", "QDB-EXT-002", "extension: length", header->at + at + 4);
    if (file->extensions_count == MAX_EXTENSIONS)
      return fail(error, "LIMIT", "QDB-EXT-008", "extension: one too many", header->at + at);
    for (uint32_t i = 0; i < file->extensions_count; i++)
      if (file->extensions[i].type == item.type)
        return fail(error, "DUPLICATE_TYPE", "QDB-EXT-009", "extension: type", header->at + at);
    uint64_t end = at + 8 + align8(item.length);
    if (!there(file, end)) return false;
    file->extensions[file->extensions_count++] = item;
    at = end;
  }
  return true;
}
